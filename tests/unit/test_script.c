/* Scripts: what is one, what is said when something is none, and how one runs.
 * --wrap: none. */
#include "test_support.h"

#include "base/clock.h"
#include "websocket/script.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SCRIPT CLEANUP(script_free) struct script
#define RUN CLEANUP(script_run_free) struct script_run

static char directory[] = "/tmp/weir-test-script-XXXXXX";

static void write_file(const char *name, const char *data, size_t size)
{
	char path[sizeof(directory) + 32];
	CLEANUP_FILE FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
}

static int setup_group(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	write_file("token", "file \"s3cret\"\n", 14);
	write_file("two-lines", "a\nb\n", 4);
	write_file("message.json", "{\"$a\":\"${b}\"}\n", 14);
	write_file("binary", "\xff\0", 2);
	return setenv("WEIR_TEST_TOKEN", "env \"s3cret\"", 1);
}

static int teardown_group(void **state)
{
	static const char *const names[] = {"token",  "two-lines", "message.json",
					    "binary", "large",	   "script"};
	char path[sizeof(directory) + 32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	unsetenv("WEIR_TEST_TOKEN");
	return rmdir(directory);
}

static int parse(const char *text, size_t size, struct script **ret_script,
		 struct script_error *ret_error)
{
	CLEANUP_FREE char *copy = exact_copy(text, size);
	SCRIPT *script = NULL;
	int r;

	assert_int_equal(script_new(&script), 0);
	r = script_add_text(script, copy, size, directory, ret_error);
	if (r == 0)
		*ret_script = TAKE_PTR(script);
	return r;
}

static struct script *script_of(const char *text)
{
	struct script *script = NULL;
	struct script_error error;

	if (parse(text, strlen(text), &script, &error) < 0)
		fail_msg("line %zu: %s", error.line, error.text);
	return script;
}

static struct script_run *run_of(const struct script *script)
{
	struct script_run *run = NULL;

	assert_int_equal(script_run_new(script, &run), 0);
	return run;
}

static void assert_sends_bytes(struct script_run *run, const void *data, size_t size,
			       enum message_kind kind)
{
	struct script_action action = {0};

	assert_int_equal(script_run_next(run, &action), 0);
	assert_int_equal(action.kind, SCRIPT_SEND);
	assert_int_equal(action.message, kind);
	assert_int_equal(action.size, size);
	assert_memory_equal(action.data, data, size);
}

static void assert_sends(struct script_run *run, const char *text)
{
	assert_sends_bytes(run, text, strlen(text), MESSAGE_TEXT);
}

static void assert_is(struct script_run *run, enum script_action_kind kind, uint64_t time_ns)
{
	struct script_action action = {0};

	for (int i = 0; i < 2; i++) { /* asking changes nothing */
		assert_int_equal(script_run_next(run, &action), 0);
		assert_int_equal(action.kind, kind);
		assert_int_equal(action.time_ns, time_ns);
	}
}

static int see(struct script_run *run, const char *text)
{
	CLEANUP_FREE char *copy = exact_copy(text, strlen(text));

	return script_run_see(run, copy, strlen(text));
}

/* Every way to say a message, and what is sent then. */
static const struct {
	const char *line;
	const char *message;
} sends[] = {
	{"send hello", "hello"},
	{"  send \t hello  world \t\r", "hello  world"},
	{"send {\"a\":\"b\\n#\"} # no comment", "{\"a\":\"b\\n#\"} # no comment"},
	{"send \"\"", ""},
	{"send \" a \"", " a "},
	{"send \"\\\"\\\\\\n\\r\\t\\x41\\x7E\\xc3\\xa9\"", "\"\\\n\r\tA~\xc3\xa9"},
	{"send \"@file\"", "@file"},
	{"send caf\xc3\xa9", "caf\xc3\xa9"},
	{"send $5 $$ $$$ $", "$5 $ $$ $"},
	{"send {\"$ref\":1}", "{\"$ref\":1}"},
	{"send $${name}", "${name}"},
	{"send $$${env:WEIR_TEST_TOKEN}", "$env \"s3cret\""},
	{"send \"\\x24{x}\"", "${x}"}, /* an escape begins nothing */
	{"send <${env:WEIR_TEST_TOKEN}>", "<env \"s3cret\">"},
	{"send \"${env:WEIR_TEST_TOKEN|json}\"", "env \\\"s3cret\\\""},
	{"send <${file:token}>", "<file \"s3cret\">"},
	{"send ${file:token|json}${file:token}", "file \\\"s3cret\\\"file \"s3cret\""},
	{"send @message.json", "{\"$a\":\"${b}\"}\n"},
	{"send @/dev/null", ""},
};

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sends); i++) {
		SCRIPT *script = script_of(sends[i].line);
		RUN *run = run_of(script);

		assert_sends(run, sends[i].message);
		assert_is(run, SCRIPT_DONE, 0);
	}
}

