/*
 * What is worth another attempt. The rule of thumb is whose fault it was: what the network or a
 * server in trouble did passes, and what was said about us or our request stays as it is.
 */
#include "websocket/client_end.h"

#include "base/macro.h"

/* Codes by which a server tells a client not to come back as it is, RFC 6455 section 7.4 and the
 * registry that goes on from there. */
static const uint16_t final_codes[] = {
	1002, /* it says that we broke the protocol, */
	1003, /* sent what it does not take, */
	1007, /* or what is malformed, */
	1008, /* or are not allowed to be here; */
	1009, /* or sent too much, */
	1010, /* or did not offer what it wants */
	3000, /* unauthorized */
	3003, /* forbidden */
};

static bool close_is_passing(uint16_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(final_codes); i++)
		if (code == final_codes[i])
			return false;
	return true;
}

/* RFC 9110 section 15: 408 Request Timeout, 425 Too Early and 429 Too Many Requests say "not now".
 */
static bool status_is_passing(int status)
{
	return status >= 500 || status == 408 || status == 425 || status == 429;
}

bool client_end_is_passing(const struct client_end *end)
{
	switch (end->kind) {
	case CLIENT_CLOSED:
	case CLIENT_OPENING:
		return close_is_passing(end->close_code);
	case CLIENT_REFUSED:
		return end->handshake_error == HANDSHAKE_STATUS &&
		       status_is_passing(end->response.status);
	case CLIENT_DIAL:
		return transport_error_is_passing(end->transport_error);
	case CLIENT_CLOSE_TIMEOUT:
	case CLIENT_LOST:
	case CLIENT_VIOLATED:
	case CLIENT_TIMEOUT:
	case CLIENT_HANGUP:
	case CLIENT_SILENT:
	case CLIENT_IDLE:
	case CLIENT_UNPREPARED:
		return true;
	}
	return true;
}
