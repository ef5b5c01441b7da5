/*
 * A server's decoder for what a client of ours may send: whole messages, in one frame each, and
 * control frames, masked, and nothing behind a Close.
 */
#include "said.h"

#include "base/crc32c.h"
#include "base/utf8.h"
#include "websocket/close.h"
#include "websocket/frame_encode.h"

#include <stdlib.h>

#define FINAL 0x80
#define MASKED 0x80
#define FORBIDDEN 0x30 /* reserved bits that nothing was agreed on for */

static void check(bool fine)
{
	if (!fine)
		abort();
}

static bool is_text(const uint8_t *data, size_t size)
{
	return utf8_validate(UTF8_WHOLE, data, size) == UTF8_WHOLE;
}

static void check_close(struct said *said, const uint8_t *data, size_t size)
{
	said->closed = true;
	said->code = CLOSE_NO_CODE;
	if (size == 0)
		return;
	check(size >= 2);
	said->code = (uint16_t)(data[0] << 8 | data[1]);
	check(close_code_is_valid(said->code));
	check(is_text(data + 2, size - 2));
}

static void check_payload(struct said *said, uint8_t first, const uint8_t *data, size_t size)
{
	uint8_t opcode = first & 0x0f;
	bool packed = first & FRAME_BIT_PACKED;

	check(opcode == FRAME_TEXT || opcode == FRAME_BINARY ||
	      (opcode >= FRAME_CLOSE && opcode <= FRAME_PONG && size <= FRAME_CONTROL_MAX));
	check(!packed || (said->compressed && opcode < FRAME_CLOSE && size > 0));
	if (opcode == FRAME_TEXT && !packed)
		check(is_text(data, size));
	if (opcode == FRAME_CLOSE)
		check_close(said, data, size);
}

/* Reads the length of a payload, and moves on to the mask. */
static size_t take_length(uint8_t **at, const uint8_t *end)
{
	size_t size = *(*at)++ & 0x7f, bytes = size == 126 ? 2 : size == 127 ? 8 : 0;

	if (bytes == 0)
		return size;
	check((size_t)(end - *at) >= bytes);
	for (size = 0; bytes > 0; bytes--)
		size = size << 8 | *(*at)++;
	check(size > 125);
	return size;
}

void said_take(struct said *said, uint8_t *data, size_t size)
{
	uint8_t *at = data, *end = data + size;

	while (at < end) {
		uint8_t first = *at++, *mask;
		size_t length;

		check(!said->closed && first & FINAL && !(first & FORBIDDEN));
		check(at < end && *at & MASKED);
		length = take_length(&at, end);
		check((size_t)(end - at) >= 4 && (size_t)(end - at) - 4 >= length);
		mask = at;
		at += 4;
		frame_mask(at, length, mask);
		check_payload(said, first, at, length);
		said->digest = crc32c(said->digest, &first, 1);
		said->digest = crc32c(said->digest, &length, sizeof(length));
		said->digest = crc32c(said->digest, at, length);
		said->frames++;
		at += length;
	}
}
