/*
 * The face of a source: what is asked of it goes to the connection that stands for it, or to both
 * that it may have.
 */
#include "websocket/source_state.h"

#include <errno.h>

int source_new(struct loop *loop, const struct source_options *options, struct source **ret_source)
{
	CLEANUP(source_free) struct source *source = calloc(1, sizeof(*source));
	int r;

	if (!source)
		return -ENOMEM;
	source->options = *options;
	source->loop = loop;
	source->timer = (struct loop_timer){.callback = source_on_timer, .data = source};
	source->age_timer = (struct loop_timer){.callback = source_on_age, .data = source};
	backoff_init(&source->backoff, &options->backoff);
	r = source_connect(source, &source->links[0]);
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
	bool waiting = source->next_ns > 0 && !source_has_alive(source);
	int r = 0;

	source->closing = true;
	source->next_ns = 0;
	loop_timer_clear(source->loop, &source->age_timer);
	for (size_t i = 0; r >= 0 && i < SOURCE_LANES; i++)
		if (link_is_alive(&source->links[i]))
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

		if (link_is_alive(link) && link->ready && !link->replaced)
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
		struct client *client = link_is_alive(link) ? attempt_client(link->attempt) : NULL;

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
		struct client *client = link_is_alive(link) ? attempt_client(link->attempt) : NULL;

		if (client)
			r = client_resume(client);
	}
	return r;
}

/* The link that asks for an authorization: one at most, since only one begins at a time. */
static struct attempt *find_asking(struct source *source)
{
	for (size_t i = 0; i < SOURCE_LANES; i++)
		if (link_is_alive(&source->links[i]) && attempt_is_asking(source->links[i].attempt))
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
		if (link_is_alive(&source->links[i]) && source->links[i].opened)
			return true;
	return false;
}
