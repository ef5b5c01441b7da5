/*
 * Where the table of a compressed file is damaged, the frames themselves tell where they end: one
 * stands right behind the other, and each says how much it holds. Behind one that does not, the
 * next one is looked for by its magic number.
 *
 * What lies between is taken for one frame, of the size that all but the last have. If that is
 * wrong, the records behind it turn out to be damaged; none turns out to be another one, since each
 * has a checksum.
 */
#include "base/array.h"
#include "spool/codec.h"
#include "spool/format.h"
#include "spool/seek_table.h"
#include "spool/window.h"

#include <errno.h>
#include <fcntl.h>

#define PIECE KIB(64)
#define HEAD_SIZE 18 /* of a frame, at most */
#define TRIES_MAX 4096
#define MAGIC_SIZE 4

struct scan {
	struct window window;
	struct seek_table table;
	size_t room; /* for frames */
	size_t tries;
	uint64_t at;
};

static void scan_donep(struct scan *scan)
{
	window_done(&scan->window);
	seek_table_done(&scan->table);
}

/* 1: a frame of data begins there, of these sizes. 0: none, as far as can be seen. */
static int measure(struct scan *scan, uint64_t at, size_t *ret_packed, size_t *ret_plain)
{
	const uint8_t *bytes;
	ssize_t n = window_show(&scan->window, at, HEAD_SIZE, &bytes), plain, packed;

	plain = n < 0 ? n : codec_plain_size(bytes, (size_t)n);
	if (n < 0 || plain <= 0 || (size_t)plain > SEEK_TABLE_FRAME_MAX)
		return (int)MIN(n, (ssize_t)0);
	n = window_show(&scan->window, at, codec_room((size_t)plain), &bytes);
	packed = n < 0 ? n : codec_packed_size(bytes, (size_t)n);
	if (n < 0 || packed <= 0)
		return (int)MIN(n, (ssize_t)0);
	*ret_packed = (size_t)packed;
	*ret_plain = (size_t)plain;
	return 1;
}

/* 1: the frame of the index begins there. It may be cut. */
static int is_index(struct scan *scan, uint64_t at)
{
	struct format_header header;
	const uint8_t *bytes;
	size_t size = SEEK_TABLE_HEAD_SIZE + FORMAT_HEADER_SIZE;
	ssize_t n = window_show(&scan->window, at, size, &bytes);

	if (n < (ssize_t)size)
		return (int)MIN(n, (ssize_t)0);
	return seek_table_is_index(bytes) &&
	       format_read_header(bytes + SEEK_TABLE_HEAD_SIZE, &header) != FORMAT_FOREIGN;
}

/* `plain`: 0 when it is not known yet. */
static int add_frame(struct scan *scan, uint64_t packed, size_t plain)
{
	struct seek_table *table = &scan->table;
	struct seek_frame *frames;

	if (table->count + 1 >= SEEK_TABLE_FRAMES_MAX || packed > SEEK_TABLE_FRAME_MAX * 2)
		return -EBADMSG;
	frames = array_grow(table->frames, table->count, &scan->room, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	table->frames = frames;
	frames[table->count++] = (struct seek_frame){.at = scan->at, .start = plain};
	table->packed_max = MAX(table->packed_max, (size_t)packed);
	table->plain_max = MAX(table->plain_max, plain);
	scan->at += packed;
	return 0;
}

/* Where a magic number stands in these bytes; NULL: nowhere. */
static const uint8_t *find_magic(const uint8_t *bytes, size_t size)
{
	for (; size >= MAGIC_SIZE; bytes++, size--)
		if (codec_is_magic(bytes) || seek_table_is_index(bytes))
			return bytes;
	return NULL;
}

/* Finds what can be read again from `*at` on. 1, or 0: nothing. */
static int find_next(struct scan *scan, uint64_t *at)
{
	size_t packed, plain;
	const uint8_t *bytes, *found;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = window_show(&scan->window, *at, PIECE, &bytes)) >= MAGIC_SIZE) {
		found = find_magic(bytes, (size_t)n);
		*at += found ? (uint64_t)(found - bytes) : (uint64_t)n - (MAGIC_SIZE - 1);
		if (!found)
			continue;
		if (scan->tries++ >= TRIES_MAX)
			return 0;
		r = is_index(scan, *at);
		if (r == 0)
			r = measure(scan, *at, &packed, &plain);
		*at += r == 0;
	}
	return n < 0 ? (int)n : r;
}

/* 1: that was the last one, and the index follows. */
static int scan_one(struct scan *scan)
{
	size_t packed, plain;
	uint64_t next = scan->at + 1;
	int r = is_index(scan, scan->at);

	if (r != 0)
		return r;
	r = measure(scan, scan->at, &packed, &plain);
	if (r > 0)
		return add_frame(scan, packed, plain);
	if (r == 0)
		r = find_next(scan, &next);
	if (r == 0)
		return -EBADMSG;
	return r < 0 ? r : add_frame(scan, next - scan->at, 0);
}

/* Sizes become places, and there is one more of them. */
static int finish(struct scan *scan, uint64_t file_size)
{
	struct seek_table *table = &scan->table;
	const uint8_t *head;
	uint64_t start = 0;
	ssize_t n = window_show(&scan->window, scan->at, SEEK_TABLE_HEAD_SIZE, &head);
	int r = n < 0 ? (int)n : add_frame(scan, 0, 0);

	if (r < 0)
		return r;
	table->count--;
	table->plain_max = table->plain_max > 0 ? table->plain_max : SEEK_TABLE_FRAME_SIZE;
	for (size_t i = 0; i <= table->count; i++) {
		uint64_t size =
			table->frames[i].start > 0 ? table->frames[i].start : table->plain_max;

		table->frames[i].start = start;
		start += size;
	}
	table->index_at = scan->at + SEEK_TABLE_HEAD_SIZE;
	table->index_size = MIN(seek_table_read_head(head), file_size - table->index_at);
	return 0;
}

int seek_table_scan(int fd, struct seek_table *ret_table)
{
	CLEANUP(scan_done) struct scan scan = {.at = 0};
	struct input input = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
	uint64_t size;
	int r = input.fd < 0 ? -errno : 0, other;

	other = window_init(&scan.window, &input, codec_room(SEEK_TABLE_FRAME_MAX));
	if (r >= 0)
		r = other;
	if (r >= 0)
		r = input_size(&scan.window.input, &size);
	while (r == 0)
		r = scan.at < size ? scan_one(&scan) : -EBADMSG;
	if (r >= 0)
		r = finish(&scan, size);
	if (r < 0)
		return r;
	*ret_table = scan.table;
	scan.table = (struct seek_table){0};
	return 0;
}
