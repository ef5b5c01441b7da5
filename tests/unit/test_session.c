/* A connection's protocol from bytes alone: the handshake, messages, pings, and what is sent in
 * each state.
 * --wrap: none. */
#include "test_session_support.h"

static const struct session_options plain = {0};

#define HELLO "\x81\x05Hello"

static void test_the_answer_cut_everywhere(void **state)
{
	size_t size = 1;

	(void)state;
	for (size_t cut = 0; cut <= size; cut++) {
		CLEANUP(buffer_done) struct buffer stream;
		struct user user;

		user_begin(&user, &plain);
		buffer_init(&stream, KIB(4));
		write_answer(&user, "", &stream);
		assert_int_equal(buffer_append(&stream, HELLO, 7), 0);
		size = stream.size;
		assert_int_equal(receive(&user, stream.data, cut), 0);
		assert_int_equal(session_state(user.session),
				 cut < size - 7 ? SESSION_UPGRADING : SESSION_OPEN);
		assert_int_equal(receive(&user, stream.data + cut, size - cut), 0);
		assert_heard(&user, "opened\ntext Hello\n");
		assert_int_equal(user.fill, 0);
		user_end(&user);
	}
}

static void test_the_answer_byte_by_byte(void **state)
{
	CLEANUP(buffer_done) struct buffer stream;
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	buffer_init(&stream, KIB(4));
	write_answer(&user, "X: y\r\n", &stream);
	put_frame(&stream, 0x89, "p", 1);
	put_frame(&stream, 0x88, "\x03\xe9", 2);
	for (size_t i = 0; i < stream.size; i++)
		assert_int_equal(receive(&user, stream.data + i, 1), 0);
	assert_heard(&user, "opened\n");
	assert_int_equal(session_state(user.session), SESSION_OVER);
	user_end(&user);
}

static const struct {
	const char *answer;
	enum handshake_error error;
	int status;
} refusals[] = {
	{"HTTP/1.1 404 Not Found\r\n\r\n", HANDSHAKE_STATUS, 404},
	{"HTTP/1.1 503 x\r\nRetry-After: 1\r\n\r\nbusy", HANDSHAKE_STATUS, 503},
	{"SSH-2.0-OpenSSH\r\n", HANDSHAKE_NOT_HTTP, 0},
	{UPGRADED "\r\n", HANDSHAKE_ACCEPT, 0},
	{UPGRADED "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n" HELLO,
	 HANDSHAKE_ACCEPT, 0},
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const char *answer = refusals[i].answer;
		struct user user;
		struct client_end *end;

		user_begin(&user, &plain);
		end = session_end(user.session);
		assert_int_equal(receive(&user, answer, strlen(answer)), 0);
		assert_int_equal(user.fill, 0);
		assert_int_equal(session_state(user.session), SESSION_REFUSED);
		session_lost(user.session, -ECONNRESET); /* changes nothing any more */
		assert_int_equal(end->kind, CLIENT_REFUSED);
		assert_int_equal(end->handshake_error, refusals[i].error);
		assert_int_equal(end->response.status, refusals[i].status);
		assert_int_equal(receive(&user, HELLO, 7), 0);
		assert_heard(&user, "");
		user_end(&user);
	}
}

static void test_what_was_not_offered_is_refused(void **state)
{
	static const char *const lines[] = {DEFLATE, "Sec-WebSocket-Protocol: chat\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct user user;

		user_begin(&user, &plain);
		user_open(&user, lines[i]);
		assert_int_equal(session_state(user.session), SESSION_REFUSED);
		assert_int_equal(session_end(user.session)->handshake_error,
				 i == 0 ? HANDSHAKE_EXTENSION : HANDSHAKE_SUBPROTOCOL);
		user_end(&user);
	}
}

