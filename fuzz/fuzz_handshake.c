/* Any answer to the opening handshake and any request for one: accepted, refused, or not complete.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/utf8.h"
#include "websocket/accept.h"
#include "websocket/handshake.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define ANSWER_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
	const uint8_t *at = (const uint8_t *)text;

	if (strnlen(text, room) == room ||
	    utf8_validate(UTF8_WHOLE, at, strlen(text)) != UTF8_WHOLE)
		abort();
	for (; *at; at++)
		if (*at < ' ' || *at == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0))
			abort();
}

static void parse_response(const char *data, size_t size)
{
	static const char *const subprotocols[] = {"chat", "mqtt"};
	struct handshake_expected expected = {
		.subprotocols = subprotocols, .subprotocol_count = 2, .now_ns = NS_PER_S};
	struct handshake_response response = {0};
	enum handshake_error error = 0;
	static char accept[HANDSHAKE_ACCEPT_SIZE]; /* the same for every input */
	ssize_t r;

	if (!*accept)
		handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
	expected.accept = accept;
	r = handshake_read_response(data, size, &expected, &response, &error);
	if (r < 0 && (r != -EBADMSG || !handshake_error_text(error)))
		abort();
	if (r > 0 && ((size_t)r > size || !memmem(data, (size_t)r, accept, strlen(accept))))
		abort();
	check_text(response.reason, sizeof(response.reason));
	check_text(response.location, sizeof(response.location));
	check_text(response.target, sizeof(response.target));
	if (response.retry_after_ns > HANDSHAKE_RETRY_MAX_S * NS_PER_S)
		abort();
}

static void parse_request(const char *data, size_t size)
{
	CLEANUP(buffer_done) struct buffer answer;
	ssize_t r;

	buffer_init(&answer, ANSWER_MAX);
	r = accept_request(data, size, &answer);
	if (r < 0 && r != -EBADMSG)
		abort();
	if (r > 0 && (size_t)r > size)
		abort();
	if ((r == 0) != (answer.size == 0))
		abort();
	if (r > 0 && memcmp(answer.data, "HTTP/1.1 101 ", 13) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse_response((const char *)data, size);
	parse_request((const char *)data, size);
	return 0;
}
