/* A server's compression, for tests: messages as RFC 7692 has them. */
#ifndef WEIR_TEST_PACK_SUPPORT_H
#define WEIR_TEST_PACK_SUPPORT_H

#include "test_support.h"

#include "base/buffer.h"

#include <zlib.h>

struct packer {
	z_stream stream;
	bool no_context_takeover;
};

static inline void packer_init(struct packer *packer, bool no_context_takeover)
{
	*packer = (struct packer){.no_context_takeover = no_context_takeover};
	assert_int_equal(deflateInit2(&packer->stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
}

static inline void packer_done(struct packer *packer)
{
	deflateEnd(&packer->stream);
}

/* Appends what a message becomes. */
static inline void pack(struct packer *packer, const void *data, size_t size, struct buffer *to)
{
	z_stream *stream = &packer->stream;
	uLong room = deflateBound(stream, (uLong)size) + 16;
	CLEANUP_FREE uint8_t *packed = malloc(room), *from = exact_copy(data, size);

	assert_non_null(packed);
	if (size == 0) { /* which a second flush in a row says nothing of */
		assert_int_equal(buffer_append(to, "", 1), 0);
		return;
	}
	stream->next_in = from;
	stream->avail_in = (uInt)size;
	stream->next_out = packed;
	stream->avail_out = (uInt)room;
	assert_int_equal(deflate(stream, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(stream->avail_in, 0);
	assert_true(stream->avail_out > 0);
	assert_int_equal(buffer_append(to, packed, room - stream->avail_out - 4), 0);
	if (packer->no_context_takeover)
		assert_int_equal(deflateReset(stream), Z_OK);
}

#endif
