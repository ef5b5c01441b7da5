/* Scripts: what is one, what is said when something is none, and the bounds of one.
 * --wrap: none. */
#include "test_script_support.h"

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
	{"send ${x|html}", 1, "${x|html}: behind a |"},
	{"send ${x}\nexpect 1s /(?<x>.)/", 1, "${x}: no step before"},
	{"expect 1s \"${x}\"", 1, "${x}: no step before"},
	{"send ${env:WEIR_TEST_MISSING}", 1, "${env:WEIR_TEST_MISSING} is not set"},
	{"send ${env:}", 1, "${env:} is not set"},
	{"send ${env:HOME|html}", 1, "${env:HOME|html}: behind a | there may only be json"},
	{"send ${x|json|json}", 1, "${x|json}: behind a | there may only be json, once"},
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

	(void)state;
	script_free(script_of(most));
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
	static const char name_of_32[] = "abcdefghijklmnopqrstuvwxyz_12345";
	CLEANUP_FREE char *text = calloc(1, 70 * 32);
	char *at = text;

	(void)state;
	for (int i = 0; i < 65; i++)
		at += sprintf(at, "expect 1s /(?<n%d>.)/\n", i);
	assert_mistake(text, strlen(text), 65, "64 values");
	text[strlen(text) - strlen("expect 1s /(?<n64>.)/\n")] = '\0';
	script_free(script_of(text));
	sprintf(text, "expect 1s /(?<%s>.)/\nsend ${%s}", name_of_32, name_of_32);
	script_free(script_of(text));
	sprintf(text, "expect 1s /(?<%s_>.)/\nsend ${%s}", name_of_32, name_of_32);
	assert_mistake(text, strlen(text), 1, "32 c"); /* ours, or the words of an older PCRE2 */
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
			    "cannot read the file /nonexistent: No such file or directory");
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
		cmocka_unit_test(test_sends_from_arguments),
		cmocka_unit_test(test_a_script_in_a_file),
	};

	return cmocka_run_group_tests_name("script", tests, setup_group, teardown_group);
}
