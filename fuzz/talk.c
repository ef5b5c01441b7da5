/*
 * The server's bytes stand in one memory, as in a client's receive buffer: what was not used in
 * front, new ones behind it, and then memory that must not be touched. Pieces are looked at when
 * they are flushed, up to which they must stay as they were.
 *
 * --wrap: getrandom, so that each run is the same.
 */
#include "talk.h"

#include "arena.h"
#include "base/crc32c.h"
#include "said.h"
#include "websocket/close.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SCRATCH 16	/* in front of the buffer */
#define SENDS_MAX 64	/* so that the rule for many Pings is no matter */
#define ECHO_MAX 200	/* bytes */
#define PIECES_MAX 4096 /* between two flushes */
#define STALLS_MAX MIB(4)

struct talker {
	const struct talk_options *options;
	const struct talk_steps *steps;
	struct session *session;
	struct talk *talk;
	struct said said;
	unsigned asked;	 /* how often there was asked for room */
	bool is_refused; /* the last time */
	bool closed, retired, failed;
	size_t messages; /* that were handed out */
	bool in_message; /* what was handed out ends in the middle of one */
	uint64_t size;	 /* of that one so far */
	uint8_t begin[ECHO_MAX];
	uint32_t crc;
	size_t count; /* pieces that are not flushed yet */
};

static struct message_piece pieces[PIECES_MAX];
static uint8_t memory[SCRATCH + TALK_STREAM_MAX];
static uint64_t random_state;

ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags);

/* splitmix64 */
ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags)
{
	uint8_t *to = data;

	(void)flags;
	for (size_t i = 0; i < size; i++) {
		uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		to[i] = (uint8_t)(z >> 56);
	}
	return (ssize_t)size;
}

static void check(bool fine)
{
	if (!fine)
		abort();
}

static bool is_over(const struct talker *talker)
{
	return session_state(talker->session) >= SESSION_CLOSING;
}

static void close_now(struct talker *talker)
{
	static const char reason[] = "thank you";

	check(session_close(talker->session, CLOSE_GOING_AWAY, reason, strlen(reason)) == 0);
	talker->closed = true;
	check(is_over(talker));
	check(session_send(talker->session, MESSAGE_TEXT, "x", 1) == -ENOTCONN);
	check(session_ping(talker->session, NULL, 0) == -ENOTCONN);
}

static int on_opened(void *data, uint64_t time_ns)
{
	struct talker *talker = data;

	check(time_ns == 1 && session_state(talker->session) == SESSION_OPEN);
	check(session_output(talker->session)->size == 0);
	talker->said.compressed = session_is_compressed(talker->session);
	if (talker->options->action == TALK_CLOSE && talker->options->at == 0)
		close_now(talker);
	return 0;
}

static size_t on_room(void *data)
{
	struct talker *talker = data;

	check(talker->count == 0);
	talker->is_refused = talker->steps->budget > 0 && ++talker->asked % 3 == 0;
	if (talker->is_refused)
		return 0;
	return talker->steps->budget > 0 ? talker->steps->budget : SIZE_MAX;
}

/* What was handed out is as it was, and is what its checksum says. */
static int on_flush(void *data)
{
	struct talker *talker = data;
	struct talk *result = talker->talk;

	for (size_t i = 0; i < talker->count; i++) {
		const struct message_piece *piece = &pieces[i];
		uint32_t fields[2] = {piece->kind};

		talker->crc = crc32c(piece->first ? 0 : talker->crc, piece->data, piece->size);
		check(talker->crc == piece->crc);
		if (!piece->last)
			continue;
		fields[1] = piece->crc;
		result->heard = crc32c(result->heard, fields, sizeof(fields));
		result->messages++;
	}
	talker->count = 0;
	return 0;
}

static void send_back(struct talker *talker, const struct message_piece *piece)
{
	if (talker->messages > SENDS_MAX)
		return;
	if (talker->options->action == TALK_PING)
		check(session_ping(talker->session, "again", 5) == 0);
	if (talker->options->action == TALK_ECHO && talker->size <= ECHO_MAX)
		check(session_send(talker->session, (enum message_kind)piece->kind, talker->begin,
				   (size_t)talker->size) == 0);
}

