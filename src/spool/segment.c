/*
 * A segment is acknowledged by deleting it: there is no ledger that could say something else than
 * the directory does. The data goes first, since it is what a processor would do twice; an index
 * without data is known to be a leftover.
 */
#include "spool/segment.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"

#include <errno.h>
#include <fcntl.h>

#define ENTRIES_AT_ONCE 2048

static void count_entry(struct segment *segment, const uint8_t *stored)
{
	struct format_entry entry;

	format_read_entry(stored, &entry);
	if (format_is_event(&entry))
		return;
	if (segment->messages++ == 0)
		segment->first_time_ns = entry.time_ns;
	segment->last_time_ns = entry.time_ns;
	segment->bytes += entry.length;
}

int segment_count(int dir_fd, struct segment *segment)
{
	CLEANUP_FREE uint8_t *entries = malloc((size_t)ENTRIES_AT_ONCE * FORMAT_ENTRY_SIZE);
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd = -1;
	struct segment counted = *segment;

	if (!entries)
		return -ENOMEM;
	fd = openat(dir_fd, format_name(name, segment->first_seq, FORMAT_INDEX_SUFFIX),
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	for (uint64_t done = 0; done < segment->records;) {
		size_t n = (size_t)MIN(segment->records - done, (uint64_t)ENTRIES_AT_ONCE);
		off_t at = (off_t)(FORMAT_HEADER_SIZE + done * FORMAT_ENTRY_SIZE);
		ssize_t r = io_pread_all(fd, entries, n * FORMAT_ENTRY_SIZE, at);

		if (r != (ssize_t)(n * FORMAT_ENTRY_SIZE))
			return r < 0 ? (int)r : -EBADMSG;
		for (size_t i = 0; i < n; i++)
			count_entry(&counted, entries + i * FORMAT_ENTRY_SIZE);
		done += n;
	}
	counted.counted = true;
	*segment = counted;
	return 0;
}

static int delete (int dir_fd, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	if (unlinkat(dir_fd, format_name(name, first_seq, suffix), 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int segment_delete(int dir_fd, const struct segment *segment)
{
	int r = delete (dir_fd, segment->first_seq, FORMAT_DATA_SUFFIX);

	return r < 0 ? r : delete (dir_fd, segment->first_seq, FORMAT_INDEX_SUFFIX);
}
