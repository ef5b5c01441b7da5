/* The way through a script: which messages count for which expectation, values, the ends that it
 * can come to, and what a hostile message costs.
 * --wrap: free. */
#include "test_script_support.h"
#include "test_wipe_support.h"

static void test_log_in_and_subscribe(void **state)
{
	SCRIPT *script =
		script_of("send {\"op\":\"login\",\"token\":\"${env:WEIR_TEST_TOKEN|json}\"}\n"
			  "expect 10s \"\\\"ok\\\":true\"\n"
			  "expect 5s /\"session\":\"(?<sid>[^\"]+)\"/\n"
			  "wait 500ms\n"
			  "send {\"op\":\"subscribe\",\"session\":\"${sid}\"}\n");
	RUN *run = run_of(script);

	(void)state;
	assert_sends(run, "{\"op\":\"login\",\"token\":\"env \\\"s3cret\\\"\"}");
	assert_is(run, SCRIPT_EXPECT, 10 * NS_PER_S);
	assert_int_equal(see(run, "{\"ok\":false}"), 0);
	assert_int_equal(see(run, ""), 0);
	assert_is(run, SCRIPT_EXPECT, 10 * NS_PER_S);
	assert_int_equal(see(run, "{\"ok\":true}"), 1);
	assert_is(run, SCRIPT_EXPECT, 5 * NS_PER_S);
	assert_int_equal(see(run, "{\"session\":\"\"}"), 0);
	assert_int_equal(see(run, "{\"session\":\"a\\/b\"}"), 1);
	assert_is(run, SCRIPT_WAIT, NS_PER_S / 2);
	assert_int_equal(script_run_elapsed(run), 0);
	assert_sends(run, "{\"op\":\"subscribe\",\"session\":\"a\\/b\"}");
	assert_is(run, SCRIPT_DONE, 0);
}

/* A run leaves nothing in the script: each connection begins anew. */
static void test_runs_are_independent(void **state)
{
	SCRIPT *script = script_of("expect 1s /(?<x>.+)/\nsend ${x}\n");
	RUN *first = run_of(script);
	RUN *second = run_of(script);

	(void)state;
	assert_int_equal(see(first, "one"), 1);
	assert_int_equal(see(second, "two"), 1);
	assert_sends(first, "one");
	assert_sends(second, "two");
}

static void test_values(void **state)
{
	SCRIPT *script = script_of("expect 1s /a=(?<a>.*?);(?:b=(?<b>.*?);)?/\n"
				   "send ${a}|${a|json}|${b}\n"
				   "expect 1s /(?s)again (?<a>.*)/\n"
				   "send ${a|json}${a}\n"
				   "expect 1s \"<${a|json}>\"\n");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see(run, "a=\"x\\;"), 1);
	assert_sends(run, "\"x\\|\\\"x\\\\|");
	assert_int_equal(see(run, "again \x01\n\t\x7f\xc3\xa9"), 1);
	assert_sends(run, "\\u0001\\u000a\\u0009\x7f\xc3\xa9\x01\n\t\x7f\xc3\xa9");
	assert_int_equal(see(run, "<\x01\n\t\x7f\xc3\xa9>"), 0);
	assert_int_equal(see(run, "<\\u0001\\u000a\\u0009\x7f\xc3\xa9>"), 1);
	assert_is(run, SCRIPT_DONE, 0);
}

/* One name in two branches: the one that took part counts. */
static void test_a_name_that_is_there_twice(void **state)
{
	SCRIPT *script = script_of("expect 1s /(?J)(?:a(?<x>.)|b(?<x>.))/\nsend ${x}\n"
				   "expect 1s /(?J)(?:a(?<x>.)|b(?<x>.))/\nsend ${x}\n");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see(run, "a1"), 1);
	assert_sends(run, "1");
	assert_int_equal(see(run, "b2"), 1);
	assert_sends(run, "2");
}

