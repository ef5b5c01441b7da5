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
#include "websocket/client_state.h"

#include "base/clock.h"
#include "base/printable.h"
#include "websocket/close.h"

#include <errno.h>
#include <string.h>

#define RETIRE_TIMEOUT_NS (30 * NS_PER_S)

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
	char says[CLIENT_DETAIL_SIZE + 16] = "";
	size_t size;

	if (!client->opening_failed)
		return;
	if (*end->detail) /* the server's reason */
		snprintf(says, sizeof(says), "; it says: %s", end->detail);
	end->kind = CLIENT_OPENING;
	end->error = client->opening_error;
	printable_copy(end->detail, sizeof(end->detail), client->opening_detail,
		       strlen(client->opening_detail));
	size = strlen(end->detail);
	printable_copy(end->detail + size, sizeof(end->detail) - size, says, strlen(says));
}

int client_finish(struct client *client)
{
	struct client_end *end = session_end(client->session);

	if (client->phase == CLIENT_ENDED)
		return 0;
	client->phase = CLIENT_ENDED;
	complete_end(client, end);
	loop_remove(client->loop, &client->source);
	clear_timers(client);
	transport_free(TAKE_PTR(client->transport)); /* or it might still get through */
	return client->options.handler->ended(client->options.data, end);
}

int client_finish_as(struct client *client, enum client_end_kind kind)
{
	session_end(client->session)->kind = kind;
	return client_finish(client);
}

void client_note_opening(struct client *client, int error)
{
	client->opening_failed = true;
	client->opening_error = error;
	opening_describe(&client->opening, client->opening_detail);
}

/* A keepalive_news. */
static int on_keepalive(void *data, enum liveness_action action)
{
	struct client *client = data;

	if (action != LIVENESS_SILENT && action != LIVENESS_IDLE)
		return client_settle(client);
	session_lost(client->session, 0);
	return client_finish_as(client, action == LIVENESS_IDLE ? CLIENT_IDLE : CLIENT_SILENT);
}

/* The server did not play its part: it is told that this is the end. */
static int fail_opening(struct client *client, int error)
{
	client_note_opening(client, error);
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

	return r < 0 ? r : client_settle(client);
}

/* While nothing is read, what is waited for may be there, unseen: the time begins anew. */
static int wait_on(struct client *client)
{
	uint64_t wait_ns = session_state(client->session) == SESSION_UPGRADING
				   ? client->options.connect_timeout_ns
				   : RETIRE_TIMEOUT_NS;

	loop_timer_set(client->loop, &client->timer, clock_after(clock_monotonic_ns(), wait_ns));
	return 0;
}

static int on_timeout(void *data)
{
	struct client *client = data;

	if (client->paused && !client->closing)
		return wait_on(client);
	switch (session_state(client->session)) {
	case SESSION_UPGRADING:
		return client_finish_as(client, CLIENT_TIMEOUT);
	case SESSION_OPEN: /* it retires, and its message does not end */
		return client_close(client, CLOSE_NORMAL, NULL);
	case SESSION_CLOSING:
		session_lost(client->session, 0);
		return client_finish_as(client, CLIENT_CLOSE_TIMEOUT);
	default:
		return client_finish(client);
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
		return client_finish_as(client, CLIENT_DIAL);
	}
	client->phase = CLIENT_CONNECTED;
	return client_settle(client);
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
	client->source =
		(struct loop_source){.callback = client_stream_ready, .data = client, .fd = -1};
	client->timer = (struct loop_timer){.callback = on_timeout, .data = client};
	client->again = (struct loop_timer){.callback = client_stream_ready, .data = client};
	r = make_session(client);
	if (r >= 0)
		r = transport_new(loop, options->transport, on_dialled, client, &client->transport);
	if (r < 0)
		return r;
	if (options->connect_timeout_ns > 0)
		loop_timer_set(loop, &client->timer,
			       clock_after(clock_monotonic_ns(), options->connect_timeout_ns));
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

	return r < 0 ? r : client_settle(client);
}

int client_ping(struct client *client, const void *data, size_t size)
{
	int r = session_ping(client->session, data, size);

	return r < 0 ? r : client_settle(client);
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

	if (client->phase == CLIENT_ENDED)
		return 0;
	if (session_state(client->session) == SESSION_UPGRADING)
		return client_finish_as(client, CLIENT_CLOSED);
	r = session_close(client->session, code, reason, reason ? strlen(reason) : 0);
	return r < 0 ? r : client_settle(client);
}

int client_retire(struct client *client, uint16_t code)
{
	int r;

	if (client->phase == CLIENT_ENDED)
		return 0;
	if (session_state(client->session) == SESSION_UPGRADING)
		return client_finish_as(client, CLIENT_CLOSED);
	if (!client->closing)
		loop_timer_set(client->loop, &client->timer,
			       clock_monotonic_ns() + RETIRE_TIMEOUT_NS);
	r = session_retire(client->session, code);
	return r < 0 ? r : client_settle(client);
}

int client_resume(struct client *client)
{
	if (!client->paused || client->phase == CLIENT_ENDED)
		return 0;
	client->paused = client->opening.resting = false;
	keepalive_rest(&client->keepalive, false);
	if (client->timer.due_ns > 0 && !client->closing)
		wait_on(client); /* or it might be over before anything is read */
	return client_stream_watch(client);
}

struct client_counters client_counters(const struct client *client)
{
	return client->counters;
}
