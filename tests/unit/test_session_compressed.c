/* A session that compresses: what is sent, what is received, and what happens when there is no room
 * for either.
 * --wrap: none. */
#include "test_pack_support.h"
#include "test_session_support.h"

static const struct extension_offer offer = {.client_max_window_bits = 15};
static const struct session_options packed = {.compression = &offer};

static const char text[] = "{\"price\":\"12345.67\",\"size\":\"0.001\",\"side\":\"buy\","
			   "\"symbol\":\"BTC-USD\",\"time\":123456789}";

static int send_text(struct user *user, const char *data, size_t size)
{
	return session_send(user->session, MESSAGE_TEXT, data, size);
}

static void test_what_is_worth_it_is_sent_compressed(void **state)
{
	CLEANUP(buffer_done) struct buffer expected;
	struct user user;
	size_t first, second;

	(void)state;
	user_begin(&user, &packed);
	user_open(&user, DEFLATE);
	assert_int_equal(send_text(&user, text, 63), 0);
	first = session_output(user.session)->size;
	assert_int_equal(first, 6 + 63);
	assert_int_equal(send_text(&user, text, sizeof(text) - 1), 0);
	second = session_output(user.session)->size - first;
	assert_int_equal(send_text(&user, text, sizeof(text) - 1), 0);
	/* The second time, it is what it was before. */
	assert_true(session_output(user.session)->size - first - second < second / 2);
	buffer_init(&expected, KIB(1));
	note(&expected, "text", text, 63);
	note(&expected, "packed text", text, sizeof(text) - 1);
	note(&expected, "packed text", text, sizeof(text) - 1);
	assert_int_equal(buffer_append(&expected, "", 1), 0);
	assert_said(&user, expected.data);
	user_end(&user);
}

static void test_the_servers_wishes(void **state)
{
	static const char *const lines[] = {
		"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct user user;

		user_begin(&user, &packed);
		user_open(&user, lines[i]);
		assert_int_equal(inflateReset2(&user.inflate, i == 0 ? -15 : -8), Z_OK);
		for (int round = 0; round < 3; round++) {
			assert_int_equal(send_text(&user, text, sizeof(text) - 1), 0);
			send_frames(&user, 1);
			if (i == 0) /* it cannot know anything of the one before */
				assert_int_equal(inflateReset(&user.inflate), Z_OK);
		}
		user_end(&user);
	}
}

/* A message that there is no room for does not exist: those behind it can be read without it. */
static void test_a_full_output_breaks_nothing(void **state)
{
	CLEANUP_FREE char *large = malloc(MIB(1)), *noise = malloc(MIB(1));
	uint64_t random = 1;
	struct user user;

	(void)state;
	assert_true(large && noise);
	memset(large, 'x', MIB(1));
	random_fill(&random, (uint8_t *)noise, MIB(1));
	user_begin(&user, &packed);
	user_open(&user, DEFLATE);
	assert_int_equal(send_text(&user, text, sizeof(text) - 1), 0);
	send_frames(&user, 1);
	while (session_send(user.session, MESSAGE_BINARY, noise, MIB(1)) == 0)
		continue;
	while (session_send(user.session, MESSAGE_BINARY, noise, 63) == 0)
		continue; /* not compressed, up to the last byte */
	for (size_t size = 64; size < MIB(1); size += 10007) {
		size_t waiting = session_output(user.session)->size;

		assert_int_equal(send_text(&user, large, size), -ENOBUFS);
		assert_int_equal(session_output(user.session)->size, waiting);
	}
	assert_int_equal(send_text(&user, large, SIZE_MAX - 10), -ENOBUFS);
	while (session_output(user.session)->size > 0) {
		/* The noise has to go through the window of who reads. */
		send_frames(&user, 1);
		user.said.size = 0;
	}
	assert_int_equal(send_text(&user, text, sizeof(text) - 1), 0);
	assert_true(session_output(user.session)->size < sizeof(text) - 1);
	send_frames(&user, 1);
	assert_memory_equal(user.said.data, "packed text {", 13);
	user_end(&user);
}

