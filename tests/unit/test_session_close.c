/* How a connection ends: Close in both directions, violations and what is said back, a stream that
 * stops, and an output that is full.
 * --wrap: none. */
#include "test_session_support.h"

#define PAYLOAD(text) text, sizeof(text) - 1

static const struct session_options plain = {0};

static void begin_open(struct user *user, const struct session_options *options)
{
	user_begin(user, options);
	user_open(user, options->compression ? DEFLATE : "");
	assert_heard(user, "opened\n");
}

static const uint16_t good_codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
				      1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
static const uint16_t bad_codes[] = {0,	   1,	 999,  1004, 1005, 1006,
				     1015, 1016, 2000, 2999, 5000, 65535};

static void receive_close(struct user *user, uint16_t code, const char *reason)
{
	uint8_t payload[FRAME_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};

	memcpy(payload + 2, reason, strlen(reason));
	assert_int_equal(receive_frame(user, 0x88, payload, 2 + strlen(reason)), 0);
}

static void test_the_servers_close_is_answered_with_its_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_codes); i++) {
		char expected[32];
		struct user user;

		begin_open(&user, &plain);
		receive_close(&user, good_codes[i], "gr\xc3\xbc\xc3\x9f");
		assert_int_equal(session_state(user.session), SESSION_OVER);
		session_lost(user.session, -ECONNRESET); /* that it ends now is no loss */
		assert_int_equal(session_end(user.session)->kind, CLIENT_CLOSED);
		assert_int_equal(session_end(user.session)->close_code, good_codes[i]);
		assert_string_equal(session_end(user.session)->detail, "gr\xc3\xbc\xc3\x9f");
		snprintf(expected, sizeof(expected), "close %d\n", good_codes[i]);
		assert_said(&user, expected);
		user_end(&user);
	}
}

static void test_codes_that_may_not_be_sent(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_codes); i++) {
		struct user user;

		begin_open(&user, &plain);
		receive_close(&user, bad_codes[i], "");
		assert_int_equal(session_state(user.session), SESSION_OVER);
		assert_int_equal(session_end(user.session)->kind, CLIENT_VIOLATED);
		assert_int_equal(session_end(user.session)->violation, FRAME_CLOSE_CODE);
		assert_int_equal(session_end(user.session)->close_code, 0);
		assert_said(&user, "close 1002\n");
		user_end(&user);
	}
}

static void test_a_close_without_a_code(void **state)
{
	struct user user;

	(void)state;
	begin_open(&user, &plain);
	receive_frame(&user, 0x88, NULL, 0);
	assert_int_equal(session_end(user.session)->close_code, CLOSE_NO_CODE);
	assert_said(&user, "close\n");
	user_end(&user);
	begin_open(&user, &plain);
	assert_int_equal(session_close(user.session, CLOSE_NO_CODE, NULL, 0), 0);
	assert_said(&user, "close\n");
	user_end(&user);
}

static void test_our_close_with_every_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_codes); i++) {
		char expected[32];
		struct user user;

		begin_open(&user, &plain);
		assert_int_equal(session_close(user.session, good_codes[i], "why", 3), 0);
		assert_int_equal(session_state(user.session), SESSION_CLOSING);
		snprintf(expected, sizeof(expected), "close %d why\n", good_codes[i]);
		assert_said(&user, expected);
		receive_close(&user, 1000, "fine"); /* another code than ours */
		assert_int_equal(session_state(user.session), SESSION_OVER);
		assert_int_equal(session_end(user.session)->kind, CLIENT_CLOSED);
		assert_int_equal(session_end(user.session)->close_code, 1000);
		assert_said(&user, ""); /* an answer is not answered */
		user_end(&user);
	}
}

