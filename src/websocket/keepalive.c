/*
 * The timer is set to the first moment at which something may have to be done. What comes meanwhile
 * moves that moment, but not the timer: when it rings too early, it is set again. It never rings
 * too late, since it rings once in each interval between Pings.
 *
 * When this process was stopped, or its machine, all times are over at once, although the answers
 * wait in the socket. So a connection is not dead before there was time to read.
 */
#include "websocket/keepalive.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define DOUBT_NS (100 * NS_PER_MS)

static void set_timer(struct keepalive *keepalive)
{
	uint64_t due_ns = liveness_due_ns(&keepalive->liveness);
	uint64_t interval_ns = keepalive->liveness.options.ping_interval_ns;
	uint64_t next_ns = clock_after(clock_monotonic_ns(), interval_ns);

	/* While a Ping waits, no other one is due; but once something comes, the next one is, and
	 * that may be long before the answer would have been late. */
	if (interval_ns > 0 && (due_ns == 0 || due_ns > next_ns))
		due_ns = next_ns;
	if (due_ns > 0)
		loop_timer_set(keepalive->loop, &keepalive->timer, due_ns);
}

static int send(struct keepalive *keepalive, enum liveness_action action)
{
	const char *beat = keepalive->beat;
	int r;

	if (action == LIVENESS_PING)
		r = session_ping(keepalive->session, NULL, 0);
	else
		r = session_send(keepalive->session, MESSAGE_TEXT, beat, strlen(beat));
	/* So much is waiting already that one more would tell nothing new. */
	return r == -ENOBUFS ? 0 : r;
}

static int doubt(struct keepalive *keepalive, enum liveness_action action, uint64_t now)
{
	if (keepalive->doubted)
		return keepalive->news(keepalive->data, action);
	keepalive->doubted = true;
	loop_timer_set(keepalive->loop, &keepalive->timer, now + DOUBT_NS);
	return 0;
}

static int on_timer(void *data)
{
	struct keepalive *keepalive = data;
	uint64_t now = clock_monotonic_ns();
	enum liveness_action action, last = LIVENESS_WAIT;
	int r = 0;

	if (keepalive->resting)
		liveness_rest(&keepalive->liveness, now);
	while (r >= 0 && (action = liveness_act(&keepalive->liveness, now)) != LIVENESS_WAIT) {
		if (action == LIVENESS_SILENT || action == LIVENESS_IDLE)
			return doubt(keepalive, action, now);
		r = send(keepalive, action);
		last = action;
	}
	if (r < 0)
		return r;
	keepalive->doubted = false;
	set_timer(keepalive);
	return last == LIVENESS_WAIT ? 0 : keepalive->news(keepalive->data, last);
}

void keepalive_begin(struct keepalive *keepalive, const struct liveness_options *options)
{
	keepalive->timer = (struct loop_timer){.callback = on_timer, .data = keepalive};
	liveness_begin(&keepalive->liveness, options, clock_monotonic_ns());
	set_timer(keepalive);
}

void keepalive_end(struct keepalive *keepalive)
{
	if (keepalive->loop)
		loop_timer_clear(keepalive->loop, &keepalive->timer);
}

void keepalive_heard(struct keepalive *keepalive)
{
	liveness_heard(&keepalive->liveness, clock_monotonic_ns(), false);
}

void keepalive_heard_message(struct keepalive *keepalive)
{
	liveness_heard(&keepalive->liveness, keepalive->liveness.heard_ns, true);
}

void keepalive_rest(struct keepalive *keepalive, bool resting)
{
	if (keepalive->resting && !resting)
		liveness_rest(&keepalive->liveness, clock_monotonic_ns());
	keepalive->resting = resting;
}
