/*
 * A session, the stream below it, and time: bytes go from one to the other through one buffer, and
 * nothing is waited for without a bound.
 *
 *   DIALLING ─▶ CONNECTED ─▶ ENDED
 *
 * A session that is over is not closed at once: to close a socket with unread data in it would
 * reset the connection, and the server might never see why. So what still comes is read and
 * dropped, up to the end of the stream or of CLOSE_TIMEOUT_NS.
 */
#include "websocket/client.h"

#include "base/clock.h"
#include "base/printable.h"
#include "websocket/close.h"
#include "websocket/keepalive.h"
#include "websocket/opening.h"
#include "websocket/session.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define RECEIVE_SIZE MIB(1) /* measured: smaller and larger are slower */
#define SCRATCH KIB(1)	    /* in front of it, so that payloads can be moved down at once */
#define CLOSE_TIMEOUT_NS (3 * NS_PER_S)
#define RETIRE_TIMEOUT_NS (30 * NS_PER_S)

enum phase {
	DIALLING,
	CONNECTED,
	ENDED,
};

struct client {
	struct client_options options;
	struct loop *loop;
	struct transport *transport;
	struct session *session;
	struct loop_source source;
	struct loop_timer timer; /* of connecting, and of the end */
	struct loop_timer again; /* goes on with what is there */
	struct keepalive keepalive;
	struct opening opening;
	bool opening_failed;
	int opening_error;
	char opening_detail[SCRIPT_TEXT_SIZE];
	enum phase phase;
	uint32_t events; /* what the socket is waited for */
	bool paused;
	bool unfinished; /* the session has not taken all of `data` that it could */
	bool closing;	 /* the timer is that of the end */
	struct client_counters counters;
	uint64_t time_ns; /* when the last of `data` came, */
	bool kernel_time; /* as the kernel says */
	size_t fill;	  /* bytes in `data` */
	uint8_t scratch[SCRATCH];
	uint8_t data[RECEIVE_SIZE];
};

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
static int update_events(struct client *client)
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

static void clear_timers(struct client *client)
{
	loop_timer_clear(client->loop, &client->timer);
	loop_timer_clear(client->loop, &client->again);
	keepalive_end(&client->keepalive);
	opening_done(&client->opening);
}

/* What the end is by: where the opening failed, that, and not how the server took it. */
static void complete_end(const struct client *client, struct client_end *end)
{
	char reason[CLOSE_REASON_MAX + 1];

	if (!client->opening_failed)
		return;
	snprintf(reason, sizeof(reason), "%.*s", CLOSE_REASON_MAX,
		 end->detail); /* if it gave one */
	end->kind = CLIENT_OPENING;
	end->error = client->opening_error;
	printable_copy(end->detail, sizeof(end->detail), client->opening_detail,
		       strlen(client->opening_detail));
	if (*reason)
		snprintf(end->detail + strlen(end->detail),
			 sizeof(end->detail) - strlen(end->detail), "; it says: %s", reason);
}

static int finish(struct client *client)
{
	struct client_end *end = session_end(client->session);

	if (client->phase == ENDED)
		return 0;
	client->phase = ENDED;
	complete_end(client, end);
	loop_remove(client->loop, &client->source);
	clear_timers(client);
	transport_free(TAKE_PTR(client->transport)); /* or it might still get through */
	return client->options.handler->ended(client->options.data, end);
}