/* A reason that is too long loses whole characters. */
static void test_long_reasons(void **state)
{
	static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac",
						 "\xf0\x9f\x98\x80"};

	(void)state;
	for (size_t length = 1; length <= 4; length++) {
		for (size_t before = 0; before < 4; before++) {
			char reason[160] = "", expected[160];
			size_t kept = before + (CLOSE_REASON_MAX - before) / length * length;
			struct user user;

			memset(reason, '-', before);
			while (strlen(reason) < 150)
				strcat(reason, characters[length - 1]);
			begin_open(&user, &plain);
			assert_int_equal(session_close(user.session, 1000, reason, strlen(reason)),
					 0);
			snprintf(expected, sizeof(expected), "close 1000 %.*s\n", (int)kept,
				 reason);
			assert_said(&user, expected);
			user_end(&user);
		}
	}
}

static void test_the_longest_reason_that_is_received(void **state)
{
	char reason[CLOSE_REASON_MAX + 1] = "";
	struct user user;

	(void)state;
	memset(reason, 'x', CLOSE_REASON_MAX);
	begin_open(&user, &plain);
	receive_close(&user, 1001, reason);
	assert_string_equal(session_end(user.session)->detail, reason);
	user_end(&user);
}

static void test_what_comes_behind_our_close_is_dropped(void **state)
{
	struct user user;

	(void)state;
	begin_open(&user, &plain);
	receive_frame(&user, 0x01, "not wh", 6);
	assert_int_equal(session_close(user.session, 1000, NULL, 0), 0);
	assert_true(session_end(user.session)->cut);
	assert_int_equal(session_end(user.session)->cut_bytes, 6);
	receive_frame(&user, 0x80, "ole", 3);
	receive_frame(&user, 0x81, "dropped", 7);
	receive_frame(&user, 0x89, "unanswered", 10);
	assert_int_equal(session_state(user.session), SESSION_CLOSING);
	receive_close(&user, 1000, "");
	receive_frame(&user, 0x81, "dropped", 7);
	assert_int_equal(user.fill, 0);
	assert_heard(&user, "");
	assert_int_equal(session_end(user.session)->cut_bytes, 6);
	assert_said(&user, "close 1000\n");
	user_end(&user);
}

/* Going gently: what is under way is taken, and answered no more. */
static void test_retiring(void **state)
{
	struct user user;

	(void)state;
	begin_open(&user, &plain);
	receive_frame(&user, 0x01, "wh", 2);
	assert_int_equal(session_retire(user.session, 1001), 0);
	assert_int_equal(session_state(user.session), SESSION_OPEN);
	receive_frame(&user, 0x80, "ole", 3);
	assert_int_equal(session_state(user.session), SESSION_CLOSING);
	assert_true(session_is_taking(user.session));
	receive(&user, "\x81\x02me\x89\x00\x82\x00\x88\x02\x03\xe8\x81\x02no", 16);
	assert_heard(&user, "text whole\ntext me\nbinary\n");
	assert_int_equal(session_state(user.session), SESSION_OVER);
	assert_int_equal(session_end(user.session)->kind, CLIENT_CLOSED);
	assert_false(session_end(user.session)->cut);
	assert_said(&user, "close 1001\n");
	user_end(&user);
}

static void test_retiring_ends_with_a_close_of_our_own(void **state)
{
	struct user user;

	(void)state;
	begin_open(&user, &plain);
	assert_int_equal(session_retire(user.session, 1001), 0);
	receive_frame(&user, 0x01, "not wh", 6);
	assert_int_equal(session_close(user.session, 1000, NULL, 0), 0);
	assert_false(session_is_taking(user.session));
	receive_frame(&user, 0x80, "ole", 3);
	assert_heard(&user, "");
	assert_true(session_end(user.session)->cut);
	assert_int_equal(session_end(user.session)->cut_bytes, 6);
	assert_said(&user, "close 1001\n");
	user_end(&user);
}

