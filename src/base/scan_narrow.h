/* scan_bytes() and its relatives with the crc32 instruction, word by word. */
#ifndef WEIR_BASE_SCAN_NARROW_H
#define WEIR_BASE_SCAN_NARROW_H

#include "base/scan.h"

/* Whether this machine can. */
static inline bool scan_narrow_works(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

struct scan scan_narrow_bytes(uint32_t crc, const uint8_t *data, size_t size);
struct scan scan_narrow_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
	__attribute__((nonnull));

/* As crc32c_fields(). */
uint32_t scan_narrow_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d);

#endif
