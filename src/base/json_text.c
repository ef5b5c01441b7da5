/* Control characters, quotes and backslashes are escaped, also the control characters that JSON
 * does not mind and terminals obey, U+007F to U+009F; all else stands for itself. */
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
		else if (*at < ' ' || *at == 0x7f)
			fprintf(to, "\\u%04x", *at);
		else if (*at == 0xc2 && at[1] < 0xa0)
			fprintf(to, "\\u%04x", at[1]);
		else
			fwrite(at, 1, whole, to);
	}
	putc('"', to);
}
