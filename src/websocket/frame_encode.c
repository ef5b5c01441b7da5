/*
 * Headers in their shortest form, and the mask that every payload of a client wears.
 */
#include "websocket/frame_encode.h"

#include <string.h>

#define BIT_FINAL 0x80
#define BIT_MASKED 0x80
#define LENGTH_IS_16_BITS 126
#define LENGTH_IS_64_BITS 127

static size_t write_length(uint8_t *to, uint64_t size)
{
	size_t bytes = size < LENGTH_IS_16_BITS ? 0 : size <= UINT16_MAX ? 2 : 8;

	to[0] = bytes == 0 ? (uint8_t)size : bytes == 2 ? LENGTH_IS_16_BITS : LENGTH_IS_64_BITS;
	for (size_t i = 0; i < bytes; i++)
		to[1 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
	return 1 + bytes;
}

size_t frame_write_header(uint8_t to[FRAME_HEADER_MAX], enum frame_opcode opcode, uint64_t size,
			  const uint8_t mask[4])
{
	size_t used = 1 + write_length(to + 1, size);

	to[0] = (uint8_t)(BIT_FINAL | opcode);
	if (!mask)
		return used;
	to[1] |= BIT_MASKED;
	memcpy(to + used, mask, 4);
	return used + 4;
}

void frame_mask(uint8_t *data, size_t size, const uint8_t mask[4])
{
	uint8_t wide[8];
	uint64_t word, key;
	size_t i = 0;

	memcpy(wide, mask, 4);
	memcpy(wide + 4, mask, 4);
	memcpy(&key, wide, sizeof(key));
	for (; size - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		word ^= key;
		memcpy(data + i, &word, sizeof(word));
	}
	for (; i < size; i++)
		data[i] ^= mask[i & 3];
}
