/*
 * A segment is acknowledged by deleting it: there is no ledger that could say something else than
 * the directory does. The data goes first, since it is what a processor would do twice; an index
 * without data is known to be a leftover.
 */
#include "spool/segment.h"

#include "base/macro.h"
#include "spool/format.h"
#include "spool/reader.h"

#include <errno.h>

int segment_check(int dir_fd, struct segment *segment)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct segment counted = *segment;
	struct record record;
	int r = reader_open(dir_fd, segment->first_seq, true, &reader);

	if (r < 0)
		return r;
	while ((r = reader_next(reader, &record)) > 0)
		if (!format_is_event(&record.entry))
			segment_count(&counted, &record.entry);
	if (r < 0)
		return r;
	counted.counted = true;
	*segment = counted;
	return 0;
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
