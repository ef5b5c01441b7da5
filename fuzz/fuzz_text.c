/* What people type: URLs, headers, sizes, times and counts. */
#include "base/units.h"
#include "websocket/handshake.h"
#include "websocket/url.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_url(const char *text)
{
	struct url url = {0};

	if (url_parse(text, &url) != 0)
		return;
	if (!url.host_header || !url.target || !url.dial || url.target[0] != '/')
		abort();
	url_done(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = malloc(size + 1);
	uint64_t value = 0;

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	parse_url(text);
	handshake_header_is_valid(text);
	if (units_parse_size(text, &value) == 0 && value > INT64_MAX)
		abort();
	if (units_parse_time(text, &value) == 0 && value > INT64_MAX)
		abort();
	units_parse_count(text, &value);
	return 0;
}
