/*
 * Four clocks that run since four moments. Whatever comes answers a Ping: under a flood of messages
 * the Pong is far behind them, and a connection that brings messages is not dead.
 */
#include "websocket/liveness.h"

#include "base/clock.h"
#include "base/macro.h"

void liveness_begin(struct liveness *liveness, const struct liveness_options *options,
		    uint64_t now_ns)
{
	*liveness = (struct liveness){.options = *options, .beat_ns = now_ns};
	liveness_rest(liveness, now_ns);
}

void liveness_rest(struct liveness *liveness, uint64_t now_ns)
{
	liveness->heard_ns = liveness->message_ns = now_ns;
	liveness->pinged_ns = 0;
}

void liveness_heard(struct liveness *liveness, uint64_t now_ns, bool message)
{
	liveness->heard_ns = now_ns;
	liveness->pinged_ns = 0;
	if (message)
		liveness->message_ns = now_ns;
}

/* When `interval_ns` since a moment is over; never, if there is none. */
static uint64_t after(uint64_t since_ns, uint64_t interval_ns)
{
	return interval_ns > 0 ? clock_after(since_ns, interval_ns) : UINT64_MAX;
}

static uint64_t ping_due(const struct liveness *liveness)
{
	return liveness->pinged_ns > 0
		       ? UINT64_MAX
		       : after(liveness->heard_ns, liveness->options.ping_interval_ns);
}

static uint64_t pong_due(const struct liveness *liveness)
{
	return liveness->pinged_ns == 0
		       ? UINT64_MAX
		       : after(liveness->pinged_ns, liveness->options.pong_timeout_ns);
}

static uint64_t idle_due(const struct liveness *liveness)
{
	return after(liveness->message_ns, liveness->options.idle_timeout_ns);
}

static uint64_t beat_due(const struct liveness *liveness)
{
	return after(liveness->beat_ns, liveness->options.beat_interval_ns);
}

enum liveness_action liveness_act(struct liveness *liveness, uint64_t now_ns)
{
	if (idle_due(liveness) <= now_ns)
		return LIVENESS_IDLE;
	if (pong_due(liveness) <= now_ns)
		return LIVENESS_SILENT;
	if (ping_due(liveness) <= now_ns) {
		liveness->pinged_ns = now_ns;
		return LIVENESS_PING;
	}
	if (beat_due(liveness) <= now_ns) {
		liveness->beat_ns = now_ns;
		return LIVENESS_BEAT;
	}
	return LIVENESS_WAIT;
}

uint64_t liveness_due_ns(const struct liveness *liveness)
{
	uint64_t dead = MIN(idle_due(liveness), pong_due(liveness));
	uint64_t due = MIN(dead, MIN(ping_due(liveness), beat_due(liveness)));

	return due == UINT64_MAX ? 0 : due;
}
