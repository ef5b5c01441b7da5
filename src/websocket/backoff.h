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

/* A connection that brought messages for so long, or for max_ns if that is less, was a good one. */
#define BACKOFF_GOOD_NS ((uint64_t)10000000000)

struct backoff {
	struct backoff_options options;
	uint64_t failures; /* in a row */
	uint64_t since_ns; /* of the first of them, by the monotonic clock */
	uint64_t waits;	   /* since the last good connection */
};

void backoff_init(struct backoff *backoff, const struct backoff_options *options);

/* Messages have come: attempts that failed before do not count any more. The waits stay as long as
 * they are: a server may greet each time before it closes. */
void backoff_succeed(struct backoff *backoff);

/* Everything begins anew, */
void backoff_reset(struct backoff *backoff);

/* or so it does if the last connection brought messages, and has lived for long enough. To be
 * called before backoff_fail(), and before another connection takes its place. */
void backoff_lived(struct backoff *backoff, uint64_t lived_ns);

#define BACKOFF_GIVE_UP UINT64_MAX

/* An attempt failed, or a connection was lost, at `now_ns`. Returns how long to wait, or
 * BACKOFF_GIVE_UP. `random` is any number of 64 random bits; `asked_ns` is the least wait that the
 * server asked for (Retry-After), 0 if it did not. */
uint64_t backoff_fail(struct backoff *backoff, uint64_t now_ns, uint64_t random, uint64_t asked_ns);

#endif
