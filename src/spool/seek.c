/*
 * Two binary searches: first over the segments, by the time of the first record of each, then over
 * the records of the segment that is left. So a moment in a terabyte is found with some dozens of
 * small reads. What cannot be read is no landmark: the next one that can be takes its place.
 */
#include "spool/seek.h"

#include "spool/reader.h"

#include <errno.h>

static int open_reader(int dir_fd, const struct listing_entry *entry, struct reader **ret_reader)
{
	int r = -ENOENT;

	if (!entry->sealed)
		r = reader_open_lenient(dir_fd, entry->first_seq, false, ret_reader);
	return r == -ENOENT ? reader_open_lenient(dir_fd, entry->first_seq, true, ret_reader) : r;
}

/* Whether the first record of a segment that can be told, of those from `*at` up to `end`, is
 * earlier; then `*at` is that segment. 0 also when there is none. */
static int is_segment_earlier(int dir_fd, const struct listing *listing, size_t *at, size_t end,
			      uint64_t time_ns)
{
	for (size_t i = *at; i < end; i++) {
		CLEANUP(reader_free) struct reader *reader = NULL;
		uint64_t found_ns;
		int r = open_reader(dir_fd, &listing->entries[i], &reader);

		if (r == -ENOMEM)
			return r;
		if (r < 0 || reader_time(reader, 0, &found_ns) < 0)
			continue;
		*at = i;
		return found_ns < time_ns;
	}
	return 0;
}

/* The same of records. */
static bool is_record_earlier(struct reader *reader, uint64_t *at, uint64_t end, uint64_t time_ns)
{
	for (uint64_t i = *at; i < end; i++) {
		uint64_t found_ns;

		if (reader_time(reader, i, &found_ns) < 0)
			continue;
		*at = i;
		return found_ns < time_ns;
	}
	return false;
}

static uint64_t seek_record(struct reader *reader, uint64_t count, uint64_t time_ns)
{
	uint64_t low = 0, high = count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2, at = middle;

		if (is_record_earlier(reader, &at, high, time_ns))
			low = at + 1;
		else
			high = middle;
	}
	return low;
}

int seek_time(int dir_fd, const struct listing *listing, uint64_t time_ns, uint64_t *ret_seq)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	size_t low = 0, high = listing->count;
	const struct listing_entry *entry;
	uint64_t count;
	int r;

	while (low < high) {
		size_t middle = low + (high - low) / 2, at = middle;

		r = is_segment_earlier(dir_fd, listing, &at, high, time_ns);
		if (r < 0)
			return r;
		if (r > 0)
			low = at + 1;
		else
			high = middle;
	}
	if (low == 0) {
		*ret_seq = listing->count > 0 ? listing->entries[0].first_seq : 0;
		return 0;
	}
	entry = &listing->entries[low - 1];
	*ret_seq = entry->first_seq;
	r = open_reader(dir_fd, entry, &reader);
	if (r == -ENOMEM)
		return r;
	if (r >= 0 && reader_count(reader, &count) >= 0)
		*ret_seq += seek_record(reader, count, time_ns);
	return 0;
}
