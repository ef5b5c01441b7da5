/*
 * Received bytes go to the end of one buffer, are decoded in place by the session, and forgotten;
 * what the session has to say waits in its output until the socket takes it. There is no queue in
 * between.
 */
#include "websocket/client_state.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define CLOSE_TIMEOUT_NS (3 * NS_PER_S)

static bool output_waits(const struct client *client)
{
	return session_output(client->session)->size > 0;
}

/* What the transport holds, or what the session has still to take, is read without waiting for the
 * socket, after everybody else's turn. */
static void come_again(struct client *client)
{
	uint64_t wait_ns =
		transport_again_ns(client->transport, !client->paused, output_waits(client));

	if (client->unfinished && !client->paused)
		wait_ns = 0;
	if (wait_ns != TRANSPORT_NEVER)
		loop_timer_set(client->loop, &client->again, clock_monotonic_ns() + wait_ns);
}

/* How far the socket is waited for: always for reading, unless paused; for writing when needed. */
int client_stream_watch(struct client *client)
{
	uint32_t events =
		transport_events(client->transport, !client->paused, output_waits(client));

	come_again(client);
	if (events == client->events)
		return 0;
	client->events = events;
	if (events == 0) { /* or a server that hangs up would wake us for ever */
		loop_remove(client->loop, &client->source);
		return 0;
	}
	if (client->source.fd < 0)
		return loop_add(client->loop, &client->source, transport_fd(client->transport),
				events);
	return loop_change(client->loop, &client->source, events);
}

static int write_out(struct client *client)
{
	const struct buffer *output = session_output(client->session);
	ssize_t n = 1;
	int r = 0;

	while (r >= 0 && output->size > 0 && n > 0) {
		n = transport_send(client->transport, output->data, output->size);
		if (n > 0)
			r = session_sent(client->session, (size_t)n);
	}
	/* A server that is gone is noticed by reading, where its last words are. */
	if (n < 0 && n != -EAGAIN)
		r = session_sent(client->session, output->size);
	return r;
}

/* Nothing more is said; and nothing more is taken, unless the connection retires. */
static void begin_closing(struct client *client)
{
	keepalive_end(&client->keepalive);
	/* A server that closes before it gave the answer which is waited for has refused it. */
	if (client->opening.run && session_end(client->session)->close_code)
		client_note_opening(client, -ECONNREFUSED);
	opening_done(&client->opening);
	if (client->closing || session_is_taking(client->session))
		return;
	client->closing = true;
	client->paused = false;
	loop_timer_set(client->loop, &client->timer, clock_monotonic_ns() + CLOSE_TIMEOUT_NS);
}

/* To be called after anything that may have changed the session or its output. Whoever pauses us
 * until all is sent is told of it here, since nothing may wake us up later. */
int client_settle(struct client *client)
{
	const struct client_handler *handler = client->options.handler;
	enum session_state state = session_state(client->session);
	bool waited = output_waits(client);
	int r;

	if (client->phase != CLIENT_CONNECTED)
		return 0;
	if (state == SESSION_REFUSED)
		return client_finish(client);
	if (state >= SESSION_CLOSING)
		begin_closing(client);
	r = write_out(client);
	if (r < 0)
		return r;
	if (state == SESSION_OVER && !output_waits(client))
		transport_finish(client->transport);
	r = client_stream_watch(client);
	if (r < 0 || !waited || output_waits(client) || !handler->drained)
		return r;
	return handler->drained(client->options.data);
}

static void pause_reading(struct client *client)
{
	client->paused = client->opening.resting = true;
	keepalive_rest(&client->keepalive, true);
}

/* Shows the session what is in the buffer, and makes room in it. */
static int consume(struct client *client)
{
	const struct session_input input = {
		.free = client->scratch,
		.data = client->data,
		.size = client->fill,
		.time_ns = client->time_ns,
		.kernel_time = client->kernel_time,
	};
	size_t used;
	int taken = session_take(client->session, &input, &used);

	if (taken < 0)
		return taken;
	memmove(client->data, client->data + used, client->fill - used);
	client->fill -= used;
	client->unfinished = taken > 0;
	if (taken == SESSION_STALLED)
		pause_reading(client);
	return client_settle(client);
}

static int on_stream_end(struct client *client, int error)
{
	session_lost(client->session, error);
	return client_finish(client);
}

/* When what was just received came: as the kernel says, or now. */
static void note_time(struct client *client)
{
	client->time_ns = transport_time_ns(client->transport);
	client->kernel_time = client->time_ns > 0;
	if (!client->kernel_time)
		client->time_ns = clock_realtime_ns();
}

static int read_in(struct client *client)
{
	size_t room = CLIENT_RECEIVE_SIZE - client->fill;
	ssize_t n;

	if (session_state(client->session) == SESSION_UPGRADING ||
	    session_is_taking(client->session))
		room = MIN(room, client->options.handler->room(client->options.data));
	if (client->phase == CLIENT_ENDED)
		return 0;
	if (room == 0) {
		pause_reading(client);
		return client_stream_watch(client);
	}
	n = transport_receive(client->transport, client->data + client->fill, room);
	if (n == -EAGAIN)
		return client_stream_watch(client);
	if (n <= 0)
		return on_stream_end(client, (int)n);
	client->fill += (size_t)n;
	client->counters.wire_bytes += (size_t)n;
	note_time(client);
	keepalive_heard(&client->keepalive);
	return consume(client);
}

int client_stream_ready(void *data)
{
	struct client *client = data;
	int r = 0;

	if (output_waits(client))
		r = client_settle(client);
	if (r < 0 || client->paused || client->phase == CLIENT_ENDED)
		return r;
	return client->unfinished ? consume(client) : read_in(client);
}
