/* Where no better variant was built, a scan is the portable one. */
#include "base/scan.h"

#include "base/crc32c.h"
#include "base/scan_portable.h"

#include <string.h>

struct scan scan_bytes(uint32_t crc, const void *data, size_t size)
{
	return scan_portable(crc, data, size);
}

struct scan scan_copy(uint32_t crc, void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return scan_portable(crc, to, size);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	return crc32c_portable(crc, data, size);
}

uint32_t crc32c_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d)
{
	return crc32c_portable_fields(crc, a, b, c, d);
}
