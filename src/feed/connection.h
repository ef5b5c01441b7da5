/* One client of a feed: its handshake, its stream, its end. */
#ifndef WEIR_FEED_CONNECTION_H
#define WEIR_FEED_CONNECTION_H

#include "base/loop.h"
#include "feed/producer.h"

struct connection;

struct connection_options {
	struct producer_options stream;
	uint64_t rate; /* messages per second; 0: no limit */
	/* The connection is over: to be unlinked and freed. */
	int (*gone)(void *data, struct connection *connection);
	void *data;
};

/* Takes the descriptor, if it succeeds, and puts the connection into `*list`. Errors: −ENOMEM,
 * those of epoll_ctl(2). */
int connection_new(struct loop *loop, int fd, const struct connection_options *options,
		   struct connection **list);
void connection_unlink(struct connection **list, struct connection *connection);
void connection_free(struct connection *connection);

#endif
