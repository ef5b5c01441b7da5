/*
 * The protocol's state, and nothing else: no socket, no clock, no timer, so that tests and fuzzers
 * reach every state with bytes alone.
 *
 *   UPGRADING ─▶ OPEN ─▶ CLOSING ─▶ OVER
 *       └──▶ REFUSED       └── either Close may come first ──┘
 *
 * Received bytes are decoded where they lie and handed to the owner as pieces. What is carried over
 * to the next call is a torn header or control frame at most: there is no queue on this way.
 */
#include "websocket/session.h"

#include "base/printable.h"
#include "websocket/close.h"
#include "websocket/inbox.h"
#include "websocket/output.h"

#include <errno.h>

#define GRANTS_PER_TURN 64 /* some MiB unpacked, then it is somebody else's turn */

struct session {
	struct session_options options;
	enum session_state state;
	bool handing_out; /* inside handler->pieces() */
	bool retiring;
	bool stalled; /* not all that was received is taken: there was no room, or no time */
	uint16_t retire_code;
	char key[HANDSHAKE_KEY_SIZE];
	struct output output;
	struct inbox inbox;
	struct client_end end;
};

static int write_request(struct session *session)
{
	struct handshake_request_options request = *session->options.request;

	request.url = session->options.url;
	request.key = session->key;
	request.compression = session->options.compression;
	return handshake_write_request(&session->output.buffer, &request);
}

int session_new(const struct session_options *options, struct session **ret_session)
{
	CLEANUP(session_free) struct session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return -ENOMEM;
	session->options = *options;
	output_init(&session->output);
	r = handshake_make_key(session->key);
	if (r >= 0)
		r = write_request(session);
	if (r < 0)
		return r;
	*ret_session = TAKE_PTR(session);
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	output_done(&session->output);
	inbox_done(&session->inbox);
	free(session);
}

bool session_is_taking(const struct session *session)
{
	return session->state == SESSION_OPEN ||
	       (session->state == SESSION_CLOSING && session->retiring);
}

/* Notes whether a message is torn off: while messages are taken, the last time counts. */
static void note_cut(struct session *session)
{
	if (!session_is_taking(session) || session->handing_out)
		return;
	session->end.cut = inbox_in_message(&session->inbox);
	if (session->end.cut)
		session->end.cut_bytes = inbox_message_size(&session->inbox);
}

static int say_close(struct session *session, const struct frame_close *close,
		     enum session_state next)
{
	int r = output_close(&session->output, close->code, close->reason, close->reason_size);

	if (r < 0)
		return r;
	note_cut(session);
	session->state = next;
	if (!session_is_taking(session))
		inbox_drop(&session->inbox);
	return 0;
}

static int violate(struct session *session, enum frame_violation violation)
{
	struct frame_close close = {.code = frame_violation_code(violation)};

	session->end.kind = CLIENT_VIOLATED;
	session->end.violation = violation;
	return say_close(session, &close, SESSION_OVER);
}

/* The server's Close: answered with the same code, unless it is the answer to ours. */
static int on_close_frame(struct session *session, const struct frame_control *control)
{
	struct frame_close close;
	enum frame_violation violation = frame_parse_close(control, &close);

	if (violation)
		return violate(session, violation);
	session->end.kind = CLIENT_CLOSED;
	session->end.close_code = close.code;
	printable_copy(session->end.detail, sizeof(session->end.detail), close.reason,
		       close.reason_size);
	close.reason_size = 0;
	if (session->state == SESSION_OPEN)
		return say_close(session, &close, SESSION_OVER);
	note_cut(session);
	session->state = SESSION_OVER;
	return 0;
}

static int on_control(struct session *session, const struct frame_control *control)
{
	const struct session_handler *handler = session->options.handler;

	switch (control->opcode) {
	case FRAME_CLOSE:
		return on_close_frame(session, control);
	case FRAME_PING:
		return output_pong(&session->output, control->data, control->size);
	default: /* one that nobody asked for is fine too, section 5.5.3 */
		return handler->pong ? handler->pong(session->options.data) : 0;
	}
}

