/* A WebSocket client for one connection: dial, upgrade, receive, answer, close. */
#ifndef WEIR_WEBSOCKET_CLIENT_H
#define WEIR_WEBSOCKET_CLIENT_H

#include "base/loop.h"
#include "base/macro.h"
#include "base/message.h"
#include "websocket/client_end.h"
#include "websocket/liveness.h"
#include "websocket/script.h"
#include "websocket/url.h"

/* What the client tells its owner. An error (−errno) that one of them returns ends loop_run(). None
 * of them may free the client. */
struct client_handler {
	/* The upgrade was accepted, by what came at `time_ns`. */
	int (*opened)(void *data, uint64_t time_ns);
	/* All that the script had to say is said, and what it waited for has come. */
	int (*ready)(void *data);
	/* How many bytes may be received now. 0 pauses the client until client_resume(). */
	size_t (*room)(void *data);
	/* Pieces in order, in memory that stays as it is until the next flush. SESSION_STALLED:
	 * they were taken, and no further ones are wanted until client_resume(). */
	int (*pieces)(void *data, struct message_batch *batch);
	/* The receive buffer is about to be used again: nothing of it may be needed after this. */
	int (*flush)(void *data);
	/* All that waited to be sent is sent. May be NULL. */
	int (*drained)(void *data);
	/* Called once, last. */
	int (*ended)(void *data, const struct client_end *end);
};

struct client_options {
	const struct transport_options *transport; /* how to dial `url` */
	const struct url *url;
	const struct handshake_request_options *request; /* but url, key and compression */
	const struct extension_offer *compression;	 /* NULL: none is offered */
	const struct script *script;			 /* what is said first; NULL: nothing */
	uint64_t connect_timeout_ns; /* for dialling and the handshake together; 0: none */
	uint64_t message_max;	     /* bytes; 0: no limit */
	uint64_t fragments_max;	     /* of one message; 0: no limit */
	uint64_t ratio_max;	     /* of compression; 0: no limit */
	struct liveness_options liveness;
	const char *beat;		   /* the text of the heartbeat */
	uint16_t source, connection, lane; /* put into every batch */
	const struct client_handler *handler;
	void *data;
};

struct client;

/* Begins to connect; what the options point to must live as long as the client. Errors: −ENOMEM,
 * −ENOBUFS (headers or messages to send of more than 16 MiB in all), those of getrandom(2). */
int client_new(struct loop *loop, const struct client_options *options, struct client **ret_client);
void client_free(struct client *client);

/* Adds a message, or a Ping, to what is sent. Errors: see session_send(). */
int client_send(struct client *client, enum message_kind kind, const void *data, size_t size);
int client_ping(struct client *client, const void *data, size_t size);

/* The subprotocol that was agreed on; NULL: none. */
const char *client_subprotocol(const struct client *client);

/* How many bytes wait to be sent. */
size_t client_waiting(const struct client *client);

/* Says Close with `code` and waits, a few seconds at most, for the server's; what arrives meanwhile
 * is dropped. While still connecting: gives up. `reason` may be NULL; it is
 * cut to what a Close may hold. May be called again, and from a handler. */
int client_close(struct client *client, uint16_t code, const char *reason);

/* The gentle way, for a connection whose place another one took: says Close when no message is
 * open, and goes on handing out what comes up to the server's, for half a minute at most, in which
 * a time without room does not count. A call of client_close() ends that. */
int client_retire(struct client *client, uint16_t code);

/* Goes on after room() returned 0. */
int client_resume(struct client *client);

struct client_counters {
	uint64_t wire_bytes; /* received, with headers */
};

struct client_counters client_counters(const struct client *client);

DEFINE_CLEANUP(struct client *, client_free);

#endif