static int on_message(struct talker *talker, const struct message_piece *piece)
{
	talker->messages++;
	if (talker->options->action == TALK_ECHO || talker->options->action == TALK_PING)
		send_back(talker, piece);
	if (talker->messages != talker->options->at)
		return 0;
	if (talker->options->action == TALK_CLOSE)
		close_now(talker);
	talker->retired = talker->options->action == TALK_RETIRE;
	if (talker->retired)
		check(session_retire(talker->session, CLOSE_NORMAL) == 0);
	talker->failed = talker->options->action == TALK_FAIL;
	return talker->failed ? -EIO : 0;
}

static int on_piece(struct talker *talker, const struct message_piece *piece)
{
	int r = 0;

	check(piece->first == !talker->in_message && talker->count < PIECES_MAX);
	check(piece->kind == MESSAGE_TEXT || piece->kind == MESSAGE_BINARY);
	if (piece->first)
		talker->size = 0;
	if (talker->size + piece->size <= ECHO_MAX)
		memcpy(talker->begin + talker->size, piece->data, piece->size);
	talker->size += piece->size;
	check(talker->options->message_max == 0 || talker->size <= talker->options->message_max);
	talker->in_message = !piece->last;
	pieces[talker->count++] = *piece;
	if (piece->last)
		r = on_message(talker, piece);
	if (piece->spare)
		piece->data[piece->size] = '!'; /* as who gets it may */
	return r;
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct talker *talker = data;
	int r = 0;

	check(session_is_taking(talker->session) && !talker->closed && !talker->failed);
	check(batch->count > 0 && batch->count <= MESSAGE_BATCH_MAX);
	check(batch->time_ns == 1 && batch->source == 2 && batch->connection == 3 &&
	      batch->lane == 4);
	for (size_t i = 0; r == 0 && i < batch->count && !talker->closed; i++)
		r = on_piece(talker, &batch->pieces[i]);
	return r;
}

static const struct session_handler handler = {
	.opened = on_opened,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
};

static struct session *make_session(struct talker *talker)
{
	static const char *const subprotocols[] = {"chat", "mqtt"};
	static const struct handshake_request_options request = {.subprotocols = subprotocols,
								 .subprotocol_count = 2};
	static const struct extension_offer offer = {.client_max_window_bits = 15};
	static char host[] = "a", target[] = "/";
	static const struct url url = {.host_header = host, .target = target};
	struct session_options options = {
		.url = &url,
		.request = &request,
		.compression = talker->options->offers_compression ? &offer : NULL,
		.message_max = talker->options->message_max,
		.fragments_max = talker->options->fragments_max,
		.source = 2,
		.connection = 3,
		.lane = 4,
		.handler = &handler,
		.data = talker,
	};
	struct session *session = NULL;

	random_state = 0;
	check(session_new(&options, &session) == 0);
	return session;
}

/* The request is sent. */
static void ask(struct talker *talker)
{
	const struct buffer *output = session_output(talker->session);

	check(output->size > 4 && memcmp(output->data, "GET / HTTP/1.1\r\n", 16) == 0);
	check(memcmp(output->data + output->size - 4, "\r\n\r\n", 4) == 0);
	check(session_sent(talker->session, output->size) == 0 && output->size == 0);
}

const char *talk_accept(void)
{
	static char accept[HANDSHAKE_ACCEPT_SIZE]; /* made once */
	char key[HANDSHAKE_KEY_SIZE];

	if (!*accept) {
		random_state = 0;
		check(handshake_make_key(key) == 0);
		handshake_accept(key, accept);
	}
	return accept;
}

static void send_all(struct talker *talker)
{
	const struct buffer *output = session_output(talker->session);

	check(output->size <= KIB(64));
	said_take(&talker->said, (uint8_t *)output->data, output->size);
	check(session_sent(talker->session, output->size) == 0 && output->size == 0);
}

/* Makes all up to `end` readable, and nothing behind it. */
static void open_memory(const uint8_t *end)
{
	ASAN_UNPOISON_MEMORY_REGION(memory, (size_t)(end - memory));
	ASAN_POISON_MEMORY_REGION(end, (size_t)(memory + sizeof(memory) - end));
}

