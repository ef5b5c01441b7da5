/* What else people type: headers and parts of them, sizes, times and counts. */
#include "base/units.h"
#include "websocket/handshake.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken must not be able to end its line, or its place in it. */
static void check_header(const char *text)
{
	if (handshake_header_is_valid(text) && strpbrk(text, "\r\n"))
		abort();
	if (handshake_user_agent_is_valid(text) && strpbrk(text, "\r\n"))
		abort();
	if (handshake_origin_is_valid(text) && strpbrk(text, "\r\n \t"))
		abort();
	if (handshake_subprotocols_are_valid((const char *const[]){text}, 1) &&
	    strpbrk(text, "\r\n \t,;="))
		abort();
}

static void check_numbers(const char *text)
{
	uint64_t value = 0;

	if (units_parse_size(text, &value) == 0 && value > INT64_MAX)
		abort();
	if (units_parse_time(text, &value) == 0 && value > INT64_MAX)
		abort();
	if (units_parse_count(text, &value) == 0 && value > INT64_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_header(text);
	check_numbers(text);
	return 0;
}