static const struct {
	const char *stream;
	size_t size;
	enum frame_violation violation;
	const char *said;
	bool cut;
	uint64_t cut_bytes;
} violations[] = {
	{PAYLOAD("\xc1\x00"), FRAME_RESERVED_BITS, "close 1002\n", false, 0},
	{PAYLOAD("\x83\x00"), FRAME_RESERVED_OPCODE, "close 1002\n", false, 0},
	{PAYLOAD("\x8b\x00"), FRAME_RESERVED_OPCODE, "close 1002\n", false, 0},
	{PAYLOAD("\x81\x80"), FRAME_MASKED, "close 1002\n", false, 0},
	{PAYLOAD("\x81\x7e\x00\x7d"), FRAME_LENGTH_NOT_MINIMAL, "close 1002\n", false, 0},
	{PAYLOAD("\x82\x7f\x80\0\0\0\0\0\0\0"), FRAME_LENGTH_TOP_BIT, "close 1002\n", false, 0},
	{PAYLOAD("\x89\x7e"), FRAME_CONTROL_TOO_LONG, "close 1002\n", false, 0},
	{PAYLOAD("\x09\x00"), FRAME_CONTROL_FRAGMENTED, "close 1002\n", false, 0},
	{PAYLOAD("\x80\x00"), FRAME_CONTINUES_NOTHING, "close 1002\n", false, 0},
	{PAYLOAD("\x01\x02hi\x81\x00"), FRAME_INSIDE_MESSAGE, "close 1002\n", true, 2},
	{PAYLOAD("\x81\x01\xff"), FRAME_NOT_UTF8, "close 1007\n", true, 0},
	{PAYLOAD("\x01\x01x\x80\x02y\xc3"), FRAME_NOT_UTF8, "close 1007\n", true, 1},
	{PAYLOAD("\x88\x01\x03"), FRAME_CLOSE_ONE_BYTE, "close 1002\n", false, 0},
	{PAYLOAD("\x88\x03\x03\xe8\xff"), FRAME_CLOSE_NOT_UTF8, "close 1007\n", false, 0},
	{PAYLOAD("\x82\x09"), FRAME_MESSAGE_TOO_LARGE, "close 1009\n", true, 0},
	{PAYLOAD("\x02\x08--------\x80\x01"), FRAME_MESSAGE_TOO_LARGE, "close 1009\n", true, 8},
	{PAYLOAD("\x02\0\0\0\0\0\0\0"), FRAME_TOO_MANY_FRAGMENTS, "close 1008\n", true, 0},
};

/* At once, and byte by byte. A message in front of it is heard, what is behind it is not. */
static void test_violations(void **state)
{
	static const struct session_options limits = {.message_max = 8, .fragments_max = 3};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(violations); i++) {
		size_t which = i / 2, size = violations[which].size;
		struct user user;

		begin_open(&user, &limits);
		receive(&user, "\x81\x02ok", 4);
		for (size_t at = 0; at < size; at += i % 2 ? size : 1)
			assert_int_equal(
				receive(&user, violations[which].stream + at, i % 2 ? size : 1), 0);
		assert_int_equal(session_state(user.session), SESSION_OVER);
		assert_int_equal(session_end(user.session)->kind, CLIENT_VIOLATED);
		assert_int_equal(session_end(user.session)->violation, violations[which].violation);
		receive(&user, "\x81\x02no\x89\x00", 6);
		assert_heard(&user, "text ok\n");
		assert_int_equal(session_end(user.session)->cut, violations[which].cut);
		if (i % 2)
			assert_int_equal(session_end(user.session)->cut_bytes,
					 violations[which].cut_bytes);
		assert_said(&user, violations[which].said);
		user_end(&user);
	}
}

static void test_a_violation_behind_our_close(void **state)
{
	struct user user;

	(void)state;
	begin_open(&user, &plain);
	assert_int_equal(session_close(user.session, 1000, NULL, 0), 0);
	receive(&user, "\xff\xff", 2);
	assert_int_equal(session_state(user.session), SESSION_OVER);
	assert_int_equal(session_end(user.session)->kind, CLIENT_VIOLATED);
	assert_said(&user, "close 1000\n"); /* there is only one Close */
	user_end(&user);
}