/* Shows `size` more bytes, and the `*fill` that were not used before. */
static int show(struct talker *talker, size_t *fill, const uint8_t *data, size_t size)
{
	uint8_t *at = memory + SCRATCH;
	size_t used, stalls = 0;
	int r;

	open_memory(at + *fill + size);
	memcpy(at + *fill, data, size);
	*fill += size;
	do {
		r = session_take(talker->session,
				 &(struct session_input){
					 .free = memory, .data = at, .size = *fill, .time_ns = 1},
				 &used);
		check(r != SESSION_STALLED || talker->is_refused);
		send_all(talker);
		if (r < 0)
			return r;
		check(used <= *fill && talker->count == 0);
		*fill -= used;
		memmove(at, at + used, *fill);
		check(r == 0 || stalls++ < STALLS_MAX);
	} while (r > 0);
	if (session_state(talker->session) > SESSION_UPGRADING)
		check(*fill < FRAME_HEADER_MAX + FRAME_CONTROL_MAX);
	return 0;
}

/* How much is shown next of what is left up to `end`. */
static size_t next_step(const struct talker *talker, size_t at, size_t end)
{
	size_t head = talker->options->head, step = talker->steps->bytes;

	if (at < head / 2 && step < head)
		step = head / 2;
	else if (at < head)
		step += head - at;
	return MIN(step, end - at);
}

static int show_all(struct talker *talker, const uint8_t *stream, size_t size)
{
	const struct talk_options *options = talker->options;
	size_t end = options->action == TALK_CLOSE_BETWEEN ? MIN(options->at, size) : size;
	size_t fill = 0, step;
	int r = 0;

	for (size_t at = 0; r == 0 && at < size; at += step) {
		if (at == end) {
			if (session_state(talker->session) == SESSION_OPEN)
				close_now(talker);
			end = size;
		}
		step = next_step(talker, at, end);
		r = show(talker, &fill, stream + at, step);
	}
	return r;
}

/* What was noted of the end is what was seen of it. */
static void check_end(const struct talker *talker)
{
	const struct client_end *end = session_end(talker->session);

	check(talker->failed == (talker->talk->error == -EIO));
	if (end->cut)
		check(end->cut_bytes == (talker->in_message ? talker->size : 0));
	else
		check(end->cut_bytes == 0 && (!talker->in_message || talker->failed));
	if (session_state(talker->session) == SESSION_OVER)
		check(talker->said.closed);
	if (end->kind == CLIENT_VIOLATED && !talker->closed && !talker->retired)
		check(talker->said.code == frame_violation_code(end->violation));
	if (end->kind == CLIENT_CLOSED && !talker->closed && !talker->retired)
		check(talker->said.code == end->close_code);
	if (talker->said.closed && talker->closed)
		check(talker->said.code == CLOSE_GOING_AWAY);
}

static void note_result(const struct talker *talker, struct talk *result)
{
	const struct client_end *end = session_end(talker->session);

	result->frames = talker->said.frames;
	result->said = talker->said.digest;
	result->said_code = talker->said.closed ? talker->said.code : 0;
	result->state = session_state(talker->session);
	result->compressed = session_is_compressed(talker->session);
	result->closed = talker->closed;
	result->subprotocol = session_subprotocol(talker->session);
	result->status = end->response.status;
	result->kind = end->kind;
	result->close_code = end->close_code;
	result->cut = end->cut;
	result->violation = end->violation;
	result->handshake_error = end->handshake_error;
	result->detail = crc32c(0, end->detail, strlen(end->detail));
}

void talk(const struct talk_options *options, const struct talk_steps *steps, const uint8_t *stream,
	  size_t size, struct talk *ret_talk)
{
	struct talker talker = {.options = options, .steps = steps, .talk = ret_talk};

	*ret_talk = (struct talk){0};
	arena_begin();
	talker.session = make_session(&talker);
	ask(&talker);
	ret_talk->error = show_all(&talker, stream, size);
	if (talker.failed)
		on_flush(&talker);
	else
		session_lost(talker.session, 0);
	check_end(&talker);
	note_result(&talker, ret_talk);
	session_free(talker.session);
	arena_end();
}
