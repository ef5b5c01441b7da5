/* A session with compressed messages: never more is made than there is room for, whatever comes,
 * and it neither stalls while there is room nor works for ever at once.
 * --wrap: none. */
#include "test_support.h"

#include "base/crc32c.h"
#include "websocket/deflate.h"
#include "websocket/frame_encode.h"
#include "websocket/output.h"
#include "websocket/session.h"

#define DATA_SIZE MIB(4)
#define TURN_MAX MIB(17)

/* The session's owner, who counts. */
struct owner {
	uint64_t random;
	size_t room, room_max; /* SIZE_MAX: there is always all; else, at times none */
	size_t made;	       /* since the last flush */
	uint64_t messages, bytes, turn;
	uint32_t crc; /* of all payloads, each behind its predecessor */
	unsigned refusals;
};

static int on_opened(void *data, uint64_t time_ns)
{
	(void)data;
	(void)time_ns;
	return 0;
}

static size_t on_room(void *data)
{
	struct owner *owner = data;

	assert_int_equal(owner->made, 0);
	owner->room = SIZE_MAX;
	if (owner->room_max == SIZE_MAX)
		return owner->room;
	owner->room = 0;
	if (random_below(&owner->random, 4) == 0)
		owner->refusals++;
	else
		owner->room = SESSION_ROOM_MIN + random_below(&owner->random, owner->room_max);
	return owner->room;
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct owner *owner = data;

	for (size_t i = 0; i < batch->count; i++) {
		const struct message_piece *piece = &batch->pieces[i];

		owner->made += piece->size + piece->last;
		owner->bytes += piece->size;
		owner->messages += piece->last;
		if (piece->last)
			owner->crc = owner->crc * 31 + piece->crc;
	}
	assert_true(owner->made <= owner->room);
	return 0;
}

static int on_flush(void *data)
{
	struct owner *owner = data;

	owner->turn += owner->made;
	owner->made = 0;
	return 0;
}

static const struct session_handler handler = {
	.opened = on_opened,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
};

static const struct extension_offer offer = {.client_max_window_bits = EXTENSION_WINDOW_MAX};
static const struct handshake_request_options request;

static void answer(struct session *session)
{
	const struct buffer *output = session_output(session);
	static const char field[] = "Sec-WebSocket-Key: ";
	char accept[HANDSHAKE_ACCEPT_SIZE], key[HANDSHAKE_KEY_SIZE] = "", head[512];
	const char *at = memmem(output->data, output->size, field, strlen(field));
	size_t used = 0;

	assert_non_null(at);
	memcpy(key, at + strlen(field), sizeof(key) - 1);
	handshake_accept(key, accept);
	snprintf(head, sizeof(head),
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		 accept);
	assert_int_equal(session_sent(session, output->size), 0);
	while (session_state(session) == SESSION_UPGRADING)
		assert_true(session_take(session,
					 &(struct session_input){.free = (uint8_t *)head,
								 .data = (uint8_t *)head,
								 .size = strlen(head),
								 .time_ns = 1},
					 &used) >= 0);
	assert_int_equal(used, strlen(head));
	assert_int_equal(session_state(session), SESSION_OPEN);
}

static struct session *make(struct owner *owner)
{
	static char host[] = "x", target[] = "/";
	static const struct url url = {.host_header = host, .target = target};
	struct session_options options = {
		.url = &url,
		.request = &request,
		.compression = &offer,
		.handler = &handler,
		.data = owner,
	};
	struct session *session = NULL;

	assert_int_equal(session_new(&options, &session), 0);
	answer(session);
	return session;
}

static void add_frame(struct buffer *to, unsigned bits, const void *data, size_t size)
{
	uint8_t header[FRAME_HEADER_MAX];
	size_t header_size = frame_write_header(header, FRAME_BINARY, size, NULL);

	header[0] |= (uint8_t)bits;
	assert_int_equal(buffer_append(to, header, header_size), 0);
	assert_int_equal(buffer_append(to, data, size), 0);
}

static void add_packed(struct buffer *to, struct deflater *deflater, const void *data, size_t size)
{
	CLEANUP(buffer_done) struct buffer packed;

	buffer_init(&packed, DATA_SIZE);
	assert_int_equal(deflater_run(deflater, data, size, true, &packed), 0);
	add_frame(to, FRAME_BIT_PACKED, packed.data, packed.size);
}

