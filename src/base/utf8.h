/* UTF-8 validation (RFC 3629) of text that arrives in pieces. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in a character the text stands; opaque but for the two below. */
typedef uint8_t utf8_state;

#define UTF8_INVALID ((utf8_state)0) /* no continuation can make it valid again */
#define UTF8_WHOLE ((utf8_state)6)   /* between two characters: where every text begins and ends */

utf8_state utf8_validate(utf8_state start, const uint8_t *text, size_t size);

/* Whether this is text as a whole. */
static inline bool utf8_is_valid(const void *text, size_t size)
{
	return utf8_validate(UTF8_WHOLE, text, size) == UTF8_WHOLE;
}

/* The size of the character with which the text begins, 1 to 4; 0: it begins with none. */
size_t utf8_character(const uint8_t *text, size_t size);

#endif