static int hand_out(struct session *session, struct message_batch *batch)
{
	int r;

	if (batch->count == 0 || !session_is_taking(session))
		return 0;
	session->handing_out = true;
	r = session->options.handler->pieces(session->options.data, batch);
	session->handing_out = false;
	return r;
}

/* How many of the `waiting` received bytes may be decoded, and how many unpacked, before the next
 * flush: together no more than there is room for. After it all of them count, and room is asked for
 * anew. So whatever a byte is compressed from, none is made without room for it; and each grant is
 * enough to go on with, or there is no room at all, which its owner knows and mends. */
static int grant(struct session *session, size_t waiting, size_t *ret_window)
{
	size_t room = SIZE_MAX;

	if (session_is_taking(session))
		room = session->options.handler->room(session->options.data);
	if (room == 0)
		return SESSION_STALLED;
	*ret_window = MIN(waiting, session_is_compressed(session) ? room - room / 2 : room);
	inbox_refill(&session->inbox, room - *ret_window);
	return 0;
}

/* What is not compressed had its room when it was received, unless it was kept for want of it. */
static bool needs_grant(const struct session *session)
{
	return session->stalled || session_is_compressed(session);
}

/* Decodes frames from `*at` up to `end`, as far as they go, or there is memory. SESSION_STALLED: or
 * up to a batch behind which no more is wanted. */
static int decode(struct session *session, const struct session_input *input, size_t end,
		  size_t *at, enum inbox_stop *ret_stop)
{
	struct message_batch batch = {
		.time_ns = input->time_ns,
		.kernel_time = input->kernel_time,
		.source = session->options.source,
		.connection = session->options.connection,
		.lane = session->options.lane,
	};
	struct inbox_result result;
	int r, stalled;

	do {
		batch.count = 0;
		r = inbox_decode(&session->inbox, input->data + *at, end - *at, &batch, &result);
		if (r < 0)
			return r;
		*at += result.used;
		stalled = hand_out(session, &batch);
		r = MIN(stalled, 0);
		if (r >= 0 && result.stop == INBOX_CONTROL)
			r = on_control(session, &result.control);
		if (r >= 0 && result.stop == INBOX_VIOLATION)
			r = violate(session, result.violation);
	} while (r >= 0 && stalled == 0 && result.stop != INBOX_NEED_MORE &&
		 result.stop != INBOX_MEMORY_FULL && session->state < SESSION_OVER);
	*ret_stop = result.stop;
	return r < 0 ? r : stalled;
}

static int retire(struct session *session)
{
	struct frame_close close = {.code = session->retire_code};

	if (!session->retiring || session->state != SESSION_OPEN ||
	    inbox_in_message(&session->inbox))
		return 0;
	return say_close(session, &close, SESSION_CLOSING);
}

static int take_frames(struct session *session, const struct session_input *input, size_t *at)
{
	enum inbox_stop stop;

	inbox_reset(&session->inbox, input->free, 0);
	for (int i = 0; i < GRANTS_PER_TURN; i++) {
		size_t waiting = input->size - *at, window = waiting;
		int r = needs_grant(session) ? grant(session, waiting, &window) : 0, stalled;

		if (r != 0)
			return r;
		stalled = decode(session, input, *at + window, at, &stop);
		r = stalled < 0 ? stalled : session->options.handler->flush(session->options.data);
		if (r >= 0)
			r = retire(session);
		if (r < 0 || session->state >= SESSION_OVER)
			return r;
		if (stalled > 0 && session_is_taking(session))
			return SESSION_STALLED;
		if (stop == INBOX_NEED_MORE && window == waiting)
			return 0;
	}
	return SESSION_MORE;
}

