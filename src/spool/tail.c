/*
 * An index is written behind the data that it speaks of. So a process that is killed leaves data
 * without an entry and half an entry at most, and neither was ever captured. When the whole machine
 * dies, the order on the disk is another one: there may be entries whose payload never got there.
 * These were captured, and are lost: a gap at the end of the segment says how many.
 *
 * The gap takes the place of entries that are lost, and only then is the rest cut off. A start that
 * dies in between finds its own gap as the last whole record, and goes on from there.
 */
#include "spool/tail.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/macro.h"
#include "spool/appender.h"
#include "spool/format.h"
#include "spool/salvage.h"
#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CUT_MAX MIB(16)
#define PIECE KIB(64)

static bool is_loss(const struct format_entry *entry)
{
	return entry->kind == FORMAT_GAP && entry->flags == FORMAT_FLAG_CAUSE(FORMAT_CAUSE_LOST);
}

/* `last` are the last two whole records, with their places. */
static void see_own_gap(struct tail *tail, const struct record last[2], uint64_t first_seq)
{
	bool in_a_row = last[0].seq + 1 == last[1].seq && tail->keep > 1;

	tail->lost = MAX(tail->entries, tail->lost) - tail->keep;
	if (tail->keep == 0)
		return;
	if (is_loss(&last[1].entry)) {
		tail->keep = last[1].seq - first_seq;
		tail->lost = last[1].entry.length;
		tail->whole--;
		tail->resumed = true;
	} else if (in_a_row && last[1].entry.kind == FORMAT_GAP_END && is_loss(&last[0].entry)) {
		tail->lost = 0;
		tail->resumed = true;
	}
}

static int walk(struct reader *reader, uint64_t first_seq, struct tail *tail)
{
	struct record record, last[2] = {0};
	int r;

	while ((r = reader_next(reader, &record)) != 0) {
		if (r < 0 && reader_passed(reader) == tail->entries)
			return r;
		tail->entries = reader_passed(reader);
		if (r < 0)
			continue;
		tail->damaged |= record.loose || tail->entries - tail->keep > 1;
		tail->keep = tail->entries;
		tail->data_end = reader_data_end(reader);
		tail->whole++;
		last[0] = last[1];
		last[1] = record;
	}
	see_own_gap(tail, last, first_seq);
	return 0;
}

int tail_find(int dir_fd, uint64_t first_seq, struct tail *ret_tail)
{
	CLEANUP(salvage_close) struct salvage_source source = {.first_seq = first_seq};
	struct tail tail = {0};
	int r = salvage_open_segment(&source, dir_fd);

	if (r < 0)
		return r;
	tail.index_size = source.index_size;
	tail.data_size = source.data_size;
	tail.header = reader_has_header(source.reader);
	tail.created_ns = reader_created_ns(source.reader);
	tail.lost = reader_records(source.reader); /* it was about to be sealed with so many */
	r = walk(source.reader, first_seq, &tail);
	if (r < 0)
		return r;
	/* The separator of the last message may be what is missing. */
	tail.damaged |= tail.data_end > tail.data_size;
	*ret_tail = tail;
	return 0;
}

static int copy(int from_fd, int to_fd, uint64_t from, uint64_t size)
{
	CLEANUP_FREE uint8_t *piece = malloc(PIECE);

	if (!piece)
		return -ENOMEM;
	while (size > 0) {
		ssize_t n = io_pread_all(from_fd, piece, (size_t)MIN(size, (uint64_t)PIECE),
					 (off_t)from);
		int r = n <= 0 ? (int)n : io_write_all(to_fd, piece, (size_t)n, NULL);

		if (n <= 0 || r < 0)
			return r;
		from += (uint64_t)n;
		size -= (uint64_t)n;
	}
	return 0;
}

/* Keeps what is behind `from`. It is a help for people, so that nothing depends on it. */
static void keep_cut(int dir_fd, uint64_t seq, int fd, const char *suffix, uint64_t from,
		     uint64_t size)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int cut_fd =
		openat(dir_fd, format_name(name, seq, suffix),
		       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

	if (cut_fd >= 0 && copy(fd, cut_fd, from, size) < 0)
		segment_delete_file(dir_fd, seq, suffix);
}

static void keep_cuts(int dir_fd, uint64_t seq, const int fds[2], const struct tail *tail,
		      uint64_t spare)
{
	uint64_t index_end = FORMAT_HEADER_SIZE + tail->keep * FORMAT_ENTRY_SIZE;
	uint64_t index = tail->resumed ? 0 : tail->index_size - MIN(tail->index_size, index_end);
	uint64_t data = tail->data_size - MIN(tail->data_size, tail->data_end);

	index = MIN(index, (uint64_t)CUT_MAX);
	data = MIN(data, (uint64_t)CUT_MAX);
	if (index + data + (uint64_t)2 * APPENDER_BLOCK > spare)
		return;
	if (index > 0)
		keep_cut(dir_fd, seq, fds[0], FORMAT_INDEX_CUT_SUFFIX, index_end, index);
	if (data > 0)
		keep_cut(dir_fd, seq, fds[1], FORMAT_DATA_CUT_SUFFIX, tail->data_end, data);
}

