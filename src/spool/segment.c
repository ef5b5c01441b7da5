/*
 * A segment is acknowledged by deleting it: there is no ledger that could say something else than
 * the directory does. The data goes first, since it is what a processor would do twice; an index
 * without data is known to be a leftover.
 *
 * Files without names (of an ephemeral spool) are held open by the segment itself. To close them is
 * to delete them, which the system does too when the process is killed.
 */
#include "spool/segment.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"
#include "spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <tempfile.h>

#define CHECK_BATCH 64 /* records */

int segment_check(int dir_fd, struct segment *segment)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct segment counted = *segment;
	struct record records[CHECK_BATCH];
	ssize_t n = reader_open(dir_fd, segment->first_seq, true, &reader);

	if (n < 0)
		return (int)n;
	while ((n = reader_next_batch(reader, records, CHECK_BATCH)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (records[i].loose)
				return -EBADMSG;
			if (!format_is_event(&records[i].entry))
				segment_count(&counted, &records[i].entry);
			counted.gapped |= records[i].entry.kind == FORMAT_GAP_END;
		}
	if (n < 0)
		return (int)n;
	counted.records = reader_passed(reader);
	counted.counted = true;
	*segment = counted;
	return 0;
}

int segment_open_file(int dir_fd, const struct segment *segment, const char *suffix, int *ret_fd)
{
	bool data = strcmp(suffix, FORMAT_DATA_SUFFIX) == 0;
	const struct tempfile *file = data ? segment->data_file : segment->index_file;
	char name[FORMAT_NAME_SIZE];
	int fd;

	if (file)
		return tempfile_reopen(file, O_RDONLY, ret_fd);
	fd = openat(dir_fd, format_name(name, segment->first_seq, suffix),
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int segment_ack(int dir_fd, struct segment *segment)
{
	int r = segment->has_cuts ? segment_delete_cuts(dir_fd, segment->first_seq) : 0;

	/* Of one that was compressed, these may be left; without the other they would count again.
	 */
	if (r >= 0 && (segment->packed || !segment->data_file))
		r = segment_delete(dir_fd, segment->first_seq, FORMAT_INDEX_SUFFIX);
	if (r >= 0 && segment->packed)
		r = segment_delete_file(dir_fd, segment->first_seq, FORMAT_PACKED_SUFFIX);
	if (!io_is_full(r))
		segment_free(segment);
	return r;
}

void segment_free(struct segment *segment)
{
	if (!segment)
		return;
	tempfile_close(&segment->data_file);
	tempfile_close(&segment->index_file);
	free(segment);
}

int segment_create_file(int dir_fd, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	int fd = openat(dir_fd, format_name(name, first_seq, suffix),
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int segment_rename_file(int dir_fd, uint64_t first_seq, const char *from, const char *to)
{
	char from_name[FORMAT_NAME_SIZE], to_name[FORMAT_NAME_SIZE];

	format_name(from_name, first_seq, from);
	format_name(to_name, first_seq, to);
	return renameat(dir_fd, from_name, dir_fd, to_name) < 0 ? -errno : 0;
}

int segment_rename(int dir_fd, uint64_t first_seq)
{
	return segment_rename_file(dir_fd, first_seq, FORMAT_OPEN_SUFFIX, FORMAT_INDEX_SUFFIX);
}

int segment_delete_file(int dir_fd, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	if (unlinkat(dir_fd, format_name(name, first_seq, suffix), 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int segment_delete(int dir_fd, uint64_t first_seq, const char *index_suffix)
{
	int r = segment_delete_file(dir_fd, first_seq, FORMAT_DATA_SUFFIX);

	return r < 0 ? r : segment_delete_file(dir_fd, first_seq, index_suffix);
}

int segment_delete_cuts(int dir_fd, uint64_t first_seq)
{
	int r = segment_delete_file(dir_fd, first_seq, FORMAT_DATA_CUT_SUFFIX);

	return r < 0 ? r : segment_delete_file(dir_fd, first_seq, FORMAT_INDEX_CUT_SUFFIX);
}

int segment_holds(int dir_fd, uint64_t first_seq, const char *suffix)
{
	bool index =
		strcmp(suffix, FORMAT_INDEX_SUFFIX) == 0 || strcmp(suffix, FORMAT_OPEN_SUFFIX) == 0;
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	if (fstatat(dir_fd, format_name(name, first_seq, suffix), &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return !S_ISREG(status.st_mode) ||
	       status.st_size >= (index ? FORMAT_HEADER_SIZE + FORMAT_ENTRY_SIZE : 1);
}