static void test_what_was_agreed_on(void **state)
{
	static const char *const subprotocols[] = {"chat", "mqtt"};
	static const struct handshake_request_options request = {.subprotocols = subprotocols,
								 .subprotocol_count = 2};
	static const struct extension_offer offer = {0};
	struct user user;

	(void)state;
	user_begin(&user, &(struct session_options){.request = &request, .compression = &offer});
	user_open(&user, DEFLATE "Sec-WebSocket-Protocol: mqtt\r\n");
	assert_string_equal(session_subprotocol(user.session), "mqtt");
	assert_true(session_is_compressed(user.session));
	user_end(&user);
	user_begin(&user, &(struct session_options){.request = &request, .compression = &offer});
	user_open(&user, "");
	assert_null(session_subprotocol(user.session));
	assert_false(session_is_compressed(user.session));
	user_end(&user);
}

static void test_a_stream_that_ends_too_early(void **state)
{
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	assert_int_equal(receive(&user, UPGRADED, strlen(UPGRADED)), 0);
	session_lost(user.session, -ECONNRESET);
	assert_int_equal(session_end(user.session)->kind, CLIENT_HANGUP);
	assert_int_equal(session_end(user.session)->error, -ECONNRESET);
	user_end(&user);
}

static void test_messages_and_pings(void **state)
{
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	user_open(&user, "");
	receive_frame(&user, 0x01, "Hel", 3);
	assert_false(session_is_between_messages(user.session));
	receive_frame(&user, 0x89, "now", 3);
	receive_frame(&user, 0x8a, "then", 4);
	receive_frame(&user, 0x80, "lo", 2);
	assert_true(session_is_between_messages(user.session));
	receive_frame(&user, 0x82, "", 0);
	assert_heard(&user, "opened\npong\ntext Hello\nbinary\n");
	assert_said(&user, "pong now\n");
	user_end(&user);
}

/* Section 5.5.3: of many Pings while nothing can be sent, the last is answered. */
static void test_the_last_of_many_pings(void **state)
{
	static const uint8_t large[KIB(64)] = {0};
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	user_open(&user, "");
	assert_int_equal(session_send(user.session, MESSAGE_BINARY, large, sizeof(large) - 100), 0);
	receive_frame(&user, 0x89, "first", 5); /* there is room for this one */
	assert_int_equal(session_send(user.session, MESSAGE_BINARY, large, 200), 0);
	for (char c = 'a'; c <= 'z'; c++)
		receive_frame(&user, 0x89, &c, 1);
	send_frames(&user, 1);
	user.said.size = 0;
	send_frames(&user, 1);
	assert_log(&user.said, "pong first\n");
	send_frames(&user, 1);
	user.said.size = 0;
	assert_said(&user, "pong z\n");
	user_end(&user);
}

static void test_no_pong_behind_our_close(void **state)
{
	static const uint8_t large[KIB(65)] = {0};
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	user_open(&user, "");
	assert_int_equal(session_send(user.session, MESSAGE_BINARY, large, sizeof(large)), 0);
	receive_frame(&user, 0x89, "old", 3);
	assert_int_equal(session_close(user.session, CLOSE_NORMAL, NULL, 0), 0);
	send_frames(&user, 1);
	user.said.size = 0;
	assert_said(&user, "close 1000\n");
	user_end(&user);
}

static void assert_cannot_send(struct user *user)
{
	size_t waiting = session_output(user->session)->size;

	assert_int_equal(session_send(user->session, MESSAGE_TEXT, "x", 1), -ENOTCONN);
	assert_int_equal(session_ping(user->session, "x", 1), -ENOTCONN);
	assert_int_equal(session_output(user->session)->size, waiting);
}

static void test_what_can_be_sent_in_which_state(void **state)
{
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	assert_cannot_send(&user);
	assert_int_equal(session_close(user.session, CLOSE_NORMAL, NULL, 0), 0);
	assert_int_equal(session_state(user.session), SESSION_UPGRADING);
	user_open(&user, "");
	assert_int_equal(session_send(user.session, MESSAGE_TEXT, "a", 1), 0);
	assert_int_equal(session_send(user.session, MESSAGE_BINARY, NULL, 0), 0);
	assert_int_equal(session_ping(user.session, NULL, 0), 0);
	assert_int_equal(session_ping(user.session, "p", 1), 0);
	assert_int_equal(session_close(user.session, CLOSE_NORMAL, "bye", 3), 0);
	assert_int_equal(session_state(user.session), SESSION_CLOSING);
	assert_cannot_send(&user);
	assert_int_equal(session_close(user.session, CLOSE_INTERNAL, NULL, 0), 0);
	receive_frame(&user, 0x88, "\x03\xe8", 2);
	assert_int_equal(session_state(user.session), SESSION_OVER);
	assert_cannot_send(&user);
	assert_said(&user, "text a\nbinary\nping\nping p\nclose 1000 bye\n");
	user_end(&user);
	user_begin(&user, &plain);
	receive(&user, "x", 1);
	assert_int_equal(session_state(user.session), SESSION_REFUSED);
	assert_cannot_send(&user);
	user_end(&user);
}