static void test_messages_before_an_expectation(void **state)
{
	SCRIPT *script = script_of("expect 1s \"welcome\"\n"
				   "send a\n"
				   "expect 1s \"first\"\n"
				   "expect 1s \"second\"\n");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see(run, "welcome"), 1); /* even before anybody asked */
	assert_int_equal(see(run, "first"), 0);	  /* no answer to what was not sent yet */
	assert_sends(run, "a");
	assert_is(run, SCRIPT_EXPECT, NS_PER_S);
	assert_int_equal(see(run, "second"), 0); /* out of order */
	assert_int_equal(see(run, "first second"), 1);
	assert_is(run, SCRIPT_EXPECT, NS_PER_S); /* one message meets one expectation */
	assert_int_equal(see(run, "second"), 1);
	assert_is(run, SCRIPT_DONE, 0);
}

static void test_messages_of_one_batch(void **state)
{
	SCRIPT *script = script_of("send a\n"
				   "expect 1s \"first\"\n"
				   "expect 2s \"second\"\n"
				   "expect 3s \"third\"\n");
	RUN *run = run_of(script);

	(void)state;
	assert_sends(run, "a");
	assert_int_equal(see(run, "first"), 1);
	assert_int_equal(see(run, "second"), 0); /* the first answer stands: ask */
	assert_is(run, SCRIPT_EXPECT, 3 * NS_PER_S);
	assert_int_equal(see(run, "third"), 1);
	assert_is(run, SCRIPT_DONE, 0);
}

static void test_messages_during_a_wait(void **state)
{
	SCRIPT *script = script_of("send a\n"
				   "wait 1s\n"
				   "expect 1s \"first\"\n"
				   "wait 2s\n"
				   "expect 3s \"second\"\n"
				   "send b\n"
				   "expect 4s \"third\"\n");
	RUN *run = run_of(script);

	(void)state;
	assert_sends(run, "a");
	assert_is(run, SCRIPT_WAIT, NS_PER_S);
	assert_int_equal(see(run, "first"), 0);
	assert_is(run, SCRIPT_WAIT, NS_PER_S); /* goes on all the same */
	assert_int_equal(script_run_elapsed(run), 0);
	assert_is(run, SCRIPT_WAIT, 2 * NS_PER_S);
	assert_int_equal(see(run, "second"), 0);
	assert_int_equal(see(run, "third"), 0); /* came before b was sent */
	assert_int_equal(script_run_elapsed(run), 0);
	assert_sends(run, "b");
	assert_is(run, SCRIPT_EXPECT, 4 * NS_PER_S);
}

static void live_with_a_login(void)
{
	SCRIPT *script = script_of("expect 1s /id=(?<id>.*)/\n"
				   "send <${env:WEIR_TEST_TOKEN}${file:token|json}${id}>\n"
				   "expect 1s \"${env:WEIR_TEST_TOKEN}\"\n");
	struct script_action action;
	RUN *run = run_of(script);
	char message[] = "id=s3cret";

	assert_int_equal(script_run_see(run, message, strlen(message)), 1);
	assert_int_equal(script_run_next(run, &action), 0);
	assert_int_equal(action.kind, SCRIPT_SEND);
	assert_non_null(memmem(action.data, action.size, "s3cret", 6));
	assert_int_equal(script_run_see(run, action.data, action.size), 1);
}

static void test_secrets_are_wiped(void **state)
{
	(void)state;
	assert_false(leaves_behind("s3cret", live_with_a_login));
}

static void test_a_time_out(void **state)
{
	SCRIPT *script = script_of("\nsend ${env:WEIR_TEST_TOKEN}\n"
				   "wait 1m\n"
				   "expect 5s \"${env:WEIR_TEST_TOKEN}\"\n"
				   "expect 250ms /\x7f(?<x>.)$/\n");
	struct script_action action = {.size = 77};
	RUN *run = run_of(script);

	(void)state;
	assert_described(run, "step 1 (line 2): is to be sent");
	assert_sends(run, "env \"s3cret\"");
	assert_described(run, "step 2 (line 3): waits 1m00s");
	assert_int_equal(script_run_elapsed(run), 0);
	assert_described(run, "step 3 (line 4): waits for a message that matches "
			      "\"${env:WEIR_TEST_TOKEN}\"");
	assert_int_equal(see(run, "my env \"s3cret\"!"), 1);
	assert_is(run, SCRIPT_EXPECT, NS_PER_S / 4);
	assert_int_equal(see(run, "s3cret"), 0);
	assert_int_equal(script_run_elapsed(run), -ETIMEDOUT);
	assert_described(run, "step 4 (line 5): no message matched /?(?<x>.)$/ within 250 ms (1 "
			      "came)");
	assert_int_equal(see(run, "\x7fy"), 0); /* too late */
	assert_int_equal(script_run_next(run, &action), -ETIMEDOUT);
	assert_int_equal(script_run_elapsed(run), -ETIMEDOUT);
	assert_int_equal(action.size, 77);
}

