/* CRC32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every record in a spool. */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `size` bytes: crc32c(crc32c(0, a), b) is that of a and b in a
 * row. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same over three words and a half one, as they stand in memory on a little-endian machine. */
uint32_t crc32c_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d);

#endif
