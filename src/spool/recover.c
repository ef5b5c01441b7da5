/*
 * A crash leaves at most three things behind. A segment that was still open: its index is walked,
 * and cut with its data behind the last record that is whole. An index without data: the process
 * died between the two deletions of an acknowledgement, so the second is done now. Data without an
 * index: the process died before it wrote the first entry, or somebody took the index away.
 *
 * Whatever cannot be made sense of is put aside under another name, not deleted, and the rest goes
 * on: one bad file never stops a start. Only what is empty is deleted.
 */
#include "spool/recover.h"

#include "base/macro.h"
#include "spool/format.h"
#include "spool/pack.h"
#include "spool/reader.h"
#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define ASIDE_NAME_SIZE (FORMAT_NAME_SIZE + 16)
#define ASIDE_MAX 100 /* files of one name that are put aside */

static int cut(int dir_fd, uint64_t seq, const char *suffix, uint64_t size)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd =
		openat(dir_fd, format_name(name, seq, suffix), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return 0;
}

/* The size of a file, 0 if it is missing; what is no regular file is taken for a full one. −errno:
 * nobody knows, and so nothing may be done to it. */
static int64_t size_of(int dir_fd, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	if (fstatat(dir_fd, format_name(name, seq, suffix), &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(status.st_mode) ? status.st_size : 1;
}

/* Gives a file another name, which begins with its old one, unless it is empty. */
static int put_aside(int dir_fd, uint64_t seq, const char *suffix)
{
	char from[FORMAT_NAME_SIZE], to[ASIDE_NAME_SIZE];
	int64_t size = size_of(dir_fd, seq, suffix);

	if (size <= 0)
		return size < 0 ? (int)size : segment_delete_file(dir_fd, seq, suffix);
	format_name(from, seq, suffix);
	for (int i = 1; i <= ASIDE_MAX; i++) {
		snprintf(to, sizeof(to), "%s.aside%d", from, i);
		if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Counts the records that are whole, and the data that they take. −EBADMSG and the like: the index
 * is not one that can be read. */
static int walk(int dir_fd, uint64_t seq, uint64_t *ret_records, uint64_t *ret_data_size)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;
	uint64_t records = 0, data_size = 0;
	int64_t there = size_of(dir_fd, seq, FORMAT_DATA_SUFFIX);
	int r = there < 0 ? (int)there : reader_open(dir_fd, seq, false, &reader);

	if (r < 0)
		return r;
	/* The separator behind a payload is in no checksum: it has to be there too. */
	while ((r = reader_next(reader, &record)) > 0 &&
	       reader_data_end(reader) <= (uint64_t)there) {
		records++;
		data_size = reader_data_end(reader);
	}
	if (r < 0 && r != -EBADMSG)
		return r;
	*ret_records = records;
	*ret_data_size = data_size;
	return 0;
}

static bool is_unreadable(int error)
{
	return error == -EBADMSG || error == -ENOMSG || error == -EPROTO || error == -ELOOP;
}

static int put_segment_aside(int dir_fd, struct listing_entry *entry, const char *index_suffix)
{
	int r = put_aside(dir_fd, entry->first_seq, FORMAT_DATA_SUFFIX);
	int64_t size = size_of(dir_fd, entry->first_seq, index_suffix);

	if (r >= 0 && size < 0)
		r = (int)size;
	else if (r >= 0 && size <= FORMAT_HEADER_SIZE)
		r = segment_delete_file(dir_fd, entry->first_seq,
					index_suffix); /* no entry, no news */
	else if (r >= 0)
		r = put_aside(dir_fd, entry->first_seq, index_suffix);
	entry->data = entry->open = entry->sealed = false;
	return r;
}

/* Whether the process died before it wrote the first entry: then data that is there does not count.
 * `walked` is what walk() returned. */
static bool is_just_begun(int dir_fd, uint64_t seq, int walked)
{
	int64_t index = size_of(dir_fd, seq, FORMAT_OPEN_SUFFIX);

	if (index < 0)
		return false;
	if (index < FORMAT_HEADER_SIZE)
		return size_of(dir_fd, seq, FORMAT_DATA_SUFFIX) == 0;
	return walked >= 0 && index < FORMAT_HEADER_SIZE + FORMAT_ENTRY_SIZE;
}

static int seal(int dir_fd, struct listing_entry *entry)
{
	char from[FORMAT_NAME_SIZE], to[FORMAT_NAME_SIZE];
	uint64_t seq = entry->first_seq, records = 0, data_size = 0;
	int r = walk(dir_fd, seq, &records, &data_size);

	if (records == 0 && is_just_begun(dir_fd, seq, r)) {
		entry->data = entry->open = false;
		return segment_delete(dir_fd, seq, FORMAT_OPEN_SUFFIX);
	}
	if (is_unreadable(r) || (r >= 0 && records == 0))
		return put_segment_aside(dir_fd, entry, FORMAT_OPEN_SUFFIX);
	if (r >= 0)
		r = cut(dir_fd, seq, FORMAT_OPEN_SUFFIX,
			FORMAT_HEADER_SIZE + records * FORMAT_ENTRY_SIZE);
	if (r >= 0)
		r = cut(dir_fd, seq, FORMAT_DATA_SUFFIX, data_size);
	if (r < 0)
		return r;
	format_name(from, seq, FORMAT_OPEN_SUFFIX);
	if (renameat(dir_fd, from, dir_fd, format_name(to, seq, FORMAT_INDEX_SUFFIX)) < 0)
		return -errno;
	entry->open = false;
	entry->sealed = true;
	return 0;
}

int recover_segment(int dir_fd, struct listing_entry *entry)
{
	uint64_t seq = entry->first_seq;

	if (entry->packed || entry->packing) {
		int r = pack_recover(dir_fd, entry);

		if (r < 0 || entry->packed)
			return r;
	}
	if (entry->data && entry->sealed) {
		int64_t size = size_of(dir_fd, seq, FORMAT_INDEX_SUFFIX);

		if (size < 0)
			return (int)size;
		if (size >= FORMAT_HEADER_SIZE + FORMAT_ENTRY_SIZE)
			return 0;
		return put_segment_aside(dir_fd, entry, FORMAT_INDEX_SUFFIX);
	}
	if (entry->data && entry->open)
		return seal(dir_fd, entry);
	if (entry->data) {
		entry->data = false;
		return put_aside(dir_fd, seq, FORMAT_DATA_SUFFIX);
	}
	if (entry->sealed) {
		entry->sealed = false;
		return segment_delete_file(dir_fd, seq, FORMAT_INDEX_SUFFIX);
	}
	entry->open = false;
	return segment_delete_file(dir_fd, seq, FORMAT_OPEN_SUFFIX);
}
