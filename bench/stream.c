/*
 * Messages are framed once into a ring of about 1 MiB, which is sent over and over. A message that
 * is larger than the ring is one frame whose payload is the ring's text, over and over, so that a
 * message of 1 GiB needs no 1 GiB of memory.
 *
 * Packed messages are compressed by one run of deflate through the whole ring, as a server with
 * context takeover does it. It begins with nothing to refer to. So when the ring is sent again,
 * nothing in it reaches back behind its beginning: it is as if the server had forgotten, there,
 * what it sent.
 */
#include "stream.h"

#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define RING_SIZE ((size_t)1 << 20)
#define TAIL_SIZE 4 /* 00 00 ff ff, which is left out: RFC 7692 section 7.2.1 */

static uint64_t random_state = 0x9e3779b97f4a7c15;

size_t stream_frame_header(uint8_t header[static STREAM_MAX_HEADER], enum stream_kind kind,
			   uint64_t size)
{
	size_t bytes = size > UINT16_MAX ? 8 : size > 125 ? 2 : 0;

	header[0] = kind == STREAM_BINARY ? 0x82 : kind == STREAM_PACKED ? 0xc1 : 0x81;
	header[1] = (uint8_t)(bytes == 8 ? 127 : bytes == 2 ? 126 : size);
	for (size_t i = 0; i < bytes; i++)
		header[2 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
	return 2 + bytes;
}

/* Varied, so that no tool profits from a constant, and always the same. */
static void fill(uint8_t *data, size_t size, bool binary)
{
	for (size_t i = 0; i < size; i++) {
		uint64_t random = json_random(&random_state);

		data[i] = (uint8_t)(binary ? random >> 40 : ' ' + (random >> 16) % 95);
	}
}

static void fill_frames(struct stream *s)
{
	size_t frame = s->header_size + (size_t)s->message_size;

	for (; s->ring_used + frame <= RING_SIZE; s->ring_messages++) {
		uint8_t *at = s->ring + s->ring_used;

		memcpy(at, s->header, s->header_size);
		fill(at + s->header_size, (size_t)s->message_size, s->kind == STREAM_BINARY);
		s->ring_used += frame;
	}
}

static void init_plain(struct stream *s, uint64_t bytes)
{
	s->messages = bytes / s->message_size + (bytes % s->message_size != 0);
	s->header_size = stream_frame_header(s->header, s->kind, s->message_size);
	s->wire_size = s->messages * (s->header_size + s->message_size);
	s->larger_than_ring = s->message_size > RING_SIZE - STREAM_MAX_HEADER;
	if (s->larger_than_ring) {
		fill(s->ring, RING_SIZE, s->kind == STREAM_BINARY);
		s->ring_used = RING_SIZE;
	} else {
		fill_frames(s);
	}
}

/* Compresses one message to a place in the ring. Returns its size there. */
static size_t pack(z_stream *deflater, char *text, size_t size, uint8_t *to)
{
	json_fill(text, size, &random_state);
	deflater->next_in = (Bytef *)text;
	deflater->avail_in = (uInt)size;
	deflater->next_out = to;
	deflater->avail_out = (uInt)(2 * size);
	deflate(deflater, Z_SYNC_FLUSH);
	return (size_t)(deflater->next_out - to) - TAIL_SIZE;
}

static void fill_packed(struct stream *s, z_stream *deflater, char *text, uint8_t *packed)
{
	size_t size = (size_t)s->message_size;

	while (s->ring_used + STREAM_MAX_HEADER + 2 * size <= RING_SIZE) {
		size_t packed_size = pack(deflater, text, size, packed);
		uint8_t *at = s->ring + s->ring_used;
		size_t header = stream_frame_header(at, s->kind, packed_size);

		memcpy(at + header, packed, packed_size);
		s->ring_used += header + packed_size;
		s->ring_messages++;
	}
}

static int init_packed(struct stream *s, uint64_t bytes)
{
	z_stream deflater = {0};
	char *text = malloc((size_t)s->message_size);
	uint8_t *packed = malloc(2 * (size_t)s->message_size);
	int r = -ENOMEM;

	if (text && packed &&
	    deflateInit2(&deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8,
			 Z_DEFAULT_STRATEGY) == Z_OK) {
		uint64_t ring_bytes, rings;

		fill_packed(s, &deflater, text, packed);
		deflateEnd(&deflater);
		ring_bytes = s->ring_messages * s->message_size;
		rings = bytes / ring_bytes + (bytes % ring_bytes != 0);
		s->messages = rings * s->ring_messages;
		s->wire_size = rings * s->ring_used;
		r = 0;
	}
	free(text);
	free(packed);
	return r;
}

int stream_init(struct stream *s, enum stream_kind kind, uint64_t size, uint64_t bytes)
{
	*s = (struct stream){.kind = kind, .message_size = size, .ring = malloc(RING_SIZE)};
	if (!s->ring)
		return -ENOMEM;
	if (kind != STREAM_PACKED) {
		init_plain(s, bytes);
		return 0;
	}
	if (size < JSON_SIZE_MIN || size > RING_SIZE / 8)
		return -EINVAL;
	return init_packed(s, bytes);
}