/* Noise grows, most of all in a small window: so much is left free for it. */
static void test_the_largest_message(void **state)
{
	size_t size = OUTPUT_MAX - KIB(64);
	CLEANUP_FREE char *noise = malloc(size + 1);
	uint64_t random = 1;
	struct user user;

	(void)state;
	assert_non_null(noise);
	random_fill(&random, (uint8_t *)noise, size + 1);
	user_begin(&user, &packed);
	user_open(&user, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9"
			 "\r\n");
	assert_int_equal(session_send(user.session, MESSAGE_BINARY, noise, size + 1), -ENOBUFS);
	assert_int_equal(session_send(user.session, MESSAGE_BINARY, noise, size), 0);
	assert_in_range(session_output(user.session)->size, size, OUTPUT_MAX);
	send_frames(&user, 1);
	assert_memory_equal(user.said.data + strlen("packed binary "), noise, size);
	user_end(&user);
}

/* Messages of both kinds, whole and in fragments, and control frames between. */
static void write_conversation(struct buffer *stream, struct buffer *expected)
{
	CLEANUP(buffer_done) struct buffer message;
	struct packer packer;

	packer_init(&packer, false);
	buffer_init(&message, KIB(64));
	for (int i = 0; i < 20; i++) {
		char words[200];
		size_t size =
			(size_t)snprintf(words, sizeof(words), "%d gr\xc3\xbc\xc3\x9f %s", i, text);

		message.size = 0;
		note(expected, "text", words, size);
		if (i % 3 == 2) {
			put_frame(stream, 0x81, words, size);
			continue;
		}
		pack(&packer, words, size, &message);
		put_frame(stream, 0x41, message.data, 3);
		if (i % 2)
			put_frame(stream, 0x00, NULL, 0);
		put_frame(stream, 0x89, words, 2);
		put_frame(stream, 0x80, message.data + 3, message.size - 3);
	}
	packer_done(&packer);
}

/* Room comes and goes. Each stall ends when there is some again, and nothing is different. */
static void test_whatever_room_there_is(void **state)
{
	CLEANUP(buffer_done) struct buffer stream, expected, pongs;

	(void)state;
	buffer_init(&stream, KIB(64));
	buffer_init(&expected, KIB(64));
	buffer_init(&pongs, KIB(64));
	note(&expected, "opened", NULL, 0);
	write_conversation(&stream, &expected);
	for (size_t room = SESSION_ROOM_MIN; room < 5000; room += 97) {
		struct user user;
		size_t stalls = 0;
		int r;

		user_begin(&user, &packed);
		user_open(&user, DEFLATE);
		user.bounded = true;
		r = receive(&user, stream.data, stream.size);
		while (r > 0) {
			user.room = r == SESSION_MORE || stalls % 3 == 2 ? room : 0;
			assert_true(stalls++ < 20000);
			r = receive(&user, NULL, 0);
		}
		assert_int_equal(r, 0);
		assert_true(stalls > 0 && user.flushes > 0);
		assert_int_equal(user.heard.size, expected.size);
		assert_memory_equal(user.heard.data, expected.data, expected.size);
		send_frames(&user, SIZE_MAX);
		if (pongs.size == 0)
			assert_int_equal(buffer_append(&pongs, user.said.data, user.said.size), 0);
		assert_int_equal(user.said.size, pongs.size);
		assert_memory_equal(user.said.data, pongs.data, pongs.size);
		user_end(&user);
	}
	assert_true(pongs.size > 0);
}

