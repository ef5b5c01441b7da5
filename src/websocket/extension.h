/* Negotiation of permessage-deflate, RFC 7692 section 7, without any I/O: the client's side. */
#ifndef WEIR_WEBSOCKET_EXTENSION_H
#define WEIR_WEBSOCKET_EXTENSION_H

#include "base/buffer.h"

#include <stdbool.h>

#define EXTENSION_WINDOW_MIN 8 /* bits, section 7.1.2 */
#define EXTENSION_WINDOW_MAX 15

/* What the client asks for and allows. {0} is a plain offer, with windows of 15 bits. */
struct extension_offer {
	bool server_no_context_takeover;
	bool client_no_context_takeover;
	int server_max_window_bits; /* 8 to 15, 0: as the server likes */
	int client_max_window_bits; /* 8 to 15: the server may ask for less; 0: it may not ask */
};

/* Appends the header line, with its end. Errors: −EINVAL (bits out of range), and those of
 * buffer_append(). */
int extension_write_offer(struct buffer *to, const struct extension_offer *offer);

/* What the server chose. */
struct extension_choice {
	bool deflate; /* permessage-deflate is in use; else the rest means nothing */
	bool server_no_context_takeover;
	bool client_no_context_takeover;
	int server_window_bits;
	int client_window_bits;
};

enum extension_error {
	EXTENSION_SYNTAX = 1,	   /* not what RFC 6455 section 9.1 calls a list of extensions */
	EXTENSION_UNKNOWN,	   /* an extension that was not offered */
	EXTENSION_TWICE,	   /* permessage-deflate, twice */
	EXTENSION_PARAMETER,	   /* a parameter that it does not have */
	EXTENSION_PARAMETER_TWICE, /* a parameter, twice */
	EXTENSION_VALUE_MISSING,   /* window bits without a number */
	EXTENSION_VALUE_FORBIDDEN, /* a value for a parameter that has none */
	EXTENSION_VALUE_RANGE,	   /* window bits that are not a plain number from 8 to 15 */
	EXTENSION_CLIENT_UNASKED,  /* client_max_window_bits, which was not offered */
	EXTENSION_CLIENT_WINDOW,   /* a window of the client's larger than offered */
	EXTENSION_SERVER_WINDOW,   /* a window of the server's larger than asked for */
	EXTENSION_SERVER_TAKEOVER, /* context takeover, which was asked to be left */
};

/* In plain English, to stand behind "the server …". */
const char *extension_error_text(enum extension_error error);

/* An answer that is read, header field by header field. */
struct extension_answer {
	const struct extension_offer *offer;
	unsigned seen; /* parameters, a bit each */
	struct extension_choice choice;
	enum extension_error error; /* the first one, or 0 */
};

/* Without an offer (NULL), every extension is one too many. It must live as long as the answer. */
void extension_answer_init(struct extension_answer *answer, const struct extension_offer *offer);

/* Takes the value of one Sec-WebSocket-Extensions field. Several are one list. */
void extension_answer_field(struct extension_answer *answer, const char *value, size_t size);

/* After the last field. On 0, `*ret_choice` is set. */
enum extension_error extension_answer_end(const struct extension_answer *answer,
					  struct extension_choice *ret_choice);

#endif
