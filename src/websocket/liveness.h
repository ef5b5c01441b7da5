/* When a connection is to be asked whether it is alive, and when it is taken for dead: arithmetic,
 * without I/O or a clock. Times are those of the monotonic clock. */
#ifndef WEIR_WEBSOCKET_LIVENESS_H
#define WEIR_WEBSOCKET_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/* 0 switches each of them off. */
struct liveness_options {
	uint64_t ping_interval_ns; /* a Ping is sent when nothing came for so long, */
	uint64_t pong_timeout_ns;  /* and when nothing came for so long after it, it is dead */
	uint64_t idle_timeout_ns;  /* no part of a message for so long: it is dead */
	uint64_t beat_interval_ns; /* how often the heartbeat is sent, whatever comes */
};

struct liveness {
	struct liveness_options options;
	uint64_t heard_ns;   /* when anything came */
	uint64_t message_ns; /* when a part of a message came */
	uint64_t pinged_ns;  /* when the Ping was sent that nothing has followed yet; 0: none */
	uint64_t beat_ns;    /* when the heartbeat was sent */
};

enum liveness_action {
	LIVENESS_WAIT, /* until liveness_due_ns() */
	LIVENESS_PING,
	LIVENESS_BEAT,
	LIVENESS_SILENT, /* dead: no answer to a Ping */
	LIVENESS_IDLE,	 /* dead: no messages */
};

/* Begins anew: also after a time in which nothing was read, which says nothing of the other side.
 */
void liveness_begin(struct liveness *liveness, const struct liveness_options *options,
		    uint64_t now_ns);
void liveness_rest(struct liveness *liveness, uint64_t now_ns);

void liveness_heard(struct liveness *liveness, uint64_t now_ns, bool message);

/* What is to be done now; it counts as done. To be called until it says to wait. */
enum liveness_action liveness_act(struct liveness *liveness, uint64_t now_ns);

/* When there may be something to do; 0: never. */
uint64_t liveness_due_ns(const struct liveness *liveness);

#endif
