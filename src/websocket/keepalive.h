/* Asks a connection whether it is alive, and keeps it so: liveness, carried out by the loop. */
#ifndef WEIR_WEBSOCKET_KEEPALIVE_H
#define WEIR_WEBSOCKET_KEEPALIVE_H

#include "base/loop.h"
#include "websocket/liveness.h"
#include "websocket/session.h"

/* Something was sent (LIVENESS_PING, LIVENESS_BEAT), or the connection is dead (LIVENESS_SILENT,
 * LIVENESS_IDLE), after which this is not called any more. */
typedef int keepalive_news(void *data, enum liveness_action action);

struct keepalive {
	struct loop *loop;
	struct session *session;
	const char *beat; /* the text of the heartbeat */
	struct loop_timer timer;
	struct liveness liveness;
	bool resting; /* nothing is read, so nothing can be heard */
	bool doubted; /* it looks dead: what may have come is read before it is said */
	keepalive_news *news;
	void *data;
};

/* {0} is one for keepalive_end(), which may be called more than once. Loop, session, news and data
 * are to be set before it begins. */
void keepalive_begin(struct keepalive *keepalive, const struct liveness_options *options);
void keepalive_end(struct keepalive *keepalive);

/* Something came, of a message or not. */
void keepalive_heard(struct keepalive *keepalive);
void keepalive_heard_message(struct keepalive *keepalive);

/* Reading is paused, or goes on. */
void keepalive_rest(struct keepalive *keepalive, bool resting);

#endif
