/*
 * Terminals obey control characters: those from U+0000 to U+001F, U+007F, and those from U+0080 to
 * U+009F, which UTF-8 writes as C2 80 to C2 9F. A server's word may stand in an error message, but
 * it must not clear the screen.
 */
#include "base/printable.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_control(const uint8_t *character)
{
	return character[0] < ' ' || character[0] == 0x7f ||
	       (character[0] == 0xc2 && character[1] < 0xa0);
}

void printable_copy(char *to, size_t room, const void *text, size_t size)
{
	const uint8_t *from = text;

	while (size > 0) {
		size_t whole = utf8_character(from, size), step = whole > 0 ? whole : 1;

		if (room <= step)
			break;
		if (whole == 0 || is_control(from)) {
			*to++ = '?';
			room--;
		} else {
			to = mempcpy(to, from, whole);
			room -= whole;
		}
		from += step;
		size -= step;
	}
	*to = '\0';
}
