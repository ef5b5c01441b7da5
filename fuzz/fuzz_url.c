/* Any URL: what is made of one that is taken must be fit for a request line and a Host header. */
#include "websocket/url.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Printable and without blanks: nothing in it can end a line or begin a header. */
static void check_word(const char *text)
{
	if (!*text)
		abort();
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = malloc(size + 1);
	CLEANUP(url_done) struct url url = {0};
	int r;

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	r = url_parse(text, &url);
	if (r > 0 && strlen(url_error_text((enum url_error)r)) == 0)
		abort();
	if (r != 0)
		return 0;
	check_word(url.host_header);
	check_word(url.target);
	check_word(url.dial);
	if (url.target[0] != '/' || strchr(url.target, '#') || strchr(url.host_header, '@') ||
	    strncmp(url.dial, url.tls ? "https://" : "http://", url.tls ? 8 : 7) != 0)
		abort();
	return 0;
}
