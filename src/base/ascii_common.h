/* Both variants of ascii_only(): the same loop over lanes of another width. */
#ifndef WEIR_BASE_ASCII_COMMON_H
#define WEIR_BASE_ASCII_COMMON_H

#include "base/ascii.h"

#include <string.h>

#define ASCII_HIGH_BITS UINT64_C(0x8080808080808080)

static inline bool ascii_short(const uint8_t *text, size_t size)
{
	uint64_t seen = 0, word;

	for (; size >= sizeof(word); text += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		seen |= word;
	}
	for (; size > 0; text++, size--)
		seen |= *text;
	return (seen & ASCII_HIGH_BITS) == 0;
}

#endif