static void test_a_value_that_makes_no_text(void **state)
{
	SCRIPT *script = script_of("expect 1s /(?<x>.)/\nsend \"\\xc3${x}\"\n");
	struct script_action action;
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see(run, "a"), 1);
	assert_int_equal(script_run_next(run, &action), -EILSEQ);
	assert_described(run, "step 2 (line 2): with the captured values in it, the message is "
			      "not UTF-8; send-binary could send it");
}

static void test_values_that_are_too_long_together(void **state)
{
	CLEANUP_FREE char *references = repeat("${x}", 17);
	CLEANUP_FREE char *large = repeat("y", SCRIPT_EXAMINED_MAX);
	CLEANUP_FREE char *text = NULL;
	struct script_action action;
	SCRIPT *script = NULL;
	RUN *run = NULL;

	(void)state;
	assert_true(asprintf(&text, "expect 1s /(?<x>.*)/\nsend %s", references) > 0);
	script = script_of(text);
	run = run_of(script);
	assert_int_equal(see(run, large), 1);
	assert_int_equal(script_run_next(run, &action), -EMSGSIZE);
	assert_described(run, "step 2 (line 2): with the captured values in it, the message is "
			      "larger than 1 MiB");
}

/* Only the beginning of a message is looked at, however it comes. */
static void test_the_bound_of_what_is_examined(void **state)
{
	CLEANUP_FREE char *message = repeat("x", SCRIPT_EXAMINED_MAX + 10);
	SCRIPT *script = script_of("expect 1s \"end\"\nexpect 1s /end/\nexpect 1s /(?<a>.*)/\n");
	RUN *run = run_of(script);

	(void)state;
	memcpy(message + SCRIPT_EXAMINED_MAX - 2, "end", 3);
	assert_int_equal(see(run, message), 0);
	memcpy(message + SCRIPT_EXAMINED_MAX - 3, "endx", 4);
	assert_int_equal(see(run, message), 1);
	assert_is(run, SCRIPT_EXPECT, NS_PER_S);
	assert_int_equal(see(run, message), 1);
	assert_is(run, SCRIPT_EXPECT, NS_PER_S);
	assert_int_equal(see(run, message), 1);
}

static int see_piece(struct script_run *run, const char *text, bool first, bool last)
{
	CLEANUP_FREE uint8_t *copy = exact_copy(text, strlen(text));
	const struct message_piece piece = {
		.data = copy, .size = strlen(text), .first = first, .last = last};

	return script_run_see_piece(run, &piece);
}

static void test_messages_in_pieces(void **state)
{
	CLEANUP_FREE char *large = repeat("x", SCRIPT_EXAMINED_MAX - 3);
	SCRIPT *script =
		script_of("send a\nexpect 1s \"end\"\nexpect 1s \"end\"\nexpect 1s \"end\"\n");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see_piece(run, "e", true, false), 0);
	assert_sends(run, "a"); /* in the middle of a message: it ends after that */
	assert_int_equal(see_piece(run, "", false, false), 0);
	assert_int_equal(see_piece(run, "n", false, false), 0);
	assert_int_equal(see_piece(run, "d", false, true), 1);
	assert_is(run, SCRIPT_EXPECT, NS_PER_S);
	assert_int_equal(see_piece(run, "en", true, true), 0);
	assert_int_equal(see_piece(run, "d", true, true), 0); /* another message */
	assert_int_equal(see_piece(run, "xend", true, true), 1);
	assert_is(run, SCRIPT_EXPECT, NS_PER_S);
	assert_int_equal(see_piece(run, large, true, false), 0);
	assert_int_equal(see_piece(run, "xend", false, false), 0);
	assert_int_equal(see_piece(run, "end", false, true), 0); /* cut before */
	assert_int_equal(see_piece(run, large, true, false), 0);
	assert_int_equal(see_piece(run, "end", false, true), 1);
	assert_is(run, SCRIPT_DONE, 0);
	assert_int_equal(see_piece(run, "end", true, true), 0);
}

