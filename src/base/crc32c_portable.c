/*
 * Four bits at a time through a table of sixteen words: one cache line of table instead of the
 * usual 8 KiB, which the messages in between would push out of the cache again and again.
 */
#include "base/crc32c_portable.h"

#include <endian.h>
#include <string.h>

static const uint32_t nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *byte = data;

	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= byte[i];
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

uint32_t crc32c_portable_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d)
{
	const uint64_t words[] = {htole64(a), htole64(b), htole64(c)};
	const uint32_t half = htole32(d);
	uint8_t bytes[sizeof(words) + sizeof(half)];

	memcpy(bytes, words, sizeof(words));
	memcpy(bytes + sizeof(words), &half, sizeof(half));
	return crc32c_portable(crc, bytes, sizeof(bytes));
}