static int open_up(struct session *session, uint64_t time_ns)
{
	const struct session_options *options = &session->options;
	const struct extension_choice *choice = &session->end.response.extension;
	struct inbox_options inbox = {
		.compression = choice,
		.message_max = options->message_max,
		.fragments_max = options->fragments_max,
		.ratio_max = options->ratio_max,
	};
	int r = inbox_init(&session->inbox, &inbox);

	if (r >= 0 && choice->deflate)
		r = output_compress(&session->output, choice);
	if (r < 0)
		return r;
	session->state = SESSION_OPEN;
	return options->handler->opened(options->data, time_ns);
}

/* The answer to the request. `*at` is the size of its head once it is accepted. */
static int upgrade(struct session *session, const struct session_input *input, size_t *at)
{
	char accept[HANDSHAKE_ACCEPT_SIZE];
	struct handshake_expected expected = {
		.accept = accept,
		.subprotocols = session->options.request->subprotocols,
		.subprotocol_count = session->options.request->subprotocol_count,
		.compression = session->options.compression,
		.now_ns = input->time_ns,
	};
	ssize_t head;

	handshake_accept(session->key, accept);
	head = handshake_read_response((const char *)input->data, input->size, &expected,
				       &session->end.response, &session->end.handshake_error);
	if (head < 0) {
		session->end.kind = CLIENT_REFUSED;
		session->state = SESSION_REFUSED;
	}
	if (head <= 0)
		return 0;
	*at = (size_t)head;
	return open_up(session, input->time_ns);
}

int session_take(struct session *session, const struct session_input *input, size_t *ret_used)
{
	size_t at = 0;
	int r = 0;

	if (session->state == SESSION_UPGRADING)
		r = upgrade(session, input, &at);
	if (r >= 0 && (session->state == SESSION_OPEN || session->state == SESSION_CLOSING))
		r = take_frames(session, input, &at);
	if (r < 0)
		return r;
	session->stalled = r > 0;
	*ret_used = session->state >= SESSION_OVER ? input->size : at;
	return r;
}

int session_send(struct session *session, enum message_kind kind, const void *data, size_t size)
{
	if (session->state != SESSION_OPEN)
		return -ENOTCONN;
	return output_message(&session->output, (enum frame_opcode)kind, data, size);
}

int session_ping(struct session *session, const void *data, size_t size)
{
	if (session->state != SESSION_OPEN)
		return -ENOTCONN;
	return output_ping(&session->output, data, size);
}

int session_close(struct session *session, uint16_t code, const void *reason, size_t reason_size)
{
	struct frame_close close = {.code = code, .reason = reason, .reason_size = reason_size};

	if (session->retiring) {
		note_cut(session);
		session->retiring = false;
		inbox_drop(&session->inbox);
	}
	return session->state == SESSION_OPEN ? say_close(session, &close, SESSION_CLOSING) : 0;
}

int session_retire(struct session *session, uint16_t code)
{
	session->retiring = session->state == SESSION_OPEN;
	session->retire_code = code;
	return retire(session);
}

void session_lost(struct session *session, int error)
{
	if (session->state >= SESSION_OVER)
		return; /* as it should */
	note_cut(session);
	session->end.kind = session->state == SESSION_UPGRADING ? CLIENT_HANGUP : CLIENT_LOST;
	session->end.error = error;
}

enum session_state session_state(const struct session *session)
{
	return session->state;
}

bool session_is_between_messages(const struct session *session)
{
	return !inbox_in_message(&session->inbox);
}

const char *session_subprotocol(const struct session *session)
{
	return session->end.response.subprotocol;
}

bool session_is_compressed(const struct session *session)
{
	return session->end.response.extension.deflate;
}

const struct buffer *session_output(const struct session *session)
{
	return &session->output.buffer;
}

int session_sent(struct session *session, size_t size)
{
	buffer_consume(&session->output.buffer, size);
	return output_settle(&session->output);
}

struct client_end *session_end(struct session *session)
{
	return &session->end;
}
