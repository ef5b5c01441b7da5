/* The opening handshake, RFC 6455 section 4, without any I/O. */
#ifndef WEIR_WEBSOCKET_HANDSHAKE_H
#define WEIR_WEBSOCKET_HANDSHAKE_H

#include "base/buffer.h"
#include "websocket/url.h"

#include <stdbool.h>
#include <sys/types.h>

#define HANDSHAKE_KEY_SIZE 25	 /* 16 random bytes in base64, and the NUL */
#define HANDSHAKE_ACCEPT_SIZE 29 /* a SHA-1 in base64, and the NUL */
#define HANDSHAKE_HEAD_MAX 16384 /* bytes of a head, all header lines together */
#define HANDSHAKE_TEXT_SIZE 160

/* A fresh Sec-WebSocket-Key. Errors: those of getrandom(2). */
int handshake_make_key(char ret_key[HANDSHAKE_KEY_SIZE]);

/* The Sec-WebSocket-Accept that belongs to a key. */
void handshake_accept(const char *key, char ret_accept[HANDSHAKE_ACCEPT_SIZE]);

/* Whether "Name: value" can be sent as it is: a token, a colon, no control characters, and not one
 * of the headers that the handshake itself sets. */
bool handshake_header_is_valid(const char *line);

/* Appends the whole request. Errors as buffer_append(). */
int handshake_request(struct buffer *to, const struct url *url, const char *key,
		      const char *const *headers, size_t header_count);

enum handshake_error {
	HANDSHAKE_NOT_HTTP = 1, /* what came is no HTTP/1.1 response */
	HANDSHAKE_TOO_LONG,	/* the head has more than HANDSHAKE_HEAD_MAX bytes */
	HANDSHAKE_STATUS,	/* another status than 101: see status, reason, location */
	HANDSHAKE_UPGRADE,	/* no "Upgrade: websocket" */
	HANDSHAKE_CONNECTION,	/* no "Connection: Upgrade" */
	HANDSHAKE_ACCEPT,	/* Sec-WebSocket-Accept missing, twice or wrong */
	HANDSHAKE_EXTENSION,	/* an extension that was not offered */
	HANDSHAKE_SUBPROTOCOL,	/* a subprotocol that was not offered */
};

struct handshake_response {
	int status;
	char reason[HANDSHAKE_TEXT_SIZE];   /* phrase of the status line, printable */
	char location[HANDSHAKE_TEXT_SIZE]; /* of a redirect, printable, cut when longer */
};

/* Reads a response. Returns the size of its head when it is complete and accepts the upgrade, 0
 * when more bytes are needed, −EBADMSG with `*ret_error` when it is refused; `*ret_response` is set
 * for HANDSHAKE_STATUS alone. */
ssize_t handshake_parse_response(const char *data, size_t size, const char *accept,
				 struct handshake_response *ret_response,
				 enum handshake_error *ret_error);

/* In plain English, to stand behind "the server …". */
const char *handshake_error_text(enum handshake_error error);

#endif
