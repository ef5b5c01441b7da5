/* scan_bytes() in plain C, for machines without the instructions: two passes. */
#ifndef WEIR_BASE_SCAN_PORTABLE_H
#define WEIR_BASE_SCAN_PORTABLE_H

#include "base/ascii.h"
#include "base/crc32c_portable.h"
#include "base/scan.h"

static inline struct scan scan_portable(uint32_t crc, const void *data, size_t size)
{
	return (struct scan){
		.crc = crc32c_portable(crc, data, size),
		.ascii = ascii_only(data, size),
	};
}

#endif
