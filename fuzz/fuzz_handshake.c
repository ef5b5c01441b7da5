/* Any answer to the opening handshake: accepted, refused with a text, or not complete yet. */
#include "websocket/handshake.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handshake_response response = {0};
	enum handshake_error error = 0;
	char accept[HANDSHAKE_ACCEPT_SIZE];
	ssize_t r;

	handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
	r = handshake_parse_response((const char *)data, size, accept, &response, &error);
	if (r < 0 && (r != -EBADMSG || !handshake_error_text(error)))
		abort();
	if (r > 0 && (size_t)r > size)
		abort();
	if (memchr(response.reason, '\0', sizeof(response.reason)) == NULL ||
	    memchr(response.location, '\0', sizeof(response.location)) == NULL)
		abort();
	return 0;
}
