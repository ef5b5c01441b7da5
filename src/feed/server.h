/* A WebSocket server that sends every client the same stream, as fast as it takes it. */
#ifndef WEIR_FEED_SERVER_H
#define WEIR_FEED_SERVER_H

#include "base/loop.h"
#include "base/macro.h"
#include "feed/producer.h"

struct server;

struct server_options {
	const char *host; /* numeric address */
	const char *port; /* "0": any that is free */
	struct producer_options stream;
	uint64_t rate; /* messages per second; 0: as fast as they are taken */
	bool once;     /* stop the loop when the first client is gone */
};

/* Errors: −EINVAL (not an address), −ENOMEM, those of socket(2), bind(2), listen(2). */
int server_new(struct loop *loop, const struct server_options *options, struct server **ret_server);
void server_free(struct server *server);

/* "ws://HOST:PORT/" */
const char *server_url(const struct server *server);

DEFINE_CLEANUP(struct server *, server_free);

#endif
