/* Which way a scan is done on this machine: asked at every call, since the answer is in memory that
 * is looked at all the time, and a pointer to the right function would be no faster. */
#include "base/scan.h"

#include "base/crc32c.h"
#include "base/scan_narrow.h"
#include "base/scan_portable.h"
#include "base/scan_wide.h"

#include <string.h>

struct scan scan_bytes(uint32_t crc, const void *data, size_t size)
{
	if (size >= SCAN_WIDE_MIN && scan_wide_works())
		return scan_wide_bytes(crc, data, size);
	if (scan_narrow_works())
		return scan_narrow_bytes(crc, data, size);
	return scan_portable(crc, data, size);
}

struct scan scan_copy(uint32_t crc, void *to, const void *from, size_t size)
{
	if (size >= SCAN_WIDE_MIN && scan_wide_works())
		return scan_wide_copy(crc, to, from, size);
	if (scan_narrow_works())
		return scan_narrow_copy(crc, to, from, size);
	memcpy(to, from, size);
	return scan_portable(crc, to, size);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	return scan_bytes(crc, data, size).crc;
}

uint32_t crc32c_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d)
{
	if (scan_narrow_works())
		return scan_narrow_fields(crc, a, b, c, d);
	return crc32c_portable_fields(crc, a, b, c, d);
}
