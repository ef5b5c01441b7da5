/* The opening handshake, RFC 6455 section 4, without any I/O. */
#ifndef WEIR_WEBSOCKET_HANDSHAKE_H
#define WEIR_WEBSOCKET_HANDSHAKE_H

#include "base/buffer.h"
#include "websocket/extension.h"
#include "websocket/url.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HANDSHAKE_KEY_SIZE 25	 /* 16 random bytes in base64, and the NUL */
#define HANDSHAKE_ACCEPT_SIZE 29 /* a SHA-1 in base64, and the NUL */
#define HANDSHAKE_HEAD_MAX 16384 /* bytes of a head, all header lines together */
#define HANDSHAKE_FIELDS_MAX 256 /* header lines of a head */
#define HANDSHAKE_TEXT_SIZE 160
#define HANDSHAKE_TARGET_SIZE 8192
#define HANDSHAKE_RETRY_MAX_S 86400

/* A fresh Sec-WebSocket-Key. Errors: those of getrandom(2). */
int handshake_make_key(char ret_key[HANDSHAKE_KEY_SIZE]);

/* The Sec-WebSocket-Accept that belongs to a key. */
void handshake_accept(const char *key, char ret_accept[HANDSHAKE_ACCEPT_SIZE]);

/* Whether "Name: value" can be sent as it is: a token, a colon, no control characters, and not one
 * of the headers that the handshake itself sets. */
bool handshake_header_is_valid(const char *line);

/* Whether "Name: value" has this name. */
bool handshake_header_is(const char *line, const char *name);

/* The name of "Name: value", if the handshake itself sets such a header, or NULL. */
const char *handshake_header_own(const char *line);

/* Whether a User-Agent can be this: something, without control characters. */
bool handshake_user_agent_is_valid(const char *text);

/* Whether an Origin can be this (RFC 6454, section 6.2): "null", or scheme://host[:port], without a
 * path. */
bool handshake_origin_is_valid(const char *text);

/* Whether each is a token, and none is there twice: section 4.1, item 10. */
bool handshake_subprotocols_are_valid(const char *const *subprotocols, size_t count);

/* All of it must be valid by the functions above. */
struct handshake_request_options {
	const struct url *url;
	const char *key;
	const char *const *headers; /* each "Name: value" */
	size_t header_count;
	const char *const *subprotocols; /* the one that is wanted most comes first */
	size_t subprotocol_count;
	const struct extension_offer *compression; /* NULL: none is offered */
	const char *user_agent; /* NULL: "weir/VERSION", unless it is among the headers */
	const char *origin;	/* NULL: none */
};

/* Appends the whole request. Errors as buffer_append(). A secret in a header is copied to `to`, and
 * nowhere else. */
int handshake_write_request(struct buffer *to, const struct handshake_request_options *options);

enum handshake_error {
	HANDSHAKE_NOT_HTTP = 1, /* what came is no HTTP/1.1 response */
	HANDSHAKE_TOO_LONG,	/* the head has more than HANDSHAKE_HEAD_MAX bytes */
	HANDSHAKE_STATUS,	/* another status than 101: see struct handshake_response */
	HANDSHAKE_UPGRADE,	/* no "Upgrade: websocket" */
	HANDSHAKE_CONNECTION,	/* no "Connection: Upgrade" */
	HANDSHAKE_ACCEPT,	/* Sec-WebSocket-Accept missing, twice or wrong */
	HANDSHAKE_EXTENSION,	/* an extension that was not offered */
	HANDSHAKE_SUBPROTOCOL,	/* a subprotocol that was not offered, or more than one */
	HANDSHAKE_MANY_FIELDS,	/* the head has more than HANDSHAKE_FIELDS_MAX lines */
	HANDSHAKE_ERROR_END,	/* one more than the last */
};

/* What the answer is held against. */
struct handshake_expected {
	const char *accept;
	const char *const *subprotocols; /* that were offered */
	size_t subprotocol_count;
	const struct extension_offer *compression; /* that was offered, or NULL */
	uint64_t now_ns;			   /* since 1970: a Retry-After may hold a date */
};

struct handshake_response {
	int status;
	struct extension_choice extension;
	enum extension_error extension_error; /* why, when it is HANDSHAKE_EXTENSION */
	const char *subprotocol; /* the server's choice among those offered; NULL: it made none */
	uint64_t retry_after_ns; /* from now, a day at most; 0: nothing is said, or at once */
	char reason[HANDSHAKE_TEXT_SIZE];   /* phrase of the status line, printable */
	char location[HANDSHAKE_TEXT_SIZE]; /* of a redirect, printable, cut when longer */
	char target[HANDSHAKE_TARGET_SIZE]; /* the same as it came; "": there is none, there are
					       several, or it is too long or no printable ASCII */
};

/* Reads a response. Returns the size of its head when it is complete and accepts the upgrade, 0
 * when more bytes are needed, −EBADMSG with `*ret_error` when it is refused, for which its body is
 * not waited for. `*ret_response` is set when it was accepted, and for HANDSHAKE_STATUS and
 * HANDSHAKE_EXTENSION. */
ssize_t handshake_read_response(const char *data, size_t size,
				const struct handshake_expected *expected,
				struct handshake_response *ret_response,
				enum handshake_error *ret_error);

/* In plain English, to stand behind "the server …". */
const char *handshake_error_text(enum handshake_error error);

#endif
