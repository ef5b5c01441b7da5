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
#include "websocket/output.h"

#include <errno.h>
#include <string.h>

struct session {
	struct session_options options;
	enum session_state state;
	bool handing_out; /* inside handler->pieces() */
	char key[HANDSHAKE_KEY_SIZE];
	struct output output;
	struct frame_decoder decoder;
	struct client_end end;
};

int session_new(const struct session_options *options, struct session **ret_session)
{
	CLEANUP(session_free) struct session *session = calloc(1, sizeof(*session));
	struct frame_options frames = {
		.message_max = options->message_max,
		.fragments_max = options->fragments_max,
	};
	int r;

	if (!session)
		return -ENOMEM;
	session->options = *options;
	output_init(&session->output);
	frame_decoder_init(&session->decoder, &frames);
	r = handshake_make_key(session->key);
	if (r >= 0)
		r = handshake_request(&session->output.buffer, options->url, session->key,
				      options->headers, options->header_count);
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
	free(session);
}

/* Notes whether a message is torn off: when the session leaves OPEN, and only then. */
static void note_cut(struct session *session)
{
	if (session->state != SESSION_OPEN || session->handing_out)
		return;
	session->end.cut = session->decoder.kind != 0;
	session->end.cut_bytes = session->end.cut ? session->decoder.message_size : 0;
}

static int say_close(struct session *session, const struct frame_close *close,
		     enum session_state next)
{
	int r = output_close(&session->output, close->code, close->reason, close->reason_size);

	if (r < 0)
		return r;
	note_cut(session);
	session->state = next;
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

	if (batch->count == 0 || session->state != SESSION_OPEN)
		return 0;
	session->handing_out = true;
	r = session->options.handler->pieces(session->options.data, batch);
	session->handing_out = false;
	return r;
}

/* Decodes frames from `*at` as far as they go. */
static int decode(struct session *session, uint8_t *data, size_t size, uint64_t time_ns, size_t *at)
{
	struct message_batch batch = {
		.time_ns = time_ns,
		.source = session->options.source,
		.connection = session->options.connection,
		.lane = session->options.lane,
	};
	struct frame_result result;
	int r;

	do {
		batch.count = 0;
		frame_decode(&session->decoder, data + *at, size - *at, &batch, &result);
		*at += result.used;
		r = hand_out(session, &batch);
		if (r >= 0 && result.stop == FRAME_CONTROL)
			r = on_control(session, &result.control);
		if (r >= 0 && result.stop == FRAME_VIOLATION)
			r = violate(session, result.violation);
	} while (r >= 0 && result.stop != FRAME_NEED_MORE && session->state < SESSION_OVER);
	return r;
}

static int take_frames(struct session *session, uint8_t *free, uint8_t *data, size_t size,
		       uint64_t time_ns, size_t *at)
{
	int stalled, r;

	frame_decoder_compact(&session->decoder, free);
	stalled = decode(session, data, size, time_ns, at);
	if (stalled < 0)
		return stalled;
	r = session->options.handler->flush(session->options.data);
	return r < 0 ? r : stalled;
}

/* The answer to the request. Returns the size of its head once it is accepted, 0 before. */
static ssize_t upgrade(struct session *session, const uint8_t *data, size_t size)
{
	char accept[HANDSHAKE_ACCEPT_SIZE];
	ssize_t head;

	handshake_accept(session->key, accept);
	head = handshake_parse_response((const char *)data, size, accept, &session->end.response,
					&session->end.handshake_error);
	if (head < 0) {
		session->end.kind = CLIENT_REFUSED;
		session->state = SESSION_REFUSED;
	}
	return MAX(head, (ssize_t)0);
}

int session_take(struct session *session, uint8_t *free, uint8_t *data, size_t size,
		 uint64_t time_ns, size_t *ret_used)
{
	size_t at = 0;
	int r = 0;

	if (session->state == SESSION_UPGRADING) {
		at = (size_t)upgrade(session, data, size);
		if (at > 0) {
			session->state = SESSION_OPEN;
			r = session->options.handler->opened(session->options.data, time_ns);
		}
	}
	if (r >= 0 && (session->state == SESSION_OPEN || session->state == SESSION_CLOSING))
		r = take_frames(session, free, data, size, time_ns, &at);
	if (r < 0)
		return r;
	*ret_used = session->state >= SESSION_OVER ? size : at;
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

	return session->state == SESSION_OPEN ? say_close(session, &close, SESSION_CLOSING) : 0;
}

void session_lost(struct session *session, int error)
{
	if (session->state == SESSION_OVER)
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
	return session->decoder.kind == 0;
}

struct buffer *session_output(struct session *session)
{
	return &session->output.buffer;
}

struct client_end *session_end(struct session *session)
{
	return &session->end;
}
