/* One attempt to be connected, and the connection that comes of it. It is a client to its owner,
 * but may wait for an authorization before it dials, and go where redirects lead. */
#ifndef WEIR_WEBSOCKET_ATTEMPT_H
#define WEIR_WEBSOCKET_ATTEMPT_H

#include "base/secret.h"
#include "websocket/client.h"

struct attempt_options {
	struct client_options client; /* its time-out is for all that is dialled together */
	/* Asked once, before anything is dialled: attempt_authorize() or attempt_refuse() is the
	 * answer, from inside of it or later. NULL: nothing is waited for. */
	int (*prepare)(void *data); /* with the data of the client's handler */
	bool follow_redirects;
	const struct proxy *tls_proxy; /* in place of the transport's, on the way from ws to wss */
};

struct attempt;

/* What the options point to must live as long as the attempt. Errors: those of client_new(), of
 * which later ones end loop_run(). */
int attempt_new(struct loop *loop, const struct attempt_options *options,
		struct attempt **ret_attempt);
void attempt_free(struct attempt *attempt);

/* Whether it was prepared for, and not answered yet. */
bool attempt_is_asking(const struct attempt *attempt);

/* Takes a header line over, which is sent to the origin of the URL alone, and wiped when the
 * WebSocket is open. Errors as those of attempt_new(). */
int attempt_authorize(struct attempt *attempt, struct secret *line);

/* There is none, and why: the attempt ends as CLIENT_UNPREPARED. */
int attempt_refuse(struct attempt *attempt, const char *why);

/* See client_close() and client_retire(). One that is asking ends with the answer, whatever that
 * is. */
int attempt_close(struct attempt *attempt, uint16_t code, const char *reason);
int attempt_retire(struct attempt *attempt, uint16_t code);

/* What it is at present; it stays the attempt's. NULL: nothing is dialled now. */
struct client *attempt_client(const struct attempt *attempt);

/* Of all that was dialled. */
struct client_counters attempt_counters(const struct attempt *attempt);

/* Where redirects led, as far as that may be shown. "": nowhere. */
const char *attempt_place(const struct attempt *attempt);

DEFINE_CLEANUP(struct attempt *, attempt_free);

#endif
