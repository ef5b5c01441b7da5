/* A session, the server's bytes, and a user who writes down all that is heard and said. */
#ifndef WEIR_TEST_SESSION_SUPPORT_H
#define WEIR_TEST_SESSION_SUPPORT_H

#include "test_support.h"

#include "base/buffer.h"
#include "base/crc32c.h"
#include "websocket/close.h"
#include "websocket/frame_encode.h"
#include "websocket/output.h"
#include "websocket/session.h"

#include <stdio.h>
#include <zlib.h>

#define RECEIVE_MAX MIB(1)
#define SCRATCH 64 /* in front of what is received */
#define LOG_MAX MIB(64)
#define TIME_NS 12345

#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate\r\n"

struct user {
	struct session *session;
	struct buffer heard, said; /* a line for each message and control frame */
	struct buffer message;	   /* the one that is open */
	bool in_message;
	uint32_t crc;
	size_t flushes;
	uint8_t *memory;
	size_t fill;
	bool bounded; /* `room` is what may be made, up to the next flush */
	size_t room;
	bool stalls; /* no more is wanted after a batch, until `room` is not 0 */
	size_t batches;
	z_stream inflate; /* of what is said */

	/* What a handler does besides: closes, sends, returns an error. */
	int (*at_opened)(struct user *user);
	int (*at_message)(struct user *user);
	int (*at_flush)(struct user *user);
	int (*at_pong)(struct user *user);
};

static inline void note(struct buffer *log, const char *what, const void *data, size_t size)
{
	assert_int_equal(buffer_append(log, what, strlen(what)), 0);
	if (size > 0)
		assert_int_equal(buffer_append(log, " ", 1), 0);
	assert_int_equal(buffer_append(log, data, size), 0);
	assert_int_equal(buffer_append(log, "\n", 1), 0);
}

static inline int user_opened(void *data, uint64_t time_ns)
{
	struct user *user = data;

	assert_int_equal(time_ns, TIME_NS);
	assert_int_equal(session_state(user->session), SESSION_OPEN);
	note(&user->heard, "opened", NULL, 0);
	return user->at_opened ? user->at_opened(user) : 0;
}

static inline size_t user_room(void *data)
{
	struct user *user = data;

	return user->bounded ? user->room : SIZE_MAX;
}

static inline int user_piece(struct user *user, const struct message_piece *piece)
{
	assert_int_equal(piece->first, !user->in_message);
	user->crc = crc32c(piece->first ? 0 : user->crc, piece->data, piece->size);
	assert_int_equal(piece->crc, user->crc);
	assert_int_equal(buffer_append(&user->message, piece->data, piece->size), 0);
	user->in_message = !piece->last;
	if (piece->spare)
		piece->data[piece->size] = '\n';
	if (!piece->last)
		return 0;
	note(&user->heard, piece->kind == MESSAGE_TEXT ? "text" : "binary", user->message.data,
	     user->message.size);
	user->message.size = 0;
	return user->at_message ? user->at_message(user) : 0;
}

static inline int user_pieces(void *data, struct message_batch *batch)
{
	struct user *user = data;
	int r = 0;

	assert_true(session_is_taking(user->session));
	assert_in_range(batch->count, 1, MESSAGE_BATCH_MAX);
	assert_int_equal(batch->time_ns, TIME_NS);
	assert_int_equal(batch->source, 7);
	assert_int_equal(batch->connection, 8);
	assert_int_equal(batch->lane, 9);
	for (size_t i = 0; r == 0 && i < batch->count; i++)
		if (session_is_taking(user->session))
			r = user_piece(user, &batch->pieces[i]);
	user->batches++;
	return r == 0 && user->stalls ? SESSION_STALLED : r;
}

static inline int user_flush(void *data)
{
	struct user *user = data;

	user->flushes++;
	return user->at_flush ? user->at_flush(user) : 0;
}

static inline int user_pong(void *data)
{
	struct user *user = data;

	note(&user->heard, "pong", NULL, 0);
	return user->at_pong ? user->at_pong(user) : 0;
}

/* All but what `given` says. */
static inline void user_begin(struct user *user, const struct session_options *given)
{
	static const struct session_handler handler = {
		.opened = user_opened,
		.room = user_room,
		.pieces = user_pieces,
		.flush = user_flush,
		.pong = user_pong,
	};
	static char host[] = "example.com", target[] = "/";
	static const struct url url = {.host_header = host, .target = target};
	static const struct handshake_request_options request = {0};
	struct session_options options = *given;

	*user = (struct user){0};
	options.url = &url;
	options.request = options.request ? options.request : &request;
	options.source = 7;
	options.connection = 8;
	options.lane = 9;
	options.handler = &handler;
	options.data = user;
	buffer_init(&user->heard, LOG_MAX);
	buffer_init(&user->said, LOG_MAX);
	buffer_init(&user->message, LOG_MAX);
	user->memory = malloc(SCRATCH + RECEIVE_MAX);
	assert_non_null(user->memory);
	assert_int_equal(inflateInit2(&user->inflate, -15), Z_OK);
	assert_int_equal(session_new(&options, &user->session), 0);
}

static inline void user_end(struct user *user)
{
	session_free(user->session);
	buffer_done(&user->heard);
	buffer_done(&user->said);
	buffer_done(&user->message);
	inflateEnd(&user->inflate);
	free(user->memory);
}

/* Received bytes, which stand at the end of what was allocated. Returns what session_take() does.
 */
