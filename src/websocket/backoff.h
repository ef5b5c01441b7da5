/* How long to wait before the next attempt to connect: exponential, with full jitter and a cap.
 * Arithmetic, without a clock. */
#ifndef WEIR_WEBSOCKET_BACKOFF_H
#define WEIR_WEBSOCKET_BACKOFF_H

#include <stdint.h>

struct backoff_options {
	uint64_t first_ns;     /* the first wait is at most this long, */
	uint64_t max_ns;       /* and no wait longer than this, unless the server asks for it */
	uint64_t attempts_max; /* attempts in a row that may fail; 0: no limit */
	uint64_t give_up_ns;   /* without success for so long it is given up; 0: no limit */
};

struct backoff {
	struct backoff_options options;
	uint64_t failures; /* in a row */
	uint64_t since_ns; /* of the first of them, by the monotonic clock */
};

void backoff_init(struct backoff *backoff, const struct backoff_options *options);

/* Messages have come: what failed before does not count any more. */
void backoff_reset(struct backoff *backoff);

#define BACKOFF_GIVE_UP UINT64_MAX

/* An attempt failed, or a connection was lost, at `now_ns`. Returns how long to wait, or
 * BACKOFF_GIVE_UP. `random` is any number of 64 random bits; `asked_ns` is the least wait that the
 * server asked for (Retry-After), 0 if it did not. */
uint64_t backoff_fail(struct backoff *backoff, uint64_t now_ns, uint64_t random, uint64_t asked_ns);

#endif