static int no(struct user *user)
{
	(void)user;
	return -EIO;
}

/* What is returned by a handler comes back, whichever it is. */
static void test_errors_of_handlers(void **state)
{
	(void)state;
	for (int which = 0; which < 4; which++) {
		struct user user;

		user_begin(&user, &plain);
		if (which > 0)
			user_open(&user, "");
		user.at_opened = user.at_message = user.at_flush = user.at_pong = NULL;
		*(which == 0   ? &user.at_opened
		  : which == 1 ? &user.at_message
		  : which == 2 ? &user.at_flush
			       : &user.at_pong) = no;
		if (which == 0) {
			CLEANUP(buffer_done) struct buffer answer;

			buffer_init(&answer, KIB(4));
			write_answer(&user, "", &answer);
			assert_int_equal(receive(&user, answer.data, answer.size), -EIO);
		} else {
			assert_int_equal(receive(&user, HELLO "\x8a\x00", 9), -EIO);
		}
		user_end(&user);
	}
}

static int close_now(struct user *user)
{
	assert_int_equal(session_close(user->session, CLOSE_GOING_AWAY, "enough", 6), 0);
	assert_cannot_send(user);
	return 0;
}

/* From inside of each handler, with more in the same bytes: nothing of that is handed out. */
static void test_closing_from_handlers(void **state)
{
	static const char *const heard[] = {"opened\n", "opened\ntext Hello\n",
					    "opened\ntext Hello\ntext Hello\npong\n",
					    "opened\ntext Hello\ntext Hello\npong\n"};

	(void)state;
	for (int which = 0; which < 4; which++) {
		CLEANUP(buffer_done) struct buffer stream;
		struct user user;

		user_begin(&user, &plain);
		user.at_opened = which == 0 ? close_now : NULL;
		user.at_message = which == 1 ? close_now : NULL;
		user.at_pong = which == 2 ? close_now : NULL;
		buffer_init(&stream, KIB(4));
		write_answer(&user, "", &stream);
		assert_int_equal(session_sent(user.session, session_output(user.session)->size), 0);
		assert_int_equal(buffer_append(&stream, HELLO HELLO "\x8a\x00", 16), 0);
		user.at_flush = which == 3 ? close_now : NULL;
		assert_int_equal(receive(&user, stream.data, stream.size), 0);
		if (which < 2)
			user.heard.size -= strlen("pong\n"); /* those are told up to the end */
		assert_heard(&user, heard[which]);
		receive(&user, HELLO "\x89\x00\x88\x00", 11);
		assert_heard(&user, "");
		assert_int_equal(session_state(user.session), SESSION_OVER);
		assert_false(session_end(user.session)->cut);
		assert_said(&user, "close 1001 enough\n");
		user_end(&user);
	}
}

static int echo(struct user *user)
{
	return session_send(user->session, MESSAGE_TEXT, "again", 5);
}

static void test_sending_from_handlers(void **state)
{
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	user.at_opened = user.at_message = user.at_pong = echo;
	user_open(&user, "");
	receive(&user, HELLO "\x89\x01p\x8a\x00" HELLO, 19);
	assert_said(&user, "text again\ntext again\npong p\ntext again\ntext again\n");
	user_end(&user);
}

