/*
 * zlib does the work. A message ends with a sync flush, whose last four bytes are left out.
 *
 * zlib cannot compress for a window of 8 bits: without its own header it refuses them, and it used
 * to make 9 of them silently. The smallest window with only runs of one byte (Z_RLE) is sure to
 * stay within 256 bytes, since no distance is larger than 1 then.
 */
#include "websocket/deflate.h"

#include "websocket/zlib_memory.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BITS_MIN 8
#define WINDOW_BITS_MAX 15
#define ZLIB_BITS_MIN 9
#define MEMORY_LEVEL 8 /* zlib's default */
#define TAIL_SIZE 4
#define CHUNK_SIZE KIB(4)

struct deflater {
	z_stream stream;
	bool no_context_takeover;
	bool begun; /* a message was, with at least one byte */
};

int deflater_new(int window_bits, bool no_context_takeover, struct deflater **ret_deflater)
{
	CLEANUP(deflater_free) struct deflater *deflater = NULL;
	int strategy = window_bits < ZLIB_BITS_MIN ? Z_RLE : Z_DEFAULT_STRATEGY;

	if (window_bits < WINDOW_BITS_MIN || window_bits > WINDOW_BITS_MAX)
		return -EINVAL;
	deflater = calloc(1, sizeof(*deflater));
	if (!deflater)
		return -ENOMEM;
	deflater->no_context_takeover = no_context_takeover;
	deflater->stream.zalloc = zlib_memory_alloc;
	deflater->stream.zfree = zlib_memory_free;
	if (deflateInit2(&deflater->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
			 -MAX(window_bits, ZLIB_BITS_MIN), MEMORY_LEVEL, strategy) != Z_OK)
		return -ENOMEM;
	*ret_deflater = TAKE_PTR(deflater);
	return 0;
}

void deflater_free(struct deflater *deflater)
{
	if (!deflater)
		return;
	deflateEnd(&deflater->stream);
	free(deflater);
}

/* Gives it all to zlib, and takes from it what the flush demands. */
static int feed(z_stream *stream, const void *data, uInt size, int flush, struct buffer *to)
{
	uint8_t chunk[CHUNK_SIZE];
	int r;

	stream->next_in = data;
	stream->avail_in = size;
	do {
		stream->next_out = chunk;
		stream->avail_out = sizeof(chunk);
		if (deflate(stream, flush) == Z_STREAM_ERROR)
			return -EINVAL;
		r = buffer_append(to, chunk, sizeof(chunk) - stream->avail_out);
	} while (r == 0 && stream->avail_out == 0);
	return r;
}

static int compress_piece(z_stream *stream, const uint8_t *data, size_t size, bool last,
			  struct buffer *to)
{
	int r = 0;

	for (; r == 0 && size > UINT_MAX; data += UINT_MAX, size -= UINT_MAX)
		r = feed(stream, data, UINT_MAX, Z_NO_FLUSH, to);
	return r < 0 ? r : feed(stream, data, (uInt)size, last ? Z_SYNC_FLUSH : Z_NO_FLUSH, to);
}

static void finish(struct deflater *deflater, struct buffer *to)
{
	to->size -= TAIL_SIZE;
	deflater->begun = false;
	if (deflater->no_context_takeover)
		deflateReset(&deflater->stream);
}

int deflater_run(struct deflater *deflater, const void *data, size_t size, bool last,
		 struct buffer *to)
{
	size_t before = to->size;
	int r;

	if (size == 0 && !last)
		return 0;
	if (size == 0 && !deflater->begun)
		return buffer_append(to, "", 1); /* an empty message, section 7.2.3.6 */
	deflater->begun = true;
	r = compress_piece(&deflater->stream, data, size, last, to);
	if (r < 0) {
		to->size = before;
		deflater->begun = false;
		deflateReset(&deflater->stream);
	} else if (last) {
		finish(deflater, to);
	}
	return r;
}
