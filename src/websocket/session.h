/* One WebSocket connection as a client has it, RFC 6455, without any I/O: what was received goes
 * in; pieces of messages, and bytes to send, come out. */
#ifndef WEIR_WEBSOCKET_SESSION_H
#define WEIR_WEBSOCKET_SESSION_H

#include "base/macro.h"
#include "base/message.h"
#include "websocket/client_end.h"
#include "websocket/extension.h"
#include "websocket/handshake.h"

enum session_state {
	SESSION_UPGRADING, /* the request is to be sent, or was; no answer yet */
	SESSION_OPEN,
	SESSION_CLOSING, /* our Close is said, the server's is not in */
	SESSION_OVER,	 /* nothing more is expected but that what waits is sent */
	SESSION_REFUSED, /* no WebSocket: see the end */
};

/* What is told while received bytes are taken. An error (−errno) that one of them returns is that
 * of session_take(). They may send and close, and not free the session. */
struct session_handler {
	/* The upgrade was accepted, by what came at `time_ns`. */
	int (*opened)(void *data, uint64_t time_ns);
	/* How many bytes may be received, and made of what was received, before the next flush:
	 * SESSION_ROOM_MIN at least, or 0, which stalls the session. */
	size_t (*room)(void *data);
	/* Pieces in order, in memory that stays as it is until the next flush. SESSION_STALLED:
	 * they were taken, and no further ones are wanted until room() is not 0. */
	int (*pieces)(void *data, struct message_batch *batch);
	/* The memory of the pieces is about to be used again: nothing of it may be needed after. */
	int (*flush)(void *data);
	/* A Pong came. May be NULL. */
	int (*pong)(void *data);
};

struct session_options {
	const struct url *url;
	const struct handshake_request_options *request; /* but url, key and compression */
	const struct extension_offer *compression;	 /* NULL: none is offered */
	uint64_t message_max;				 /* bytes, uncompressed; 0: no limit */
	uint64_t fragments_max;				 /* of one message; 0: no limit */
	uint64_t ratio_max;				 /* of compression; 0: no limit */
	uint16_t source, connection, lane;		 /* put into every batch */
	const struct session_handler *handler;
	void *data;
};

struct session;

/* The request is waiting to be sent after this. What the options point to must live as long as the
 * session. Errors: −ENOMEM, −ENOBUFS (headers of more than OUTPUT_MAX), those of getrandom(2). */
int session_new(const struct session_options *options, struct session **ret_session);
void session_free(struct session *session);

enum {
	SESSION_STALLED = 1, /* there was no room: call it again when there is */
	SESSION_MORE,	     /* it has had its turn: call it again, after others */
};

#define SESSION_ROOM_MIN 512 /* a header and a control frame, and as much again to unpack */

/* Received bytes, all that are there: those that were not used before, and new ones behind them.
 * Payloads are moved down to `free`, which is `data` or before it. */
struct session_input {
	uint8_t *free, *data;
	size_t size;
	uint64_t time_ns; /* when they came, since 1970 */
	bool kernel_time; /* the kernel says so */
};

/* Takes them. Returns 0, or one of the above: then nothing new need have come before the next call.
 * Errors of the handler, −ENOMEM, −ENOBUFS. `*ret_used` is how many bytes need not be shown again.
 */
int session_take(struct session *session, const struct session_input *input, size_t *ret_used);

/* Adds a message to what waits to be sent, compressed where that was agreed on and worth it.
 * Text must be UTF-8. −ENOTCONN: not open. −ENOBUFS: too
 * much waits; nothing was added. */
int session_send(struct session *session, enum message_kind kind, const void *data, size_t size);
int session_ping(struct session *session, const void *data, size_t size);

/* Says Close; what arrives after it is dropped. Does nothing unless the session is open. `code` is
 * one of close_code_is_valid(), or CLOSE_NO_CODE; a reason is UTF-8, CLOSE_REASON_MAX bytes. */
int session_close(struct session *session, uint16_t code, const void *reason, size_t reason_size);

/* The gentle way, for a connection that is not needed any more: says Close when no message is open,
 * and goes on handing out what comes up to the server's, which is what was under way. A call of
 * session_close() ends that. */
int session_retire(struct session *session, uint16_t code);

/* Whether messages that come are handed out. */
bool session_is_taking(const struct session *session);

/* The stream ended: notes what that means. */
void session_lost(struct session *session, int error);

enum session_state session_state(const struct session *session);

/* Whether no message is open: nothing would be torn off now. */
bool session_is_between_messages(const struct session *session);

/* What was agreed on; good once it is open. NULL: no subprotocol. */
const char *session_subprotocol(const struct session *session);
bool session_is_compressed(const struct session *session);

/* What waits to be sent; whoever sends it takes it out by session_sent(), which may add to it.
 * Errors of that: −ENOMEM, those of getrandom(2). */
const struct buffer *session_output(const struct session *session);
int session_sent(struct session *session, size_t size);

/* How it ended, or will have ended: to be completed by who knows more. */
struct client_end *session_end(struct session *session);

DEFINE_CLEANUP(struct session *, session_free);

#endif