static void test_binary_messages(void **state)
{
	SCRIPT *script = script_of("send-binary @binary\n"
				   "send-binary \"\\xff\\x00\"\n"
				   "send-binary text\n");
	RUN *run = run_of(script);

	(void)state;
	assert_sends_bytes(run, "\xff\0", 2, MESSAGE_BINARY);
	assert_sends_bytes(run, "\xff\0", 2, MESSAGE_BINARY);
	assert_sends_bytes(run, "text", 4, MESSAGE_BINARY);
	assert_is(run, SCRIPT_DONE, 0);
}

static void test_what_means_nothing(void **state)
{
	SCRIPT *script = script_of("\n# a comment\n\t # another\r\n\n   \n");
	SCRIPT *empty = script_of("");
	RUN *run = run_of(script);

	(void)state;
	assert_int_equal(script_step_count(script), 0);
	assert_int_equal(script_step_count(empty), 0);
	assert_is(run, SCRIPT_DONE, 0);
	assert_int_equal(see(run, "x"), 0);
	assert_int_equal(script_run_elapsed(run), 0);
}

/* What is wrong, in which line, and a part of what is said about it. */
static const struct {
	const char *text;
	size_t line;
	const char *words;
} mistakes[] = {
	{"sned x", 1, "there is no step \"sned\""},
	{"\n# x\nsend-binary x\nsenda x", 4, "there is no step \"senda\""},
	{"SEND x", 1, "there is no step"},
	{"{\"a\":1}", 1, "there is no step"},
	{"\x1b[2J", 1, "there is no step \"?[2J\""}, /* fit for a terminal */
	{"send", 1, "nothing to send"},
	{"send  \t", 1, "nothing to send"},
	{"send \"a", 1, "\" is missing"},
	{"send \"a\\\"", 1, "\" is missing"},
	{"send \"a\\", 1, "\" is missing"},
	{"send \"", 1, "\" is missing"},
	{"send \"a\"b\"", 1, "follows the second"},
	{"send \"\\q\"", 1, "a backslash is followed by"},
	{"send \"\\x4\"", 1, "two hexadecimal digits"},
	{"send \"\\x4g\"", 1, "two hexadecimal digits"},
	{"send \"\\xff\"", 1, "not UTF-8"},
	{"send @binary", 1, "not UTF-8"},
	{"send @missing", 1, "cannot read the file missing: No such file"},
	{"send @.", 1, "cannot read the file .: Is a directory"},
	{"send @", 1, "cannot read the file"},
	{"send @/dev/zero", 1, "larger than 1 MiB"},
	{"send caf\xe9", 1, "no text in UTF-8"},
	{"send ${", 1, "has no }"},
	{"send ${x", 1, "has no }"},
	{"send ${}", 1, "${}: no step before"},
	{"send ${x}", 1, "${x}: no step before"},
	{"send ${x|json}", 1, "${x}: no step before"},
	{"send ${x|html}", 1, "${x|html}: no step before"},
	{"send ${x}\nexpect 1s /(?<x>.)/", 1, "${x}: no step before"},
	{"expect 1s \"${x}\"", 1, "${x}: no step before"},
	{"send ${env:WEIR_TEST_MISSING}", 1, "${env:WEIR_TEST_MISSING} is not set"},
	{"send ${env:}", 1, "${env:} is not set"},
	{"send ${file:missing}", 1, "${file:missing} cannot be read: No such file"},
	{"send ${file:two-lines}", 1, "${file:two-lines} holds more than one line"},
	{"expect", 1, "a time has to stand here"},
	{"expect \"x\"", 1, "and not \"\"x\"\""},
	{"expect 10x \"x\"", 1, "and not \"10x\""},
	{"expect 0s \"x\"", 1, "a time of 0"},
	{"expect 25h \"x\"", 1, "more than a day"},
	{"expect 1s", 1, "what is expected has to stand here"},
	{"expect 1s x", 1, "what is expected has to stand here"},
	{"expect 1s \"x\" y", 1, "follows the second"},
	{"expect 1s /", 1, "a / is missing"},
	{"expect 1s /x", 1, "a / is missing"},
	{"expect 1s /x/i", 1, "a / is missing"},
	{"expect 1s /a(/", 1, "the regular expression is wrong: missing closing parenthesis"},
	{"expect 1s /(?<1>x)/", 1, "the regular expression is wrong"},
	{"wait", 1, "a time has to stand here"},
	{"wait 1s x", 1, "follows the time"},
	{"wait 0", 1, "a time of 0"},
};

