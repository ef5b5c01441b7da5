/* Control characters, quotes and backslashes are escaped; all else stands for itself. */
#include "base/json_text.h"

#include "base/macro.h"
#include "base/utf8.h"

#include <string.h>

void json_text_write(FILE *to, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t size;

	putc('"', to);
	for (size_t left = strlen(text); left > 0; at += size, left -= size) {
		size_t whole = utf8_character(at, left);

		size = MAX(whole, (size_t)1);
		if (whole == 0)
			fputs("\\ufffd", to);
		else if (*at == '"' || *at == '\\')
			fprintf(to, "\\%c", *at);
		else if (*at < ' ')
			fprintf(to, "\\u%04x", *at);
		else
			fwrite(at, 1, whole, to);
	}
	putc('"', to);
}
