/*
 * One buffer, one state. Received bytes go to the end of the buffer, are decoded in place, handed
 * to the owner as pieces, and forgotten: what is carried over to the next round is a torn header or
 * control frame at most. There is no queue, so memory is bounded whatever the server sends.
 *
 *   DIALLING ─▶ UPGRADING ─▶ OPEN ─▶ CLOSING ─▶ DRAINING ─▶ ENDED
 *
 * CLOSING: our Close is out, the server's is not in. DRAINING: nothing is expected any more but the
 * end of the stream; to close the socket with unread data in it would reset the connection, and the
 * server might never see why. Both are bounded by a timer.
 */
#include "websocket/client.h"

#include "base/clock.h"
#include "base/printable.h"
#include "websocket/client_output.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define RECEIVE_SIZE MIB(1) /* measured: smaller and larger are slower */
#define SCRATCH KIB(1)	    /* in front of it, so that payloads can be moved down at once */
#define CLOSE_TIMEOUT_NS (3 * NS_PER_S)

enum state {
	DIALLING,
	UPGRADING,
	OPEN,
	CLOSING,
	DRAINING,
	ENDED,
};

struct client {
	struct client_options options;
	struct loop *loop;
	struct transport *transport;
	struct loop_source source;
	struct loop_timer timer;
	enum state state;
	uint32_t events; /* what the socket is waited for */
	bool paused;
	bool handing_out; /* inside handler->pieces() */
	char key[HANDSHAKE_KEY_SIZE];
	struct client_output output;
	struct frame_decoder decoder;
	struct client_end end;
	struct client_counters counters;
	size_t fill; /* bytes in `data` */
	uint8_t scratch[SCRATCH];
	uint8_t data[RECEIVE_SIZE];
};