/* Once there is room, all that came is unpacked, though nothing more comes. */
static void test_all_that_came_is_unpacked(void **state)
{
	CLEANUP(buffer_done) struct buffer message, stream;
	static char same[KIB(8)];
	struct packer packer;
	struct user user;
	int r;

	(void)state;
	memset(same, 'x', sizeof(same));
	packer_init(&packer, false);
	buffer_init(&message, KIB(64));
	buffer_init(&stream, KIB(64));
	pack(&packer, same, sizeof(same), &message);
	put_frame(&stream, 0xc1, message.data, message.size);
	user_begin(&user, &packed);
	user_open(&user, DEFLATE);
	user.bounded = true;
	user.room = SESSION_ROOM_MIN;
	/* Without its last byte, which adds nothing. */
	r = receive(&user, stream.data, stream.size - 1);
	while (r == SESSION_MORE)
		r = receive(&user, NULL, 0);
	assert_int_equal(r, 0);
	assert_int_equal(user.message.size, sizeof(same));
	user_end(&user);
	packer_done(&packer);
}

static int close_now(struct user *user)
{
	return session_close(user->session, 1000, NULL, 0);
}

/* What is dropped needs no room, or the Close behind it would never be seen. */
static void test_a_session_that_closes_does_not_stall(void **state)
{
	CLEANUP(buffer_done) struct buffer stream, unused;
	struct user user;

	(void)state;
	buffer_init(&stream, KIB(64));
	buffer_init(&unused, KIB(64));
	write_conversation(&stream, &unused);
	put_frame(&stream, 0x88, "\x03\xe8", 2);
	user_begin(&user, &packed);
	user_open(&user, DEFLATE);
	user.bounded = true;
	assert_int_equal(receive(&user, stream.data, stream.size), SESSION_STALLED);
	close_now(&user);
	assert_int_equal(receive(&user, NULL, 0), 0);
	assert_int_equal(session_state(user.session), SESSION_OVER);
	assert_heard(&user, "opened\n");
	user_end(&user);
	/* From the flush that makes room. */
	user_begin(&user, &packed);
	user_open(&user, DEFLATE);
	user.bounded = true;
	user.room = SESSION_ROOM_MIN;
	user.at_flush = close_now;
	assert_int_equal(receive(&user, stream.data, stream.size), 0);
	assert_int_equal(session_state(user.session), SESSION_OVER);
	user_end(&user);
}

static void test_limits_of_compressed_messages(void **state)
{
	static const struct session_options limits = {
		.compression = &offer, .message_max = KIB(300), .ratio_max = 100};
	static uint8_t zeros[KIB(301)];

	(void)state;
	for (int which = 0; which < 3; which++) {
		static const size_t sizes[] = {KIB(256), KIB(256) + 1, KIB(300) + 1};
		static const enum frame_violation violations[] = {0, FRAME_RATIO_TOO_LARGE,
								  FRAME_MESSAGE_TOO_LARGE};
		CLEANUP(buffer_done) struct buffer message;
		struct packer packer;
		struct user user;

		packer_init(&packer, false);
		buffer_init(&message, KIB(64));
		pack(&packer, zeros, sizes[which], &message);
		user_begin(&user, &limits);
		user_open(&user, DEFLATE);
		receive_frame(&user, 0xc2, message.data, message.size);
		assert_int_equal(session_end(user.session)->violation, violations[which]);
		assert_int_equal(session_state(user.session),
				 which == 0 ? SESSION_OPEN : SESSION_OVER);
		assert_said(&user, which == 0 ? "" : "close 1009\n");
		user_end(&user);
		packer_done(&packer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_worth_it_is_sent_compressed),
		cmocka_unit_test(test_the_servers_wishes),
		cmocka_unit_test(test_a_full_output_breaks_nothing),
		cmocka_unit_test(test_the_largest_message),
		cmocka_unit_test(test_whatever_room_there_is),
		cmocka_unit_test(test_all_that_came_is_unpacked),
		cmocka_unit_test(test_a_session_that_closes_does_not_stall),
		cmocka_unit_test(test_limits_of_compressed_messages),
	};

	return cmocka_run_group_tests_name("session_compressed", tests, NULL, NULL);
}