/* Messages of many sizes, some compressed, some of them to a hundredth; and their sum. */
static void make_stream(struct buffer *to, size_t count, struct owner *sum)
{
	CLEANUP(deflater_free) struct deflater *deflater = NULL;
	static uint8_t memory[KIB(300)];
	uint64_t random = 5;

	assert_int_equal(deflater_new(EXTENSION_WINDOW_MAX, false, &deflater), 0);
	for (size_t i = 0; i < count; i++) {
		size_t most = i % 50 == 0 ? sizeof(memory) : i % 3 == 0 ? 1 : 600;
		size_t size = random_below(&random, most);
		bool same = random_below(&random, 2);

		for (size_t j = 0; j < size; j++)
			memory[j] = (uint8_t)(same ? i : random_next(&random));
		if (random_below(&random, 3) == 0)
			add_frame(to, 0, memory, size);
		else
			add_packed(to, deflater, memory, size);
		sum->messages++;
		sum->bytes += size;
		sum->crc = sum->crc * 31 + crc32c(0, memory, size);
	}
}

/* As a client does it: reads no more than there is room for, and goes on whenever it may. */
static void play(struct session *session, struct owner *owner, const struct buffer *stream)
{
	static uint8_t data[KIB(64)];
	size_t fill = 0, at = 0, used;
	int r = 0;

	while (at < stream->size || r > 0) {
		if (r == 0) {
			size_t more =
				MIN(MIN(stream->size - at, sizeof(data) - fill), on_room(owner));

			memcpy(data + fill, stream->data + at, more);
			at += more;
			fill += more;
		}
		owner->turn = 0;
		r = session_take(session,
				 &(struct session_input){
					 .free = data, .data = data, .size = fill, .time_ns = 1},
				 &used);
		assert_true(r >= 0);
		if (r == SESSION_STALLED)
			assert_int_equal(owner->room, 0);
		assert_true(owner->turn <= TURN_MAX);
		memmove(data, data + used, fill - used);
		fill -= used;
	}
	assert_int_equal(fill, 0);
}

static void check_room(size_t room_max, size_t count)
{
	CLEANUP(buffer_done) struct buffer stream;
	struct owner owner = {.random = 7, .room_max = room_max}, sum = {0};
	CLEANUP(session_free) struct session *session = make(&owner);

	buffer_init(&stream, MIB(64));
	make_stream(&stream, count, &sum);
	play(session, &owner, &stream);
	assert_int_equal(session_state(session), SESSION_OPEN);
	assert_int_equal(owner.messages, sum.messages);
	assert_int_equal(owner.bytes, sum.bytes);
	assert_int_equal(owner.crc, sum.crc);
	assert_true(room_max == SIZE_MAX || owner.refusals > 0);
}

static void test_little_room(void **state)
{
	(void)state;
	check_room(1, 400);
}

static void test_some_room(void **state)
{
	(void)state;
	check_room(KIB(8), 1000);
	check_room(KIB(300), 2000);
}

static void test_all_room(void **state)
{
	(void)state;
	check_room(SIZE_MAX, 2000);
}

/* A bomb gets no more at once than everybody. */
static void test_turns(void **state)
{
	CLEANUP(deflater_free) struct deflater *deflater = NULL;
	CLEANUP(buffer_done) struct buffer stream;
	static const uint8_t zeros[MIB(1)];
	struct owner owner = {.room_max = SIZE_MAX};
	CLEANUP(session_free) struct session *session = make(&owner);

	(void)state;
	buffer_init(&stream, MIB(1));
	assert_int_equal(deflater_new(EXTENSION_WINDOW_MAX, false, &deflater), 0);
	for (int i = 0; i < 40; i++)
		add_packed(&stream, deflater, zeros, sizeof(zeros));
	assert_true(stream.size < KIB(64));
	play(session, &owner, &stream);
	assert_int_equal(owner.bytes, 40 * sizeof(zeros));
}

/* What cannot be sent is not compressed either, or the server would miss it in its window. */
static void test_too_much_to_send(void **state)
{
	CLEANUP_FREE uint8_t *data = malloc(OUTPUT_MAX);
	struct owner owner = {.room_max = SIZE_MAX};
	CLEANUP(session_free) struct session *session = make(&owner);
	const struct buffer *output = session_output(session);
	uint64_t random = 9;

	(void)state;
	assert_non_null(data);
	random_fill(&random, data, OUTPUT_MAX);
	assert_int_equal(session_send(session, MESSAGE_BINARY, data, OUTPUT_MAX - KIB(64)), 0);
	assert_int_equal(session_send(session, MESSAGE_BINARY, data, KIB(100)), -ENOBUFS);
	assert_int_equal(session_sent(session, output->size), 0);
	assert_int_equal(session_send(session, MESSAGE_BINARY, data, KIB(30)), 0);
	assert_int_equal((uint8_t)output->data[0], 0x80 | FRAME_BIT_PACKED | FRAME_BINARY);
	assert_true(output->size > KIB(29)); /* the window holds only what was sent */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little_room),	 cmocka_unit_test(test_some_room),
		cmocka_unit_test(test_all_room),	 cmocka_unit_test(test_turns),
		cmocka_unit_test(test_too_much_to_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
