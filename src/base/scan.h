/* One pass over a payload: its checksum, whether it is ASCII, and a copy if that is wanted. Memory
 * that was read once need not be read again for each of the three. */
#ifndef WEIR_BASE_SCAN_H
#define WEIR_BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
	uint32_t crc; /* crc32c() of the bytes */
	bool ascii;   /* none of them has its highest bit set */
};

/* Continues `crc` (0 to begin) over `size` bytes. */
struct scan scan_bytes(uint32_t crc, const void *data, size_t size);

/* The same, copying the bytes to `to`. The two may not overlap. */
struct scan scan_copy(uint32_t crc, void *to, const void *from, size_t size);

#endif