/* More than a batch, with control frames between, in one call. */
static void test_many_messages_at_once(void **state)
{
	CLEANUP(buffer_done) struct buffer stream, expected;
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	user_open(&user, "");
	buffer_init(&stream, KIB(64));
	buffer_init(&expected, KIB(64));
	note(&expected, "opened", NULL, 0);
	for (int i = 0; i < 3 * MESSAGE_BATCH_MAX; i++) {
		char text[16];
		int size = snprintf(text, sizeof(text), "%d", i);

		put_frame(&stream, 0x81, text, (size_t)size);
		note(&expected, "text", text, (size_t)size);
		if (i % 50 == 49) {
			put_frame(&stream, 0x8a, "", 0);
			note(&expected, "pong", NULL, 0);
		}
	}
	assert_int_equal(receive(&user, stream.data, stream.size), 0);
	assert_int_equal(buffer_append(&expected, "", 1), 0);
	assert_heard(&user, expected.data);
	user_end(&user);
}

/* One batch is taken, then nothing until there is room, and then all of it in its order. */
static void test_no_more_is_wanted(void **state)
{
	CLEANUP(buffer_done) struct buffer stream, expected;
	struct user user;
	size_t batches;

	(void)state;
	user_begin(&user, &plain);
	user_open(&user, "");
	buffer_init(&stream, LOG_MAX);
	buffer_init(&expected, LOG_MAX);
	note(&expected, "opened", NULL, 0);
	for (size_t i = 0; i < 1000; i++) {
		char text[2000];
		size_t size =
			(size_t)snprintf(text, sizeof(text), "%0*zu", (int)(i * 7 % 1500) + 1, i);

		put_frame(&stream, 0x81, text, size);
		note(&expected, "text", text, size);
		if (i % 10 == 0)
			put_frame(&stream, 0x89, "p", 1);
	}
	assert_int_equal(buffer_append(&expected, "", 1), 0);
	user.stalls = user.bounded = true;
	assert_int_equal(receive(&user, stream.data, stream.size), SESSION_STALLED);
	for (batches = 1; user.fill > 0; batches++) {
		assert_int_equal(user.batches, batches);
		assert_int_equal(receive(&user, NULL, 0), SESSION_STALLED);
		assert_int_equal(user.batches, batches);
		user.room = batches % 2 ? SESSION_ROOM_MIN : SIZE_MAX;
		receive(&user, NULL, 0);
		user.room = 0;
	}
	assert_true(batches > 100);
	assert_heard(&user, expected.data);
	user_end(&user);
}

/* Our Close ends it: what is still there is dropped, and nobody has to wait for room. */
static void test_closed_while_no_more_is_wanted(void **state)
{
	CLEANUP(buffer_done) struct buffer stream;
	struct user user;

	(void)state;
	user_begin(&user, &plain);
	user_open(&user, "");
	buffer_init(&stream, LOG_MAX);
	for (size_t i = 0; i < 200; i++)
		put_frame(&stream, 0x81, "x", 1);
	put_frame(&stream, 0x88, "\x03\xe8", 2);
	user.stalls = user.bounded = true;
	assert_int_equal(receive(&user, stream.data, stream.size), SESSION_STALLED);
	assert_int_equal(session_close(user.session, CLOSE_NORMAL, NULL, 0), 0);
	assert_int_equal(receive(&user, NULL, 0), 0);
	assert_int_equal(session_state(user.session), SESSION_OVER);
	assert_int_equal(user.batches, 1);
	assert_int_equal(user.fill, 0);
	user_end(&user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_answer_cut_everywhere),
		cmocka_unit_test(test_the_answer_byte_by_byte),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_what_was_not_offered_is_refused),
		cmocka_unit_test(test_what_was_agreed_on),
		cmocka_unit_test(test_a_stream_that_ends_too_early),
		cmocka_unit_test(test_messages_and_pings),
		cmocka_unit_test(test_the_last_of_many_pings),
		cmocka_unit_test(test_no_pong_behind_our_close),
		cmocka_unit_test(test_what_can_be_sent_in_which_state),
		cmocka_unit_test(test_errors_of_handlers),
		cmocka_unit_test(test_closing_from_handlers),
		cmocka_unit_test(test_sending_from_handlers),
		cmocka_unit_test(test_many_messages_at_once),
		cmocka_unit_test(test_no_more_is_wanted),
		cmocka_unit_test(test_closed_while_no_more_is_wanted),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