/* The gap and its end take two numbers. When the next segment leaves but one, it is a gap of the
 * other kind, which has no end. Without space for it there is none, but the start goes on. Returns
 * how many records it is. */
static uint64_t put_gap(const struct tail_options *options, int index_fd, const struct tail *tail)
{
	uint8_t entries[2][FORMAT_ENTRY_SIZE];
	struct format_entry entry = {
		.offset = tail->data_end,
		.length = tail->lost,
		.time_ns = clock_realtime_ns(),
		.kind = FORMAT_GAP,
		.flags = FORMAT_FLAG_CAUSE(FORMAT_CAUSE_LOST),
		.source = FORMAT_SOURCE_ANY,
	};
	off_t at = (off_t)(FORMAT_HEADER_SIZE + tail->keep * FORMAT_ENTRY_SIZE);
	uint64_t next = options->first_seq + tail->keep, count = ARRAY_SIZE(entries);

	if (options->end_seq > 0)
		count = MIN(count, options->end_seq - MIN(options->end_seq, next));
	if (tail->lost == 0 || count == 0)
		return 0;
	if (count == 1)
		entry.flags = FORMAT_FLAG_CAUSE(FORMAT_CAUSE_DAMAGED);
	format_write_entry(entries[0], &entry, 0);
	entry.kind = FORMAT_GAP_END;
	entry.flags = 0;
	entry.length = 0;
	format_write_entry(entries[1], &entry, 0);
	return io_pwrite_all(index_fd, entries, count * FORMAT_ENTRY_SIZE, at) < 0 ? 0 : count;
}

/* Without it, nobody will know how many records there were. A header that is damaged is made again
 * by who mends the segment. */
static void put_header(uint64_t first_seq, int index_fd, const struct tail *tail, uint64_t records)
{
	const struct format_header header = {
		.first_seq = first_seq, .created_ns = tail->created_ns, .records = records};
	uint8_t bytes[FORMAT_HEADER_SIZE];

	if (!tail->header)
		return;
	format_write_header(bytes, &header);
	if (io_pwrite_all(index_fd, bytes, sizeof(bytes), 0) < 0)
		return;
}

static int open_for_cutting(int dir_fd, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	int fd = openat(dir_fd, format_name(name, seq, suffix),
			O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int tail_cut(const struct tail_options *options, const struct tail *tail)
{
	int dir_fd = options->dir_fd;
	uint64_t first_seq = options->first_seq, records = tail->keep;
	CLEANUP_FD int index_fd = open_for_cutting(dir_fd, first_seq, FORMAT_OPEN_SUFFIX);
	CLEANUP_FD int data_fd = open_for_cutting(dir_fd, first_seq, FORMAT_DATA_SUFFIX);

	if (index_fd < 0 || data_fd < 0)
		return MIN(index_fd, data_fd);
	keep_cuts(dir_fd, first_seq, (int[]){index_fd, data_fd}, tail, options->spare);
	records += put_gap(options, index_fd, tail);
	if (ftruncate(index_fd, (off_t)(FORMAT_HEADER_SIZE + records * FORMAT_ENTRY_SIZE)) < 0)
		return -errno;
	if (tail->data_size > tail->data_end && ftruncate(data_fd, (off_t)tail->data_end) < 0)
		return -errno;
	put_header(first_seq, index_fd, tail, records);
	return 0;
}

/* The index goes first: data that is alone is put aside, an index that is alone is deleted. */
int tail_cut_all(const struct tail_options *options, const struct tail *tail, uint64_t *ret_kept)
{
	int dir_fd = options->dir_fd, r;
	uint64_t first_seq = options->first_seq;
	uint64_t size = MIN(tail->data_size, (uint64_t)CUT_MAX);
	CLEANUP_FD int data_fd = -1;

	*ret_kept = 0;
	if (size == 0 || size + APPENDER_BLOCK > options->spare)
		return segment_delete(dir_fd, first_seq, FORMAT_OPEN_SUFFIX);
	data_fd = open_for_cutting(dir_fd, first_seq, FORMAT_DATA_SUFFIX);
	if (data_fd < 0)
		return data_fd;
	r = segment_delete_cuts(dir_fd, first_seq); /* of another start */
	if (r >= 0)
		r = segment_delete_file(dir_fd, first_seq, FORMAT_OPEN_SUFFIX);
	if (r >= 0 && ftruncate(data_fd, (off_t)size) < 0)
		r = -errno;
	if (r >= 0)
		r = segment_rename_file(dir_fd, first_seq, FORMAT_DATA_SUFFIX,
					FORMAT_DATA_CUT_SUFFIX);
	if (r >= 0)
		*ret_kept = size;
	return r;
}