/* How far the socket is waited for: always for reading, unless paused; for writing when needed. */
static int update_events(struct client *client)
{
	uint32_t events = (client->paused ? 0u : EPOLLIN) |
			  (client_output_pending(&client->output) ? EPOLLOUT : 0u);

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

static int finish(struct client *client)
{
	if (client->state == ENDED)
		return 0;
	client->state = ENDED;
	loop_remove(client->loop, &client->source);
	loop_timer_clear(client->loop, &client->timer);
	transport_free(TAKE_PTR(client->transport)); /* or it might still get through */
	return client->options.handler->ended(client->options.data, &client->end);
}

static int finish_as(struct client *client, enum client_end_kind kind, int error)
{
	client->end.kind = kind;
	client->end.error = error;
	return finish(client);
}

/* Notes whether a message is torn off: when the connection leaves OPEN, and only then. */
static void note_cut(struct client *client)
{
	if (client->state != OPEN || client->handing_out)
		return;
	client->end.cut = client->decoder.kind != 0;
	client->end.cut_bytes = client->end.cut ? client->decoder.message_size : 0;
}

static int write_out(struct client *client)
{
	int r = client_output_write(&client->output, client->transport);

	/* A server that is gone is noticed by reading, where its last words are. */
	if (r < 0)
		client_output_drop(&client->output);
	if (client->state == DRAINING && !client_output_pending(&client->output))
		transport_finish(client->transport);
	return update_events(client);
}

static int say_close(struct client *client, uint16_t code, enum state next)
{
	int r = client_output_close(&client->output, code);

	if (r < 0)
		return r;
	note_cut(client);
	client->state = next;
	client->paused = false;
	loop_timer_set(client->loop, &client->timer, clock_monotonic_ns() + CLOSE_TIMEOUT_NS);
	return write_out(client);
}

static int violate(struct client *client, enum frame_violation violation)
{
	client->end.kind = CLIENT_VIOLATED;
	client->end.violation = violation;
	return say_close(client, frame_violation_code(violation), DRAINING);
}

/* The server's Close: answered with the same code, unless it is the answer to ours. */
static int on_close_frame(struct client *client, const struct frame_control *control)
{
	struct frame_close close;
	enum frame_violation violation = frame_parse_close(control, &close);

	if (violation)
		return violate(client, violation);
	client->end.kind = CLIENT_CLOSED;
	client->end.close_code = close.code;
	printable_copy(client->end.detail, sizeof(client->end.detail), close.reason,
		       close.reason_size);
	if (client->state == OPEN)
		return say_close(client, close.code, DRAINING);
	client->state = DRAINING;
	return write_out(client);
}

static int on_control(struct client *client, const struct frame_control *control)
{
	switch (control->opcode) {
	case FRAME_CLOSE:
		return on_close_frame(client, control);
	case FRAME_PING:
		return client_output_pong(&client->output, control->data, control->size);
	default: /* a Pong that nobody asked for says nothing, section 5.5.3 */
		return 0;
	}
}

static int hand_out(struct client *client, struct message_batch *batch)
{
	int r;

	if (batch->count == 0 || client->state != OPEN)
		return 0;
	client->handing_out = true;
	r = client->options.handler->pieces(client->options.data, batch);
	client->handing_out = false;
	return r;
}

/* Decodes from `at` as far as it goes. */
static int decode(struct client *client, size_t at, size_t *ret_used)
{
	struct message_batch batch = {
		.time_ns = clock_realtime_ns(),
		.connection = client->options.connection,
	};
	struct frame_result result;
	int r;

	frame_decoder_compact(&client->decoder, client->scratch);
	do {
		batch.count = 0;
		frame_decode(&client->decoder, client->data + at, client->fill - at, &batch,
			     &result);
		at += result.used;
		r = hand_out(client, &batch);
		if (r >= 0 && result.stop == FRAME_CONTROL)
			r = on_control(client, &result.control);
		if (r >= 0 && result.stop == FRAME_VIOLATION)
			r = violate(client, result.violation);
		if (r < 0)
			return r;
	} while (result.stop != FRAME_NEED_MORE && client->state < DRAINING);
	*ret_used = at;
	return 0;
}

/* Decodes what is in the buffer from `at`, and makes room in it. */
static int consume(struct client *client, size_t at)
{
	int r = decode(client, at, &at);

	if (r >= 0)
		r = client->options.handler->flush(client->options.data);
	if (r < 0)
		return r;
	if (client->state >= DRAINING)
		at = client->fill;
	memmove(client->data, client->data + at, client->fill - at);
	client->fill -= at;
	return write_out(client);
}

static int open_up(struct client *client)
{
	client->state = OPEN;
	loop_timer_clear(client->loop, &client->timer);
	for (size_t i = 0; i < client->options.send_count; i++) {
		int r = client_output_text(&client->output, client->options.sends[i]);

		if (r < 0)
			return r;
	}
	return client->options.handler->opened(client->options.data);
}

static int upgrade(struct client *client)
{
	char accept[HANDSHAKE_ACCEPT_SIZE];
	ssize_t head;
	int r;

	handshake_accept(client->key, accept);
	head = handshake_parse_response((const char *)client->data, client->fill, accept,
					&client->end.response, &client->end.handshake_error);
	if (head == 0)
		return 0;
	if (head < 0)
		return finish_as(client, CLIENT_REFUSED, 0);
	r = open_up(client);
	return r < 0 ? r : consume(client, (size_t)head);
}

/* The stream ended, or failed with `error`. */
static int on_stream_end(struct client *client, int error)
{
	switch (client->state) {
	case UPGRADING:
		return finish_as(client, CLIENT_HANGUP, error);
	case OPEN:
		note_cut(client);
		return finish_as(client, CLIENT_LOST, error);
	case CLOSING:
		return finish_as(client, CLIENT_LOST, error);
	default:
		return finish(client);
	}
}

static int on_bytes(struct client *client, size_t size)
{
	client->fill += size;
	client->counters.wire_bytes += size;
	switch (client->state) {
	case UPGRADING:
		return upgrade(client);
	case OPEN:
	case CLOSING:
		return consume(client, 0);
	default:
		client->fill = 0;
		return 0;
	}
}

static int pause_reading(struct client *client)
{
	client->paused = true;
	return update_events(client);
}

static int read_in(struct client *client)
{
	size_t room = RECEIVE_SIZE - client->fill;
	ssize_t n;

	if (client->state == UPGRADING || client->state == OPEN)
		room = MIN(room, client->options.handler->room(client->options.data));
	if (client->state == ENDED)
		return 0;
	if (room == 0)
		return pause_reading(client);
	n = transport_receive(client->transport, client->data + client->fill, room);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return on_stream_end(client, (int)n);
	return on_bytes(client, (size_t)n);
}

static int on_ready(void *data)
{
	struct client *client = data;
	int r = 0;

	if (client_output_pending(&client->output))
		r = write_out(client);
	if (r < 0 || client->paused)
		return r;
	return read_in(client);
}

static int on_timeout(void *data)
{
	struct client *client = data;

	if (client->state < OPEN)
		return finish_as(client, CLIENT_TIMEOUT, 0);
	if (client->state == CLOSING)
		return finish_as(client, CLIENT_CLOSE_TIMEOUT, 0);
	return finish(client);
}

static int on_dialled(void *data, enum transport_error error, const char *detail)
{
	struct client *client = data;
	const struct client_options *options = &client->options;
	int r;

	if (error) {
		client->end.transport_error = error;
		snprintf(client->end.detail, sizeof(client->end.detail), "%s", detail);
		return finish_as(client, CLIENT_DIAL, 0);
	}
	client->state = UPGRADING;
	r = handshake_request(&client->output.buffer, options->url, client->key, options->headers,
			      options->header_count);
	return r < 0 ? r : write_out(client);
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
	client_output_init(&client->output);
	frame_decoder_init(&client->decoder);
	r = handshake_make_key(client->key);
	if (r >= 0)
		r = transport_new(loop, options->url->dial, on_dialled, client, &client->transport);
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
	loop_timer_clear(client->loop, &client->timer);
	transport_free(client->transport);
	client_output_done(&client->output);
	free(client);
}

int client_close(struct client *client, uint16_t code)
{
	if (client->state == OPEN)
		return say_close(client, code, CLOSING);
	if (client->state < OPEN)
		return finish_as(client, CLIENT_CLOSED, 0);
	return 0;
}

int client_resume(struct client *client)
{
	if (!client->paused || client->state == ENDED)
		return 0;
	client->paused = false;
	return update_events(client);
}

struct client_counters client_counters(const struct client *client)
{
	return client->counters;
}