static void assert_mistake(const char *text, size_t size, size_t line, const char *words)
{
	struct script_error error = {.line = 99};
	struct script *script = NULL;

	assert_int_equal(parse(text, size, &script, &error), -EINVAL);
	assert_null(script);
	if (error.line != line || !strstr(error.text, words))
		fail_msg("\"%.60s\": line %zu: %s", text, error.line, error.text);
	assert_null(strstr(error.text, "s3cret"));
}

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++)
		assert_mistake(mistakes[i].text, strlen(mistakes[i].text), mistakes[i].line,
			       mistakes[i].words);
	assert_mistake("send a\0b", 8, 1, "no text in UTF-8");
}

/* A secret is read, and the line is wrong for another reason: it must not be in what is said. */
static void test_secrets_are_not_told(void **state)
{
	(void)state;
	assert_mistake("send ${env:WEIR_TEST_TOKEN}${x}", 31, 1, "${x}");
	assert_mistake("send \"${env:WEIR_TEST_TOKEN}\\xff\"", 33, 1, "not UTF-8");
}

/* A text of `count` lines. */
static char *repeat(const char *line, size_t count)
{
	size_t size = strlen(line);
	char *text = malloc(count * size + 1);

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * size, line, size);
	text[count * size] = '\0';
	return text;
}

static void test_the_bound_of_steps(void **state)
{
	CLEANUP_FREE char *most = repeat("wait 1s\n", SCRIPT_STEPS_MAX);
	CLEANUP_FREE char *more = repeat("wait 1s\n", SCRIPT_STEPS_MAX + 1);
	SCRIPT *script = script_of(most);

	(void)state;
	assert_int_equal(script_step_count(script), SCRIPT_STEPS_MAX);
	assert_mistake(more, strlen(more), SCRIPT_STEPS_MAX + 1, "1000 steps");
}

static void test_the_bound_of_a_script(void **state)
{
	CLEANUP_FREE char *most = repeat("#", SCRIPT_SIZE_MAX);
	CLEANUP_FREE char *more = repeat("#", SCRIPT_SIZE_MAX + 1);
	SCRIPT *script = script_of(most);

	(void)state;
	assert_mistake(more, strlen(more), 0, "larger than 1 MiB");
}

static void test_the_bound_of_all_texts(void **state)
{
	CLEANUP_FREE char *large = repeat("x", SCRIPT_MESSAGE_MAX);
	CLEANUP_FREE char *most = repeat("send @large\n", 16);
	CLEANUP_FREE char *more = repeat("send @large\n", 17);

	(void)state;
	write_file("large", large, SCRIPT_MESSAGE_MAX);
	script_free(script_of(most));
	assert_mistake(more, strlen(more), 17, "16 MiB");
}

static void test_the_bound_of_names(void **state)
{
	CLEANUP_FREE char *text = calloc(1, 70 * 32);
	char *at = text;

	(void)state;
	for (int i = 0; i < 65; i++)
		at += sprintf(at, "expect 1s /(?<n%d>.)/\n", i);
	assert_mistake(text, strlen(text), 65, "64 values");
	text[strlen(text) - strlen("expect 1s /(?<n64>.)/\n")] = '\0';
	script_free(script_of(text));
}

