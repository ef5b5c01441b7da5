/*
 * There is one link in quiet times. When its connection ends, and it is worth another attempt, the
 * next one begins after a wait. When it gets old, the next one begins beside it, and the old one
 * retires when the new one is ready: make before break. What was under way on it still arrives. A
 * new one that fails is tried again, and the old one stays meanwhile.
 *
 * Links are freed by the timer only, since it is from inside of them that their end is told.
 */
#include "websocket/source.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct link {
	struct source *source;
	struct attempt *attempt; /* NULL: free */
	struct source_place place;
	bool opened;
	bool ready;    /* all is said that is to be said first */
	bool replaced; /* it retires, since another one took its place */
	bool ended;
	uint64_t opened_ns;
};

struct source {
	struct source_options options;
	struct loop *loop;
	struct loop_timer timer, age_timer;
	struct link links[SOURCE_LANES];
	struct backoff backoff;
	uint64_t next_ns; /* when the next connection is to begin; 0: none is planned */
	bool renewing;	  /* a link is old, and the one to replace it is not ready */
	bool closing;	  /* no connection is to begin any more */
	bool over;
	struct source_counters counters; /* of the links that are gone */
	struct client_end end;		 /* of the last of them */
};

static bool is_alive(const struct link *link)
{
	return link->attempt && !link->ended;
}

/* A link that stands for the source: it is not on its way out. */
static struct link *find_standing(struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (is_alive(&source->links[i]) && !source->links[i].replaced)
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

static bool has_alive(const struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (is_alive(&source->links[i]))
			return true;
	return false;
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

static int connect_link(struct source *source, struct link *link)
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
static int on_timer(void *data)
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
	return connect_link(source, link);
}

/* The connection is old: a new one is to take its place. */
static int on_age(void *data)
{
	struct source *source = data;

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

		if (link == by || !is_alive(link) || link->replaced)
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
			       link->opened_ns + source->options.connection_age_ns);
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
		backoff_reset(&link->source->backoff);
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
static uint64_t plan_return(struct source *source, const struct client_end *end)
{
	source->renewing = false;
	loop_timer_clear(source->loop, &source->age_timer);
	if (!source->options.reconnect || !client_end_is_passing(end))
		return SOURCE_NO_NEXT;
	return back_off(source, end);
}

/* Plans what is to follow on the end of a link. Returns how long until the next attempt. */
static uint64_t plan_next(struct source *source, const struct link *link,
			  const struct client_end *end)
{
	const struct link *other = find_standing(source);
	uint64_t wait_ns;

	if (source->closing || link->replaced)
		return SOURCE_NO_NEXT;
	if (other && !other->ready)
		return 0; /* the new link is under way already */
	wait_ns = other ? plan_renewal(source, end) : plan_return(source, end);
	source->next_ns = wait_ns == SOURCE_NO_NEXT ? 0 : clock_monotonic_ns() + wait_ns;
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
	loss.next_in_ns = plan_next(source, link, end);
	ring(source);
	r = source->options.handler->lost(source->options.data, &link->place, &loss);
	if (r < 0 || source->over || source->next_ns > 0 || has_alive(source))
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

int source_new(struct loop *loop, const struct source_options *options, struct source **ret_source)
{
	CLEANUP(source_free) struct source *source = calloc(1, sizeof(*source));
	int r;

	if (!source)
		return -ENOMEM;
	source->options = *options;
	source->loop = loop;
	source->timer = (struct loop_timer){.callback = on_timer, .data = source};
	source->age_timer = (struct loop_timer){.callback = on_age, .data = source};
	backoff_init(&source->backoff, &options->backoff);
	r = connect_link(source, &source->links[0]);
	if (r < 0)
		return r;
	*ret_source = TAKE_PTR(source);
	return 0;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	loop_timer_clear(source->loop, &source->timer);
	loop_timer_clear(source->loop, &source->age_timer);
	for (size_t i = 0; i < SOURCE_LANES; i++)
		attempt_free(source->links[i].attempt);
	free(source);
}

int source_close(struct source *source, uint16_t code, const char *reason)
{
	bool waiting = source->next_ns > 0 && !has_alive(source);
	int r = 0;

	source->closing = true;
	source->next_ns = 0;
	loop_timer_clear(source->loop, &source->age_timer);
	for (size_t i = 0; r >= 0 && i < SOURCE_LANES; i++)
		if (is_alive(&source->links[i]))
			r = attempt_close(source->links[i].attempt, code, reason);
	if (r < 0 || !waiting || source->over)
		return r;
	source->over = true; /* nothing is open that would have an end to tell */
	return source->options.handler->ended(source->options.data, source->options.number,
					      &source->end);
}

/* By which the source speaks; NULL: nothing is there to talk to. */
static struct client *find_client(struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++) {
		const struct link *link = &source->links[i];

		if (is_alive(link) && link->ready && !link->replaced)
			return attempt_client(link->attempt);
	}
	return NULL;
}

int source_send(struct source *source, enum message_kind kind, const void *data, size_t size)
{
	struct client *client = find_client(source);

	return client ? client_send(client, kind, data, size) : -ENOTCONN;
}

int source_ping(struct source *source, const void *data, size_t size)
{
	struct client *client = find_client(source);

	return client ? client_ping(client, data, size) : -ENOTCONN;
}

size_t source_waiting(const struct source *source)
{
	size_t waiting = 0;

	for (size_t i = 0; i < SOURCE_LANES; i++) {
		const struct link *link = &source->links[i];
		struct client *client = is_alive(link) ? attempt_client(link->attempt) : NULL;

		if (client)
			waiting += client_waiting(client);
	}
	return waiting;
}

const char *source_subprotocol(struct source *source)
{
	struct client *client = find_client(source);

	return client ? client_subprotocol(client) : NULL;
}

int source_resume(struct source *source)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < SOURCE_LANES; i++) {
		const struct link *link = &source->links[i];
		struct client *client = is_alive(link) ? attempt_client(link->attempt) : NULL;

		if (client)
			r = client_resume(client);
	}
	return r;
}

/* The link that asks for an authorization: one at most, since only one begins at a time. */
static struct attempt *find_asking(struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (is_alive(&source->links[i]) && attempt_is_asking(source->links[i].attempt))
			return source->links[i].attempt;
	return NULL;
}

int source_authorize(struct source *source, struct secret *line)
{
	struct attempt *attempt = find_asking(source);

	return attempt ? attempt_authorize(attempt, line) : 0;
}

int source_refuse(struct source *source, const char *why)
{
	struct attempt *attempt = find_asking(source);

	return attempt ? attempt_refuse(attempt, why) : 0;
}

struct source_counters source_counters(const struct source *source)
{
	struct source_counters counters = source->counters;

	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (source->links[i].attempt)
			counters.wire_bytes +=
				attempt_counters(source->links[i].attempt).wire_bytes;
	return counters;
}

bool source_is_open(const struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (is_alive(&source->links[i]) && source->links[i].opened)
			return true;
	return false;
}
