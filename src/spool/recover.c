/*
 * A crash leaves at most three things behind. A segment that was still open: its index is walked,
 * and cut with its data behind the last record that is whole. An index without data: the process
 * died between the two deletions of an acknowledgement, so the second is done now. Data without an
 * index: the process died before it wrote the first entry, or somebody took the index away; if
 * there are bytes in it, it is put aside, not deleted.
 */
#include "spool/recover.h"

#include "base/macro.h"
#include "spool/format.h"
#include "spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ASIDE_SUFFIX ".data.lone"

static int cut(int dir_fd, uint64_t seq, const char *suffix, uint64_t size)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd =
		openat(dir_fd, format_name(name, seq, suffix), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return 0;
}

static int move(int dir_fd, uint64_t seq, const char *from_suffix, const char *to_suffix)
{
	char from[FORMAT_NAME_SIZE], to[FORMAT_NAME_SIZE];

	if (renameat(dir_fd, format_name(from, seq, from_suffix), dir_fd,
		     format_name(to, seq, to_suffix)) < 0)
		return -errno;
	return 0;
}

static int delete (int dir_fd, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	return unlinkat(dir_fd, format_name(name, seq, suffix), 0) < 0 ? -errno : 0;
}

/* Counts the records that are whole, and the data that they take. */
static int walk(int dir_fd, uint64_t seq, uint64_t *ret_records, uint64_t *ret_data_size)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;
	uint64_t records = 0;
	int r = reader_open(dir_fd, seq, false, &reader);

	if (r == -EBADMSG) {
		/* Died before the header was whole. */
		*ret_records = *ret_data_size = 0;
		return 0;
	}
	if (r < 0)
		return r;
	while ((r = reader_next(reader, &record)) > 0)
		records++;
	if (r < 0 && r != -EBADMSG)
		return r;
	*ret_records = records;
	*ret_data_size = reader_data_end(reader);
	return 0;
}

static int seal(int dir_fd, struct listing_entry *entry)
{
	uint64_t seq = entry->first_seq, records = 0, data_size = 0;
	int r = walk(dir_fd, seq, &records, &data_size);

	if (r < 0)
		return r;
	entry->open = false;
	if (records == 0) {
		entry->data = false;
		r = delete (dir_fd, seq, FORMAT_DATA_SUFFIX);
		return r < 0 ? r : delete (dir_fd, seq, FORMAT_OPEN_SUFFIX);
	}
	r = cut(dir_fd, seq, FORMAT_OPEN_SUFFIX, FORMAT_HEADER_SIZE + records * FORMAT_ENTRY_SIZE);
	if (r >= 0)
		r = cut(dir_fd, seq, FORMAT_DATA_SUFFIX, data_size);
	if (r >= 0)
		r = move(dir_fd, seq, FORMAT_OPEN_SUFFIX, FORMAT_INDEX_SUFFIX);
	entry->sealed = r >= 0;
	return r;
}

static int put_data_aside(int dir_fd, struct listing_entry *entry)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	format_name(name, entry->first_seq, FORMAT_DATA_SUFFIX);
	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	entry->data = false;
	if (S_ISREG(status.st_mode) && status.st_size == 0)
		return delete (dir_fd, entry->first_seq, FORMAT_DATA_SUFFIX);
	return move(dir_fd, entry->first_seq, FORMAT_DATA_SUFFIX, ASIDE_SUFFIX);
}

int recover_segment(int dir_fd, struct listing_entry *entry)
{
	if (entry->data && entry->sealed)
		return 0;
	if (entry->data && entry->open)
		return seal(dir_fd, entry);
	if (entry->data)
		return put_data_aside(dir_fd, entry);
	if (entry->sealed) {
		entry->sealed = false;
		return delete (dir_fd, entry->first_seq, FORMAT_INDEX_SUFFIX);
	}
	entry->open = false;
	return delete (dir_fd, entry->first_seq, FORMAT_OPEN_SUFFIX);
}