static inline int receive(struct user *user, const void *data, size_t size)
{
	uint8_t *end = user->memory + SCRATCH + RECEIVE_MAX, *at = end - user->fill - size;
	size_t used = SIZE_MAX;
	int r;

	memmove(at, end - user->fill, user->fill);
	if (size > 0)
		memcpy(end - size, data, size);
	r = session_take(user->session,
			 &(struct session_input){.free = at - SCRATCH,
						 .data = at,
						 .size = user->fill + size,
						 .time_ns = TIME_NS},
			 &used);
	if (r < 0)
		return r;
	assert_true(used <= user->fill + size);
	user->fill += size - used;
	return r;
}

/* The answer to the request, with more header lines. */
static inline void write_answer(struct user *user, const char *lines, struct buffer *to)
{
	const struct buffer *output = session_output(user->session);
	const char *key = memmem(output->data, output->size, "-Key: ", 6);
	char text[HANDSHAKE_KEY_SIZE] = {0}, accept[HANDSHAKE_ACCEPT_SIZE];

	assert_non_null(key);
	memcpy(text, key + 6, HANDSHAKE_KEY_SIZE - 1);
	handshake_accept(text, accept);
	assert_int_equal(
		buffer_appendf(to, UPGRADED "Sec-WebSocket-Accept: %s\r\n%s\r\n", accept, lines),
		0);
}

/* The request is sent, and granted. */
static inline void user_open(struct user *user, const char *lines)
{
	CLEANUP(buffer_done) struct buffer answer;

	buffer_init(&answer, KIB(4));
	write_answer(user, lines, &answer);
	assert_int_equal(session_sent(user->session, session_output(user->session)->size), 0);
	assert_int_equal(receive(user, answer.data, answer.size), 0);
}

static inline void put_frame(struct buffer *to, unsigned first, const void *data, size_t size)
{
	uint8_t header[FRAME_HEADER_MAX];
	size_t header_size = frame_write_header(header, FRAME_TEXT, size, NULL);

	header[0] = (uint8_t)first;
	assert_int_equal(buffer_append(to, header, header_size), 0);
	assert_int_equal(buffer_append(to, data, size), 0);
}

/* One frame is received. */
static inline int receive_frame(struct user *user, unsigned first, const void *data, size_t size)
{
	CLEANUP(buffer_done) struct buffer frame;

	buffer_init(&frame, RECEIVE_MAX);
	put_frame(&frame, first, data, size);
	return receive(user, frame.data, frame.size);
}

static inline void note_unpacked(struct user *user, const char *what, uint8_t *data, size_t size)
{
	static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
	CLEANUP_FREE uint8_t *packed = malloc(size + sizeof(tail));
	CLEANUP_FREE uint8_t *text = malloc(OUTPUT_MAX);

	assert_true(packed && text);
	memcpy(packed, data, size);
	memcpy(packed + size, tail, sizeof(tail));
	user->inflate.next_in = packed;
	user->inflate.avail_in = (uInt)(size + sizeof(tail));
	user->inflate.next_out = text;
	user->inflate.avail_out = (uInt)OUTPUT_MAX;
	assert_int_equal(inflate(&user->inflate, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(user->inflate.avail_in, 0);
	note(&user->said, what, text, OUTPUT_MAX - user->inflate.avail_out);
}

static inline void note_close(struct user *user, const uint8_t *data, size_t size)
{
	char what[32] = "close";

	if (size >= 2)
		snprintf(what, sizeof(what), "close %d", data[0] << 8 | data[1]);
	note(&user->said, what, data + MIN(size, (size_t)2), size - MIN(size, (size_t)2));
}

static inline void note_frame(struct user *user, uint8_t first, uint8_t *data, size_t size)
{
	switch (first) {
	case 0x80 | FRAME_TEXT:
		return note(&user->said, "text", data, size);
	case 0x80 | FRAME_BINARY:
		return note(&user->said, "binary", data, size);
	case 0x80 | FRAME_BIT_PACKED | FRAME_BINARY:
		return note_unpacked(user, "packed binary", data, size);
	case 0x80 | FRAME_BIT_PACKED | FRAME_TEXT:
		return note_unpacked(user, "packed text", data, size);
	case 0x80 | FRAME_PING:
		return note(&user->said, "ping", data, size);
	case 0x80 | FRAME_PONG:
		return note(&user->said, "pong", data, size);
	case 0x80 | FRAME_CLOSE:
		return note_close(user, data, size);
	default:
		fail_msg("a frame that begins with %x was said", first);
	}
}

/* Sends whole frames that wait, as many as there are or as `frames` says. */
static inline void send_frames(struct user *user, size_t frames)
{
	const struct buffer *output = session_output(user->session);

	for (; frames > 0 && output->size > 0; frames--) {
		uint8_t *data = (uint8_t *)output->data, *at = data + 2;
		size_t size = data[1] & 0x7f, bytes = size == 126 ? 2 : size == 127 ? 8 : 0;

		assert_true(output->size >= 6 && data[1] & 0x80);
		if (bytes > 0)
			size = 0;
		for (; bytes > 0; bytes--)
			size = size << 8 | *at++;
		assert_true(output->size >= (size_t)(at - data) + 4 + size);
		frame_mask(at + 4, size, at);
		note_frame(user, data[0], at + 4, size);
		assert_int_equal(session_sent(user->session, (size_t)(at - data) + 4 + size), 0);
	}
}

static inline void assert_log(struct buffer *log, const char *text)
{
	assert_int_equal(buffer_append(log, "", 1), 0);
	assert_string_equal(log->data, text);
	log->size = 0;
}

static inline void assert_heard(struct user *user, const char *text)
{
	assert_log(&user->heard, text);
}

/* All that waits is sent, and was this. */
static inline void assert_said(struct user *user, const char *text)
{
	send_frames(user, SIZE_MAX);
	assert_log(&user->said, text);
}

#endif
