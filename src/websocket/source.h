/* A source: one endpoint, and staying connected to it. */
#ifndef WEIR_WEBSOCKET_SOURCE_H
#define WEIR_WEBSOCKET_SOURCE_H

#include "websocket/attempt.h"
#include "websocket/backoff.h"
#include "websocket/client.h"

/* Where something comes from. While a connection is replaced by a new one, a source has two, which
 * bring messages side by side: each in a lane of its own, SOURCE_LANES for each source. */
struct source_place {
	uint16_t source;
	uint16_t connection; /* counted in the run, from 0, modulo 65536 */
	uint16_t lane;
	const char *redirected_to; /* once it is open: a URL to be shown; "": the source's own */
};

#define SOURCE_LANES 2

/* What became of a connection. */
struct source_loss {
	const struct client_end *end;
	bool was_open;
	bool wanted;	     /* it was replaced, or closed from here */
	uint64_t open_ns;    /* how long it was open */
	uint64_t next_in_ns; /* when the next attempt comes, SOURCE_NO_NEXT if none does */
};

#define SOURCE_NO_NEXT UINT64_MAX

/* What the source tells its owner. An error (−errno) that one of them returns ends loop_run(). None
 * of them may free the source. */
struct source_handler {
	/* A connection is about to be made, and waits until source_authorize() or source_refuse()
	 * is called; soon, when the source is closed meanwhile. Called if options.prepare. */
	int (*prepare)(void *data, uint16_t source);
	int (*opened)(void *data, const struct source_place *place, uint64_t time_ns);
	/* And what is said first is said. May be NULL. */
	int (*ready)(void *data, const struct source_place *place);
	size_t (*room)(void *data);
	int (*pieces)(void *data, struct message_batch *batch);
	int (*flush)(void *data);
	int (*lost)(void *data, const struct source_place *place, const struct source_loss *loss);
	/* All that waited to be sent is sent. May be NULL. */
	int (*drained)(void *data);
	/* Nothing more comes; called once, last. `end` is that of the last connection. */
	int (*ended)(void *data, uint16_t source, const struct client_end *end);
};

struct source_options {
	struct client_options
		client; /* but what the source itself fills in: place, handler, data */
	uint16_t number;
	bool prepare; /* each connection needs something first */
	bool reconnect;
	struct backoff_options backoff;
	bool follow_redirects;
	const struct proxy *tls_proxy; /* for redirects from ws to wss, in place of the client's */
	uint64_t connection_age_ns;    /* after this a connection is replaced; 0: never */
	uint32_t *connections;	       /* how many there were in the run; shared by its sources */
	const struct source_handler *handler;
	void *data;
};

struct source;

/* Begins to connect. Errors: those of client_new(). */
int source_new(struct loop *loop, const struct source_options *options, struct source **ret_source);
void source_free(struct source *source);

/* Closes what is open, and connects no more. `reason` may be NULL. May be called again, and from a
 * handler. */
int source_close(struct source *source, uint16_t code, const char *reason);

/* By the connection that stands for the source now. −ENOTCONN: there is none; else see
 * session_send(). */
int source_send(struct source *source, enum message_kind kind, const void *data, size_t size);
int source_ping(struct source *source, const void *data, size_t size);

/* How many bytes wait to be sent, on all connections. */
size_t source_waiting(const struct source *source);

/* The subprotocol that was agreed on for the connection that stands now; NULL: none. */
const char *source_subprotocol(struct source *source);

/* What prepare() asks for: a header line, which is taken over; or there is none, and why. Nothing
 * happens when nothing was asked for. Errors: those of source_new(). */
int source_authorize(struct source *source, struct secret *line);
int source_refuse(struct source *source, const char *why);

/* Goes on after room() returned 0. */
int source_resume(struct source *source);

struct source_counters {
	uint64_t wire_bytes;
	uint64_t opened; /* connections that became a WebSocket */
	uint64_t failed; /* attempts that did not */
};

struct source_counters source_counters(const struct source *source);
bool source_is_open(const struct source *source);

DEFINE_CLEANUP(struct source *, source_free);

#endif