static void test_a_stream_that_stops(void **state)
{
	struct user user;

	(void)state;
	begin_open(&user, &plain);
	receive_frame(&user, 0x81, "whole", 5);
	session_lost(user.session, 0);
	assert_int_equal(session_end(user.session)->kind, CLIENT_LOST);
	assert_int_equal(session_end(user.session)->error, 0);
	assert_false(session_end(user.session)->cut);
	user_end(&user);
	begin_open(&user, &plain);
	receive(&user, "\x81\x05hal", 5);
	session_lost(user.session, -ETIMEDOUT);
	assert_int_equal(session_end(user.session)->error, -ETIMEDOUT);
	assert_true(session_end(user.session)->cut);
	assert_int_equal(session_end(user.session)->cut_bytes, 3);
	user_end(&user);
}

/* What was torn off of a compressed message is counted by what it holds: none of it here, however
 * much the one before it held. */
static void test_a_compressed_message_that_stops(void **state)
{
	static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
	static const struct extension_offer offer = {0};
	struct user user;

	(void)state;
	for (size_t there = 0; there <= 3; there++) {
		static const uint64_t made[] = {0, 0, 1, 2};

		begin_open(&user, &(struct session_options){.compression = &offer});
		receive_frame(&user, 0xc1, hello, sizeof(hello));
		assert_heard(&user, "text Hello\n");
		receive(&user, "\xc1\x07", 2);
		receive(&user, hello, there);
		session_lost(user.session, 0);
		assert_true(session_end(user.session)->cut);
		assert_int_equal(session_end(user.session)->cut_bytes, made[there]);
		user_end(&user);
	}
}

/* All that may wait waits, and the server does not read: that is no error of ours. */
static void fill_output(struct user *user)
{
	CLEANUP_FREE uint8_t *large = calloc(1, MIB(1));
	size_t waiting;

	assert_non_null(large);
	while (session_send(user->session, MESSAGE_BINARY, large, MIB(1)) == 0)
		continue;
	while (session_send(user->session, MESSAGE_BINARY, large, 100) == 0)
		continue;
	while (session_send(user->session, MESSAGE_BINARY, large, 0) == 0)
		continue;
	waiting = session_output(user->session)->size;
	assert_in_range(waiting, OUTPUT_MAX - 5, OUTPUT_MAX);
	assert_int_equal(session_send(user->session, MESSAGE_TEXT, "", 0), -ENOBUFS);
	assert_int_equal(session_ping(user->session, NULL, 0), -ENOBUFS);
	assert_int_equal(session_output(user->session)->size, waiting);
}

static void test_there_is_always_room_for_a_close(void **state)
{
	char reason[CLOSE_REASON_MAX];
	struct user user;

	(void)state;
	for (int who = 0; who < 3; who++) {
		begin_open(&user, &plain);
		fill_output(&user);
		receive_frame(&user, 0x89, "x", 1);
		memset(reason, 'x', sizeof(reason));
		if (who == 0)
			assert_int_equal(session_close(user.session, 1001, reason, sizeof(reason)),
					 0);
		else if (who == 1)
			receive_close(&user, 1001, "");
		else
			assert_int_equal(receive(&user, "\xff\xff", 2), 0);
		assert_int_equal(session_state(user.session),
				 who == 0 ? SESSION_CLOSING : SESSION_OVER);
		send_frames(&user, SIZE_MAX);
		assert_non_null(memmem(user.said.data, user.said.size,
				       who == 2 ? "\nclose 1002" : "\nclose 1001", 11));
		user_end(&user);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_servers_close_is_answered_with_its_code),
		cmocka_unit_test(test_codes_that_may_not_be_sent),
		cmocka_unit_test(test_a_close_without_a_code),
		cmocka_unit_test(test_our_close_with_every_code),
		cmocka_unit_test(test_long_reasons),
		cmocka_unit_test(test_the_longest_reason_that_is_received),
		cmocka_unit_test(test_what_comes_behind_our_close_is_dropped),
		cmocka_unit_test(test_retiring),
		cmocka_unit_test(test_retiring_ends_with_a_close_of_our_own),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_a_violation_behind_our_close),
		cmocka_unit_test(test_a_stream_that_stops),
		cmocka_unit_test(test_a_compressed_message_that_stops),
		cmocka_unit_test(test_there_is_always_room_for_a_close),
	};

	return cmocka_run_group_tests_name("session_close", tests, NULL, NULL);
}
