/*
 * There is one link in quiet times. When its connection ends, and it is worth another attempt, the
 * next one begins after a wait. When it gets old, the next one begins beside it, and the old one
 * retires when the new one is ready: make before break. What was under way on it still arrives. A
 * new one that fails is tried again, and the old one stays meanwhile.
 *
 * Links are freed by the timer only, since it is from inside of them that their end is told.
 */
#include "websocket/source_state.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <sys/random.h>

/* A link that stands for the source: it is not on its way out. */
static struct link *find_standing(struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (link_is_alive(&source->links[i]) && !source->links[i].replaced)
			return &source->links[i];
	return NULL;
}

static struct link *find_free(struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (!source->links[i].attempt)
			return &source->links[i];
	return NULL;
}

static void free_link(struct source *source, struct link *link)
{
	source->counters.wire_bytes += attempt_counters(link->attempt).wire_bytes;
	attempt_free(TAKE_PTR(link->attempt));
}

/* The timer rings at once, and then again when it is time to connect. */
static void ring(struct source *source)
{
	loop_timer_set(source->loop, &source->timer, clock_monotonic_ns());
}

static uint64_t random_number(void)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
		return UINT64_MAX / 2; /* the middle will do, for once */
	return number;
}

static const struct client_handler client_handler;

/* Of a link that begins. */
static int on_prepare(void *data)
{
	struct link *link = data;
	const struct source_options *options = &link->source->options;

	return options->handler->prepare(options->data, options->number);
}

int source_connect(struct source *source, struct link *link)
{
	struct attempt_options options = {
		.client = source->options.client,
		.prepare = source->options.prepare ? on_prepare : NULL,
		.follow_redirects = source->options.follow_redirects,
		.tls_proxy = source->options.tls_proxy,
	};

	link->source = source;
	link->opened = link->ready = link->replaced = link->ended = false;
	link->place = (struct source_place){
		.source = source->options.number,
		.connection = (uint16_t)(*source->options.connections)++,
		.lane = (uint16_t)(source->options.number * SOURCE_LANES + link - source->links),
	};
	options.client.source = link->place.source;
	options.client.connection = link->place.connection;
	options.client.lane = link->place.lane;
	options.client.handler = &client_handler;
	options.client.data = link;
	return attempt_new(source->loop, &options, &link->attempt);
}

/* Frees links that have ended, and begins a connection if one is due. While both links are in
 * use, it waits for one of them to end; the old one has a bound for that. */
int source_on_timer(void *data)
{
	struct source *source = data;
	struct link *link;

	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (source->links[i].attempt && source->links[i].ended)
			free_link(source, &source->links[i]);
	link = find_free(source);
	if (source->next_ns == 0 || !link)
		return 0;
	if (source->next_ns > clock_monotonic_ns()) {
		loop_timer_set(source->loop, &source->timer, source->next_ns);
		return 0;
	}
	source->next_ns = 0;
	return source_connect(source, link);
}

/* The connection is old: a new one is to take its place, whose end will not tell how long this one
 * has lived. */
int source_on_age(void *data)
{
	struct source *source = data;

	backoff_lived(&source->backoff, source->options.connection_age_ns);
	source->renewing = true;
	source->next_ns = clock_monotonic_ns();
	ring(source);
	return 0;
}