static int finish_as(struct client *client, enum client_end_kind kind)
{
	session_end(client->session)->kind = kind;
	return finish(client);
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

static void note_opening(struct client *client, int error)
{
	client->opening_failed = true;
	client->opening_error = error;
	opening_describe(&client->opening, client->opening_detail);
}

/* Nothing more is said; and nothing more is taken, unless the connection retires. */
static void begin_closing(struct client *client)
{
	keepalive_end(&client->keepalive);
	/* A server that closes before it gave the answer which is waited for has refused it. */
	if (client->opening.run && session_end(client->session)->close_code)
		note_opening(client, -ECONNREFUSED);
	opening_done(&client->opening);
	if (client->closing || session_is_taking(client->session))
		return;
	client->closing = true;
	client->paused = false;
	loop_timer_set(client->loop, &client->timer, clock_monotonic_ns() + CLOSE_TIMEOUT_NS);
}

/* To be called after anything that may have changed the session or its output. */
static int settle(struct client *client)
{
	enum session_state state = session_state(client->session);
	int r;

	if (client->phase != CONNECTED)
		return 0;
	if (state == SESSION_REFUSED)
		return finish(client);
	if (state >= SESSION_CLOSING)
		begin_closing(client);
	r = write_out(client);
	if (r < 0)
		return r;
	if (state == SESSION_OVER && !output_waits(client))
		transport_finish(client->transport);
	return update_events(client);
}

static int pause_reading(struct client *client)
{
	client->paused = true;
	keepalive_rest(&client->keepalive, true);
	return update_events(client);
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
	int r;

	if (taken < 0)
		return taken;
	memmove(client->data, client->data + used, client->fill - used);
	client->fill -= used;
	client->unfinished = taken > 0;
	r = settle(client);
	if (r < 0 || taken != SESSION_STALLED || client->phase != CONNECTED)
		return r;
	return pause_reading(client);
}

static int on_stream_end(struct client *client, int error)
{
	session_lost(client->session, error);
	return finish(client);
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
	size_t room = RECEIVE_SIZE - client->fill;
	ssize_t n;

	if (session_state(client->session) == SESSION_UPGRADING ||
	    session_is_taking(client->session))
		room = MIN(room, client->options.handler->room(client->options.data));
	if (client->phase == ENDED)
		return 0;
	if (room == 0)
		return pause_reading(client);
	n = transport_receive(client->transport, client->data + client->fill, room);
	if (n == -EAGAIN)
		return update_events(client);
	if (n <= 0)
		return on_stream_end(client, (int)n);
	client->fill += (size_t)n;
	client->counters.wire_bytes += (size_t)n;
	note_time(client);
	keepalive_heard(&client->keepalive);
	return consume(client);
}

/* Goes on with what waits to be sent. */
static int send_on(struct client *client)
{
	const struct client_handler *handler = client->options.handler;
	int r = settle(client);

	if (r < 0 || client->phase == ENDED || output_waits(client) || !handler->drained)
		return r;
	return handler->drained(client->options.data);
}

static int on_ready(void *data)
{
	struct client *client = data;
	int r = 0;

	if (output_waits(client))
		r = send_on(client);
	if (r < 0 || client->paused || client->phase == ENDED)
		return r;
	return client->unfinished ? consume(client) : read_in(client);
}

/* A keepalive_news. */
static int on_keepalive(void *data, enum liveness_action action)
{
	struct client *client = data;

	if (action != LIVENESS_SILENT && action != LIVENESS_IDLE)
		return settle(client);
	session_lost(client->session, 0);
	return finish_as(client, action == LIVENESS_IDLE ? CLIENT_IDLE : CLIENT_SILENT);
}

/* The server did not play its part: it is told that this is the end. */
static int fail_opening(struct client *client, int error)
{
	note_opening(client, error);
	return session_close(client->session, CLOSE_NORMAL, NULL, 0);
}

/* What is to be done after a step of the opening. */
static int follow_opening(struct client *client, int result)
{
	if (result == -ENOMEM)
		return result;
	if (result < 0)
		return fail_opening(client, result);
	return result == OPENING_DONE ? client->options.handler->ready(client->options.data) : 0;
}

/* An opening_progress. */
static int on_opening(void *data, int result)
{
	struct client *client = data;
	int r = follow_opening(client, result);

	return r < 0 ? r : settle(client);
}

static int on_timeout(void *data)
{
	struct client *client = data;

	switch (session_state(client->session)) {
	case SESSION_UPGRADING:
		return finish_as(client, CLIENT_TIMEOUT);
	case SESSION_OPEN: /* it retires, and its message does not end */
		return client_close(client, CLOSE_NORMAL, NULL);
	case SESSION_CLOSING:
		session_lost(client->session, 0);
		return finish_as(client, CLIENT_CLOSE_TIMEOUT);
	default:
		return finish(client);
	}
}

static int on_opened(void *data, uint64_t time_ns)
{
	struct client *client = data;
	const struct client_options *options = &client->options;
	int r;

	loop_timer_clear(client->loop, &client->timer);
	keepalive_begin(&client->keepalive, &options->liveness);
	r = options->handler->opened(options->data, time_ns);
	if (r < 0 || session_state(client->session) != SESSION_OPEN)
		return r;
	return follow_opening(client, options->script
					      ? opening_begin(&client->opening, options->script)
					      : OPENING_DONE);
}

static size_t on_room(void *data)
{
	struct client *client = data;

	return client->options.handler->room(client->options.data);
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct client *client = data;

	int r = follow_opening(client, opening_see(&client->opening, batch));

	keepalive_heard_message(&client->keepalive);
	return r < 0 ? r : client->options.handler->pieces(client->options.data, batch);
}

static int on_flush(void *data)
{
	struct client *client = data;

	return client->options.handler->flush(client->options.data);
}

static const struct session_handler session_handler = {
	.opened = on_opened,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
};

static int on_dialled(void *data, enum transport_error error, const char *detail)
{
	struct client *client = data;
	struct client_end *end = session_end(client->session);

	if (error) {
		end->transport_error = error;
		snprintf(end->detail, sizeof(end->detail), "%s", detail);
		return finish_as(client, CLIENT_DIAL);
	}
	client->phase = CONNECTED;
	return settle(client);
}

static int make_session(struct client *client)
{
	const struct client_options *options = &client->options;
	struct session_options session = {
		.url = options->url,
		.request = options->request,
		.compression = options->compression,
		.ratio_max = options->ratio_max,
		.message_max = options->message_max,
		.fragments_max = options->fragments_max,
		.source = options->source,
		.connection = options->connection,
		.lane = options->lane,
		.handler = &session_handler,
		.data = client,
	};

	int r = session_new(&session, &client->session);

	if (r < 0)
		return r;
	client->keepalive = (struct keepalive){
		.loop = client->loop,
		.session = client->session,
		.beat = options->beat,
		.news = on_keepalive,
		.data = client,
	};
	client->opening = (struct opening){
		.loop = client->loop,
		.session = client->session,
		.progress = on_opening,
		.data = client,
	};
	return 0;
}

int client_new(struct loop *loop, const struct client_options *options, struct client **ret_client)
{
	CLEANUP(client_free) struct client *client = malloc(sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	/* The receive buffer is left untouched: it costs memory only as far as it is used. */
	memset(client, 0, offsetof(struct client, data));
	client->options = *options;
	client->loop = loop;
	client->source = (struct loop_source){.callback = on_ready, .data = client, .fd = -1};
	client->timer = (struct loop_timer){.callback = on_timeout, .data = client};
	client->again = (struct loop_timer){.callback = on_ready, .data = client};
	r = make_session(client);
	if (r >= 0)
		r = transport_new(loop, options->transport, on_dialled, client, &client->transport);
	if (r < 0)
		return r;
	if (options->connect_timeout_ns > 0)
		loop_timer_set(loop, &client->timer,
			       clock_monotonic_ns() + options->connect_timeout_ns);
	*ret_client = TAKE_PTR(client);
	return 0;
}

void client_free(struct client *client)
{
	if (!client)
		return;
	loop_remove(client->loop, &client->source);
	clear_timers(client);
	transport_free(client->transport);
	session_free(client->session);
	free(client);
}

int client_send(struct client *client, enum message_kind kind, const void *data, size_t size)
{
	int r = session_send(client->session, kind, data, size);

	return r < 0 ? r : settle(client);
}

int client_ping(struct client *client, const void *data, size_t size)
{
	int r = session_ping(client->session, data, size);

	return r < 0 ? r : settle(client);
}

const char *client_subprotocol(const struct client *client)
{
	return session_subprotocol(client->session);
}

size_t client_waiting(const struct client *client)
{
	return session_output(client->session)->size;
}

int client_close(struct client *client, uint16_t code, const char *reason)
{
	int r;

	if (client->phase == ENDED)
		return 0;
	if (session_state(client->session) == SESSION_UPGRADING)
		return finish_as(client, CLIENT_CLOSED);
	r = session_close(client->session, code, reason, reason ? strlen(reason) : 0);
	return r < 0 ? r : settle(client);
}

int client_retire(struct client *client, uint16_t code)
{
	int r;

	if (client->phase == ENDED)
		return 0;
	if (session_state(client->session) == SESSION_UPGRADING)
		return finish_as(client, CLIENT_CLOSED);
	if (!client->closing)
		loop_timer_set(client->loop, &client->timer,
			       clock_monotonic_ns() + RETIRE_TIMEOUT_NS);
	r = session_retire(client->session, code);
	return r < 0 ? r : settle(client);
}

int client_resume(struct client *client)
{
	if (!client->paused || client->phase == ENDED)
		return 0;
	client->paused = false;
	keepalive_rest(&client->keepalive, false);
	return update_events(client);
}

struct client_counters client_counters(const struct client *client)
{
	return client->counters;
}