static void test_the_bound_of_values_in_a_text(void **state)
{
	CLEANUP_FREE char *values = repeat("${x}", 257);
	CLEANUP_FREE char *text = NULL;

	(void)state;
	assert_true(asprintf(&text, "expect 1s /(?<x>.)/\nsend %s", values) > 0);
	assert_mistake(text, strlen(text), 2, "256");
	text[strlen(text) - 4] = '\0';
	script_free(script_of(text));
}

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

static void assert_described(const struct script_run *run, const char *expected)
{
	char text[SCRIPT_TEXT_SIZE];

	script_run_describe(run, text);
	assert_string_equal(text, expected);
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

static void test_sends_from_arguments(void **state)
{
	SCRIPT *script = script_of("expect 1s /(?<x>.+)/\n");
	struct script_error error;
	RUN *run = NULL;

	(void)state;
	assert_int_equal(script_add_send(script, " \"a\\n ${x} ", &error), 0);
	assert_int_equal(script_add_send(script, "${env:WEIR_TEST_TOKEN}", &error), 0);
	assert_int_equal(script_add_send(script, "", &error), 0);
	assert_int_equal(script_add_send(script, "@/dev/null", &error), 0);
	run = run_of(script);
	assert_int_equal(see(run, "1"), 1);
	assert_described(run, "step 1 (line 1): waits for a message that matches /(?<x>.+)/");
	assert_sends(run, " \"a\\n 1 ");
	assert_described(run, "step 3 (--send): is to be sent");
	assert_sends(run, "env \"s3cret\"");
	assert_sends(run, "");
	assert_sends(run, "");
	assert_described(run, "all steps are done");
	assert_int_equal(script_add_send(script, "${y}", &error), -EINVAL);
	assert_int_equal(error.line, 0);
	assert_string_equal(error.text, "${y}: no step before this one captures such a value");
}

static void test_a_script_in_a_file(void **state)
{
	char path[sizeof(directory) + 32];
	struct script_error error;
	SCRIPT *script = NULL;
	RUN *run = NULL;

	(void)state;
	write_file("script", "send @message.json\r\nsend ${file:token}", 38);
	snprintf(path, sizeof(path), "%s/script", directory);
	assert_int_equal(script_new(&script), 0);
	assert_int_equal(script_add_file(script, path, &error), 0);
	run = run_of(script);
	assert_sends(run, "{\"$a\":\"${b}\"}\n"); /* relative to the script */
	assert_sends(run, "file \"s3cret\"");
	assert_int_equal(script_add_file(script, "/nonexistent", &error), -EINVAL);
	assert_string_equal(error.text,
			    "cannot read the script /nonexistent: No such file or directory");
	assert_int_equal(script_add_file(script, "/dev/zero", &error), -EINVAL);
	assert_string_equal(error.text, "the script is larger than 1 MiB");
	assert_int_equal(script_add_text(script, "", 0, "/nonexistent", &error), -EINVAL);
	assert_string_equal(error.text,
			    "cannot open the directory /nonexistent: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_binary_messages),
		cmocka_unit_test(test_what_means_nothing),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_secrets_are_not_told),
		cmocka_unit_test(test_the_bound_of_steps),
		cmocka_unit_test(test_the_bound_of_a_script),
		cmocka_unit_test(test_the_bound_of_all_texts),
		cmocka_unit_test(test_the_bound_of_names),
		cmocka_unit_test(test_the_bound_of_values_in_a_text),
		cmocka_unit_test(test_log_in_and_subscribe),
		cmocka_unit_test(test_runs_are_independent),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_a_name_that_is_there_twice),
		cmocka_unit_test(test_messages_before_an_expectation),
		cmocka_unit_test(test_messages_of_one_batch),
		cmocka_unit_test(test_messages_during_a_wait),
		cmocka_unit_test(test_a_time_out),
		cmocka_unit_test(test_a_value_that_makes_no_text),
		cmocka_unit_test(test_values_that_are_too_long_together),
		cmocka_unit_test(test_the_bound_of_what_is_examined),
		cmocka_unit_test(test_messages_in_pieces),
		cmocka_unit_test(test_expressions_that_take_too_long),
		cmocka_unit_test(test_expressions_that_take_long_enough),
		cmocka_unit_test(test_expressions_and_utf8),
		cmocka_unit_test(test_sends_from_arguments),
		cmocka_unit_test(test_a_script_in_a_file),
	};

	return cmocka_run_group_tests_name("script", tests, setup_group, teardown_group);
}