/* The new link is ready: those that it replaces retire. */
static int replace_others(struct source *source, const struct link *by)
{
	for (size_t i = 0; i < SOURCE_LANES; i++) {
		struct link *link = &source->links[i];
		int r;

		if (link == by || !link_is_alive(link) || link->replaced)
			continue;
		link->replaced = true;
		r = attempt_retire(link->attempt, CLOSE_NORMAL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int on_opened(void *data, uint64_t time_ns)
{
	struct link *link = data;
	struct source *source = link->source;

	link->opened = true;
	link->opened_ns = clock_monotonic_ns();
	link->place.redirected_to = attempt_place(link->attempt);
	source->counters.opened++;
	return source->options.handler->opened(source->options.data, &link->place, time_ns);
}

static int on_ready(void *data)
{
	struct link *link = data;
	struct source *source = link->source;
	const struct source_options *options = &source->options;
	int r;

	link->ready = true;
	source->renewing = false;
	if (source->options.connection_age_ns > 0)
		loop_timer_set(source->loop, &source->age_timer,
			       clock_after(link->opened_ns, source->options.connection_age_ns));
	r = replace_others(source, link);
	if (r < 0 || !options->handler->ready)
		return r;
	return options->handler->ready(options->data, &link->place);
}

static int on_drained(void *data)
{
	struct link *link = data;
	const struct source_options *options = &link->source->options;

	return options->handler->drained ? options->handler->drained(options->data) : 0;
}

static size_t on_room(void *data)
{
	struct link *link = data;

	return link->source->options.handler->room(link->source->options.data);
}

/* What comes before a link is ready may be a refusal; and what the old link brings says nothing of
 * how the attempts to replace it go. */
static bool is_success(const struct link *link)
{
	return link->ready && !link->replaced && !link->source->renewing;
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct link *link = data;

	if (is_success(link))
		backoff_succeed(&link->source->backoff);
	return link->source->options.handler->pieces(link->source->options.data, batch);
}

static int on_flush(void *data)
{
	struct link *link = data;

	return link->source->options.handler->flush(link->source->options.data);
}

/* The wait until the next attempt, or SOURCE_NO_NEXT. */
static uint64_t back_off(struct source *source, const struct client_end *end)
{
	uint64_t wait_ns = backoff_fail(&source->backoff, clock_monotonic_ns(), random_number(),
					end->response.retry_after_ns);

	return wait_ns == BACKOFF_GIVE_UP ? SOURCE_NO_NEXT : wait_ns;
}

/* The new link has failed while the old one stands: what can be tried again is, and what cannot,
 * when the old one is older by as much again. */
static uint64_t plan_renewal(struct source *source, const struct client_end *end)
{
	uint64_t wait_ns = back_off(source, end);

	if (wait_ns != SOURCE_NO_NEXT && client_end_is_passing(end))
		return wait_ns;
	backoff_reset(&source->backoff);
	return source->options.connection_age_ns;
}

/* The source has no connection any more. */
static uint64_t plan_return(struct source *source, const struct client_end *end, uint64_t open_ns)
{
	source->renewing = false;
	loop_timer_clear(source->loop, &source->age_timer);
	if (!source->options.reconnect || !client_end_is_passing(end))
		return SOURCE_NO_NEXT;
	backoff_lived(&source->backoff, open_ns);
	return back_off(source, end);
}

/* Plans what is to follow on the end of a link. Returns how long until the next attempt. */
static uint64_t plan_next(struct source *source, const struct link *link,
			  const struct source_loss *loss)
{
	const struct link *other = find_standing(source);
	uint64_t wait_ns;

	if (source->closing || link->replaced)
		return SOURCE_NO_NEXT;
	if (other && !other->ready)
		return 0; /* the new link is under way already */
	wait_ns = other ? plan_renewal(source, loss->end)
			: plan_return(source, loss->end, loss->open_ns);
	source->next_ns =
		wait_ns == SOURCE_NO_NEXT ? 0 : clock_after(clock_monotonic_ns(), wait_ns);
	return wait_ns;
}

static int on_ended(void *data, const struct client_end *end)
{
	struct link *link = data;
	struct source *source = link->source;
	struct source_loss loss = {
		.end = end,
		.was_open = link->opened,
		.wanted = link->replaced || source->closing,
		.open_ns = link->opened ? clock_monotonic_ns() - link->opened_ns : 0,
	};
	int r;

	link->ended = true;
	if (!link->opened)
		source->counters.failed++;
	if (!link->replaced)
		source->end = *end;
	loss.next_in_ns = plan_next(source, link, &loss);
	ring(source);
	r = source->options.handler->lost(source->options.data, &link->place, &loss);
	if (r < 0 || source->over || source->next_ns > 0 || source_has_alive(source))
		return r;
	source->over = true;
	return source->options.handler->ended(source->options.data, source->options.number,
					      &source->end);
}

static const struct client_handler client_handler = {
	.opened = on_opened,
	.ready = on_ready,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
	.drained = on_drained,
	.ended = on_ended,
};
