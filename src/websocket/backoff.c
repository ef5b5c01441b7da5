/*
 * A wait is drawn evenly from 0 to a bound that doubles with each, until a connection lasts.
 * Thousands of clients that lose the same server at the same moment come back spread over that
 * time, and not as one wave.
 */
#include "websocket/backoff.h"

#include "base/macro.h"

void backoff_init(struct backoff *backoff, const struct backoff_options *options)
{
	*backoff = (struct backoff){.options = *options};
}

void backoff_succeed(struct backoff *backoff)
{
	backoff->failures = 0;
}

void backoff_reset(struct backoff *backoff)
{
	backoff->failures = backoff->waits = 0;
}

void backoff_lived(struct backoff *backoff, uint64_t lived_ns)
{
	if (backoff->failures == 0 && lived_ns >= MIN(BACKOFF_GOOD_NS, backoff->options.max_ns))
		backoff->waits = 0;
}

/* What the wait is drawn from, after so many waits before this one. */
static uint64_t bound(const struct backoff_options *options, uint64_t waits)
{
	uint64_t value = options->first_ns;

	while (waits-- > 0 && value < options->max_ns)
		value = value > options->max_ns / 2 ? options->max_ns : value * 2;
	return MIN(value, options->max_ns);
}

/* Evenly from 0 to `max`. */
static uint64_t draw(uint64_t random, uint64_t max)
{
	return (uint64_t)((unsigned __int128)random * max >> 64);
}

uint64_t backoff_fail(struct backoff *backoff, uint64_t now_ns, uint64_t random, uint64_t asked_ns)
{
	const struct backoff_options *options = &backoff->options;
	uint64_t wait_ns = draw(random, bound(options, backoff->waits));

	if (backoff->failures == 0)
		backoff->since_ns = now_ns;
	backoff->failures++;
	backoff->waits++;
	wait_ns = MAX(wait_ns, asked_ns);
	if (options->attempts_max > 0 && backoff->failures > options->attempts_max)
		return BACKOFF_GIVE_UP;
	if (options->give_up_ns > 0 && now_ns + wait_ns - backoff->since_ns > options->give_up_ns)
		return BACKOFF_GIVE_UP;
	return wait_ns;
}
