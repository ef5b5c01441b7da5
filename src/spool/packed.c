/*
 * Data is decompressed frame by frame. Who reads from the beginning to the end, in pieces of any
 * size, has each frame decompressed once, since the last one stays in memory; who wants one payload
 * somewhere pays for one frame, or two.
 */
#include "spool/packed.h"

#include "base/io.h"
#include "spool/codec.h"
#include "spool/seek_table.h"

#include <errno.h>
#include <string.h>

#define NO_FRAME SIZE_MAX

struct packed {
	int fd;
	struct seek_table table;
	struct codec *codec;	/* these three are made by the first read */
	uint8_t *raw, *decoded; /* one frame, on the disk and decompressed */
	size_t in_memory;	/* which one is decompressed, or NO_FRAME */
	size_t decoded_size;	/* of it: less than it holds when it is damaged */
	bool has_table;
	bool damaged; /* a frame was, that was read */
};

static int open_with(int fd, bool lenient, struct packed **ret_packed)
{
	CLEANUP(packed_free) struct packed *packed = calloc(1, sizeof(*packed));
	int r;

	if (!packed) {
		close(fd);
		return -ENOMEM;
	}
	packed->fd = fd;
	packed->in_memory = NO_FRAME;
	if (!codec_exists())
		return -EPROTO;
	r = seek_table_read(fd, &packed->table);
	packed->has_table = r >= 0;
	if (r == -EBADMSG && lenient)
		r = seek_table_scan(fd, &packed->table);
	if (r < 0)
		return r;
	*ret_packed = TAKE_PTR(packed);
	return 0;
}

int packed_open(int fd, struct packed **ret_packed)
{
	return open_with(fd, false, ret_packed);
}

int packed_open_lenient(int fd, struct packed **ret_packed)
{
	return open_with(fd, true, ret_packed);
}

bool packed_has_table(const struct packed *packed)
{
	return packed->has_table;
}

void packed_free(struct packed *packed)
{
	if (!packed)
		return;
	close_fdp(&packed->fd);
	seek_table_done(&packed->table);
	codec_free(packed->codec);
	free(packed->raw);
	free(packed->decoded);
	free(packed);
}

uint64_t packed_data_size(const struct packed *packed)
{
	return packed->table.frames[packed->table.count].start;
}

uint64_t packed_index_size(const struct packed *packed)
{
	return packed->table.index_size;
}

/* The frame that holds this byte of the data. */
static size_t find_frame(const struct seek_table *table, uint64_t offset)
{
	size_t low = 0, high = table->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (table->frames[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint64_t packed_part_end(const struct packed *packed, uint64_t offset)
{
	if (offset >= packed_data_size(packed))
		return offset;
	return packed->table.frames[find_frame(&packed->table, offset) + 1].start;
}

static int prepare(struct packed *packed)
{
	int r = packed->codec ? 0 : codec_new(CODEC_LEVEL_DEFAULT, &packed->codec);

	if (r < 0)
		return r;
	if (!packed->raw)
		packed->raw = malloc(packed->table.packed_max);
	if (!packed->decoded)
		packed->decoded = malloc(packed->table.plain_max);
	return packed->raw && packed->decoded ? 0 : -ENOMEM;
}

bool packed_was_whole(const struct packed *packed)
{
	return packed->has_table && !packed->damaged;
}

static size_t plain_size(const struct packed *packed, size_t frame)
{
	const struct seek_frame *frames = packed->table.frames;

	return (size_t)(frames[frame + 1].start - frames[frame].start);
}

/* Of a damaged frame, what stands before the damage: each record has a checksum. A count. */
static ssize_t decode(struct packed *packed, size_t frame, uint8_t *to)
{
	const struct seek_frame *at = &packed->table.frames[frame];
	size_t size = (size_t)(at[1].at - at[0].at), there = plain_size(packed, frame);
	ssize_t n = io_pread_all(packed->fd, packed->raw, size, (off_t)at[0].at);
	int r;

	if (n < 0)
		return n;
	r = codec_decompress(packed->codec, to, there, packed->raw, (size_t)n);
	packed->damaged |= r == -EBADMSG;
	if (r == -EBADMSG)
		return codec_salvage(packed->codec, to, there, packed->raw, (size_t)n);
	return r < 0 ? r : (ssize_t)there;
}

/* Copies what a frame holds from byte `skip` on, at most `size` bytes. A count or −errno. */
static ssize_t read_frame(struct packed *packed, size_t frame, size_t skip, uint8_t *to,
			  size_t size)
{
	if (frame != packed->in_memory) {
		bool whole = skip == 0 && size >= plain_size(packed, frame);
		ssize_t n;

		packed->in_memory = whole ? packed->in_memory : NO_FRAME;
		n = decode(packed, frame, whole ? to : packed->decoded);
		if (n < 0 || whole)
			return n == 0 ? -EBADMSG : n;
		packed->in_memory = frame;
		packed->decoded_size = (size_t)n;
	}
	if (skip >= packed->decoded_size)
		return -EBADMSG;
	size = MIN(size, packed->decoded_size - skip);
	memcpy(to, packed->decoded + skip, size);
	return (ssize_t)size;
}

ssize_t packed_read(struct packed *packed, uint64_t offset, void *data, size_t size)
{
	uint64_t end = packed_data_size(packed);
	uint8_t *to = data;
	size_t done = 0;
	int r = prepare(packed);

	if (r < 0)
		return r;
	while (done < size && offset + done < end) {
		size_t frame = find_frame(&packed->table, offset + done);
		uint64_t skip = offset + done - packed->table.frames[frame].start;
		ssize_t n = read_frame(packed, frame, (size_t)skip, to + done, size - done);

		if (n < 0)
			return done > 0 && n == -EBADMSG ? (ssize_t)done : n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t packed_read_index(const struct packed *packed, uint64_t offset, void *data, size_t size)
{
	const struct seek_table *table = &packed->table;

	if (offset >= table->index_size)
		return 0;
	return io_pread_all(packed->fd, data,
			    (size_t)MIN((uint64_t)size, table->index_size - offset),
			    (off_t)(table->index_at + offset));
}
