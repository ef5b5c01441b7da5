/* A WebSocket client for one connection: dial, upgrade, receive, answer, close. */
#ifndef WEIR_WEBSOCKET_CLIENT_H
#define WEIR_WEBSOCKET_CLIENT_H

#include "base/loop.h"
#include "base/macro.h"
#include "base/message.h"
#include "websocket/frame.h"
#include "websocket/handshake.h"
#include "websocket/transport.h"
#include "websocket/url.h"

#define CLIENT_DETAIL_SIZE 256

enum client_end_kind {
	CLIENT_CLOSED,	      /* both sides said Close, or we gave up connecting: close_code 0 */
	CLIENT_CLOSE_TIMEOUT, /* we said Close, the server did not answer in time */
	CLIENT_LOST,	      /* the stream ended without Close: error 0, or −errno */
	CLIENT_VIOLATED,      /* the server broke the protocol: violation */
	CLIENT_DIAL,	      /* no connection: transport_error, detail */
	CLIENT_TIMEOUT,	      /* not open within the connect time-out */
	CLIENT_REFUSED,	      /* no upgrade: handshake_error, response */
	CLIENT_HANGUP,	      /* the stream ended during the handshake: error 0, or −errno */
};

/* How a connection ended. */
struct client_end {
	enum client_end_kind kind;
	int error;
	uint16_t close_code; /* from the server, 0 if none came, 1005 if it held none */
	bool cut;	     /* in the middle of a message */
	uint64_t cut_bytes;  /* payload of that message that had come */
	enum frame_violation violation;
	enum transport_error transport_error;
	enum handshake_error handshake_error;
	struct handshake_response response;
	char detail[CLIENT_DETAIL_SIZE]; /* libcurl's words, or the reason in the Close frame */
};

/* What the client tells its owner. An error (−errno) that one of them returns ends loop_run(). None
 * of them may free the client. */
struct client_handler {
	/* The upgrade was accepted. */
	int (*opened)(void *data);
	/* How many bytes may be received now. 0 pauses the client until client_resume(). */
	size_t (*room)(void *data);
	/* Pieces in order, in memory that stays as it is until the next flush. */
	int (*pieces)(void *data, struct message_batch *batch);
	/* The receive buffer is about to be used again: nothing of it may be needed after this. */
	int (*flush)(void *data);
	/* Called once, last. */
	int (*ended)(void *data, const struct client_end *end);
};

struct client_options {
	const struct url *url;
	const char *const *headers; /* each "Name: value" */
	size_t header_count;
	const char *const *sends; /* text messages to send once open, in order */
	size_t send_count;
	uint64_t connect_timeout_ns; /* for dialling and the handshake together; 0: none */
	uint16_t connection;	     /* put into every batch */
	const struct client_handler *handler;
	void *data;
};

struct client;

/* Begins to connect; what the options point to must live as long as the client. Errors: −ENOMEM,
 * −ENOBUFS (headers or messages to send of more than 16 MiB in all), those of getrandom(2). */
int client_new(struct loop *loop, const struct client_options *options, struct client **ret_client);
void client_free(struct client *client);

/* Says Close with `code` and waits, a few seconds at most, for the server's; what arrives meanwhile
 * is dropped. While still connecting: gives up. May be called again, and from a handler. */
int client_close(struct client *client, uint16_t code);

/* Goes on after room() returned 0. */
int client_resume(struct client *client);

struct client_counters {
	uint64_t wire_bytes; /* received, with headers */
};

struct client_counters client_counters(const struct client *client);

DEFINE_CLEANUP(struct client *, client_free);

#endif
