/* CRC32C in plain C, for machines without the instruction. */
#ifndef WEIR_BASE_CRC32C_PORTABLE_H
#define WEIR_BASE_CRC32C_PORTABLE_H

#include <stddef.h>
#include <stdint.h>

/* As crc32c(), see crc32c.h. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

/* As crc32c_fields(). */
uint32_t crc32c_portable_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d);

#endif