/* Each of these takes from seconds to for ever without a bound on all places together. */
static void test_expressions_that_take_too_long(void **state)
{
	static const char *const expressions[] = {
		"\\w+(?=[12])[12]", "(?:a|aa)+[12]",	 "[a-z]*[12]",
		".*.*.*.*[12]",	    "(a?){60}a{60}[12]", "(?R)?[12]",
	};
	CLEANUP_FREE char *message = repeat("a", SCRIPT_EXAMINED_MAX);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expressions); i++) {
		CLEANUP_FREE char *text = NULL;
		char described[SCRIPT_TEXT_SIZE];
		SCRIPT *script = NULL;
		RUN *run = NULL;

		assert_true(asprintf(&text, "expect 1s /%s/", expressions[i]) > 0);
		script = script_of(text);
		run = run_of(script);
		assert_int_equal(see(run, message), 0);
		assert_int_equal(script_run_elapsed(run), -ETIMEDOUT);
		script_run_describe(run, described);
		if (!strstr(described, "(1 came; on 1 of them the expression took too long)"))
			fail_msg("%s", described);
	}
}

/* The bound is for each message: one that is hostile spoils nothing for the next. */
static void test_a_message_after_one_that_took_too_long(void **state)
{
	CLEANUP_FREE char *message = repeat("a", SCRIPT_EXAMINED_MAX);
	SCRIPT *script = script_of("expect 1s /\\w+(?=[12])[12]/");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see(run, message), 0);
	assert_int_equal(see(run, "a1"), 1);
}

/* A reasonable expression is not cut off by the bound, even at the end of the largest message. */
static void test_expressions_that_take_long_enough(void **state)
{
	CLEANUP_FREE char *message = repeat("{\"a\":\"b\",\"c\":[1,2]},", SCRIPT_EXAMINED_MAX / 20);
	SCRIPT *script = script_of("expect 1s /\"c\".*\"z\":(?<z>\\d+)/\n"
				   "expect 1s /\"session\":\"(?<sid>[^\"]+)\"/\nsend ${sid}\n");
	RUN *run = run_of(script);
	size_t size = strlen(message);

	(void)state;
	memcpy(message + size - 20, "\"session\":\"x\",\"z\":12", 20);
	assert_int_equal(see(run, message), 1);
	assert_int_equal(see(run, message), 0);
	assert_sends(run, "x");
}

static void test_expressions_and_utf8(void **state)
{
	SCRIPT *script = script_of("expect 1s /^<(?<x>.)>$/\nsend ${x}\n"
				   "expect 1s /(?i)\xc3\x84/\nexpect 1s /ok/\nexpect 1s //\n");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(see(run, "<\xc3>"), 0);
	assert_int_equal(see(run, "<\xc3\xa9>"), 1);
	assert_sends(run, "\xc3\xa9");
	assert_int_equal(see(run, "\xc3\xa4"), 1); /* a small one */
	assert_int_equal(see(run, "\xff\xfeok\xff"), 0);
	assert_int_equal(script_run_see(run, NULL, 0), 0);
	assert_is(run, SCRIPT_DONE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_in_and_subscribe),
		cmocka_unit_test(test_runs_are_independent),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_a_name_that_is_there_twice),
		cmocka_unit_test(test_messages_before_an_expectation),
		cmocka_unit_test(test_messages_of_one_batch),
		cmocka_unit_test(test_messages_during_a_wait),
		cmocka_unit_test(test_secrets_are_wiped),
		cmocka_unit_test(test_a_time_out),
		cmocka_unit_test(test_a_value_that_makes_no_text),
		cmocka_unit_test(test_values_that_are_too_long_together),
		cmocka_unit_test(test_the_bound_of_what_is_examined),
		cmocka_unit_test(test_messages_in_pieces),
		cmocka_unit_test(test_expressions_that_take_too_long),
		cmocka_unit_test(test_a_message_after_one_that_took_too_long),
		cmocka_unit_test(test_expressions_that_take_long_enough),
		cmocka_unit_test(test_expressions_and_utf8),
	};

	return cmocka_run_group_tests_name("script_run", tests, setup_group, teardown_group);
}
