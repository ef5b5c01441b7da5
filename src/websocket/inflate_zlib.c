/*
 * zlib does the work. What is added is where a message ends.
 *
 * A sender ends each with an empty stored block, and leaves its last four bytes out. They are put
 * back without any room for output: so what they complete can only be that block, and a message
 * that stops in the middle of something is found out. Z_BLOCK makes zlib tell when no block is open
 * at all. Then nothing was left out: the message is empty, its sender forgot to take the four bytes
 * off, or it ended with a final block.
 *
 * After a final block (section 7.2.3.5) zlib is made to begin anew, with the window that it had.
 *
 * zlib sees a distance beyond a small window only if that is not in the memory for the output by
 * chance. So the window is always the largest: then the result does not depend on how the stream
 * comes in pieces, and a server whose zlib made 9 bits out of 8 (as all did before 1.2.9) is
 * understood.
 */
#include "websocket/inflate.h"

#include "websocket/zlib_memory.h"

#include <errno.h>
#include <limits.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BITS 15

/* What zlib says of where it stopped, in data_type. */
#define TYPE_BITS 63 /* so many bits of the last byte are not used yet */
#define TYPE_FINAL 64
#define TYPE_BLOCK_END 128

struct inflater {
	z_stream stream;
	bool no_context_takeover;
	bool between_blocks;
	bool full; /* the room was used up inside of a block: there may be more output */
	uint8_t window[1 << WINDOW_BITS];
};

int inflater_new(bool no_context_takeover, struct inflater **ret_inflater)
{
	CLEANUP(inflater_free) struct inflater *inflater = calloc(1, sizeof(*inflater));

	if (!inflater)
		return -ENOMEM;
	inflater->no_context_takeover = no_context_takeover;
	inflater->between_blocks = true;
	inflater->stream.zalloc = zlib_memory_alloc;
	inflater->stream.zfree = zlib_memory_free;
	if (inflateInit2(&inflater->stream, -WINDOW_BITS) != Z_OK)
		return -ENOMEM;
	/* This makes it take the memory for the window now. */
	if (inflateSetDictionary(&inflater->stream, inflater->window, 0) != Z_OK)
		return -ENOMEM;
	*ret_inflater = TAKE_PTR(inflater);
	return 0;
}

void inflater_free(struct inflater *inflater)
{
	if (!inflater)
		return;
	inflateEnd(&inflater->stream);
	free(inflater);
}

void inflater_reset(struct inflater *inflater, bool no_context_takeover)
{
	inflateReset(&inflater->stream);
	inflater->no_context_takeover = no_context_takeover;
	inflater->between_blocks = true;
	inflater->full = false;
}

static int begin_anew(struct inflater *inflater)
{
	z_stream *stream = &inflater->stream;
	uInt size = 0;
	int r = inflateGetDictionary(stream, inflater->window, &size);

	if (r == Z_OK)
		r = inflateReset(stream);
	if (r == Z_OK)
		r = inflateSetDictionary(stream, inflater->window, size);
	inflater->between_blocks = true;
	return r;
}

/* Takes note of where zlib stopped. */
static int note(struct inflater *inflater)
{
	unsigned type = (unsigned)inflater->stream.data_type;

	if (type & TYPE_BLOCK_END && type & TYPE_FINAL)
		return begin_anew(inflater);
	inflater->between_blocks = type & TYPE_BLOCK_END && !(type & TYPE_BITS);
	return Z_OK;
}

/* Runs zlib once, which stops behind each block. */
static int step(struct inflater *inflater, struct inflater_span *span)
{
	z_stream *stream = &inflater->stream;
	uInt size = (uInt)MIN(span->size, (size_t)UINT_MAX);
	uInt room = (uInt)MIN(span->room, (size_t)UINT_MAX);
	int r;

	stream->next_in = span->from;
	stream->avail_in = size;
	stream->next_out = span->to;
	stream->avail_out = room;
	r = inflate(stream, Z_BLOCK);
	span->from += size - stream->avail_in;
	span->size -= size - stream->avail_in;
	span->to += room - stream->avail_out;
	span->room -= room - stream->avail_out;
	if (r == Z_OK || r == Z_BUF_ERROR) /* the latter: there was nothing to do */
		r = note(inflater);
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_OK ? 0 : -EBADMSG;
}

int inflater_run(struct inflater *inflater, struct inflater_span *span)
{
	int r = 0;

	while (r == 0 && span->room > 0 && (span->size > 0 || inflater->full)) {
		r = step(inflater, span);
		inflater->full = span->room == 0 && !inflater->between_blocks;
	}
	return r;
}

static int put_back_the_tail(struct inflater *inflater, uint8_t *to)
{
	static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
	struct inflater_span span = {.from = tail, .size = sizeof(tail), .to = to};
	int r = step(inflater, &span);

	if (r < 0)
		return r;
	return span.size == 0 && inflater->between_blocks ? 0 : -EBADMSG;
}

int inflater_end(struct inflater *inflater, struct inflater_span *span)
{
	int r = inflater_run(inflater, span);

	if (r < 0)
		return r;
	if (span->size > 0 || inflater->full)
		return 0;
	if (!inflater->between_blocks)
		r = put_back_the_tail(inflater, span->to);
	if (r < 0)
		return r;
	if (inflater->no_context_takeover && inflateReset(&inflater->stream) != Z_OK)
		return -EBADMSG;
	return 1;
}
