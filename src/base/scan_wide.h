/* scan_bytes() and scan_copy() with registers of 64 bytes. */
#ifndef WEIR_BASE_SCAN_WIDE_H
#define WEIR_BASE_SCAN_WIDE_H

#include "base/scan.h"

#define SCAN_WIDE_MIN 64 /* fewer bytes are not for it */

/* Whether this machine can. */
static inline bool scan_wide_works(void)
{
	return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2") &&
	       __builtin_cpu_supports("vpclmulqdq");
}

/* As scan_bytes() and scan_copy(), of SCAN_WIDE_MIN bytes or more. */
struct scan scan_wide_bytes(uint32_t crc, const uint8_t *data, size_t size);
struct scan scan_wide_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
	__attribute__((nonnull));

#endif
