/* Commands whose output is collected, and the tokens that are made of it.
 * --wrap: free. */
#include "test_wipe_support.h"

#include "base/clock.h"
#include "pipeline/token.h"

#include <signal.h>

#define SECRET "hush-hush-7301"

/* What became of a command, copied. */
struct ending {
	struct loop *loop;
	struct output *output;
	int calls, error, wait_status;
	size_t size;
	char text[256];
	int token; /* what token_read() says */
	char line[256], why[TOKEN_WHY_SIZE];
};

static int note_end(void *data, const struct output_result *result)
{
	struct ending *ending = data;
	CLEANUP(secret_done) struct secret line = {0};

	ending->calls++;
	ending->error = result->error;
	ending->wait_status = result->wait_status;
	ending->size = result->size;
	if (result->size > 0)
		memcpy(ending->text, result->text, MIN(result->size, sizeof(ending->text) - 1));
	ending->token = token_read(result, &line, ending->why);
	if (line.text)
		snprintf(ending->line, sizeof(ending->line), "%s", line.text);
	output_free(TAKE_PTR(ending->output)); /* it may be freed here */
	loop_stop(ending->loop);
	return 0;
}

static int stop_it(void *data)
{
	struct ending *ending = data;

	output_stop(ending->output);
	output_stop(ending->output);
	return 0;
}

/* Runs it by the shell; stops it after `stop_ns`, 0: never. */
static struct ending run(const char *script, uint64_t timeout_ns, uint64_t stop_ns)
{
	CLEANUP_FREE char *copy = strdup(script);
	char shell[] = "/bin/sh", option[] = "-c";
	char *const argv[] = {shell, option, copy, NULL};
	struct ending ending = {0};
	struct loop_timer timer = {.callback = stop_it, .data = &ending};
	struct output_options options = {
		.argv = argv,
		.max = 1000,
		.timeout_ns = timeout_ns,
		.ended = note_end,
		.data = &ending,
	};

	assert_int_equal(loop_new(&ending.loop), 0);
	assert_int_equal(output_start(ending.loop, &options, &ending.output), 0);
	if (stop_ns > 0)
		loop_timer_set(ending.loop, &timer, clock_monotonic_ns() + stop_ns);
	assert_int_equal(loop_run(ending.loop), 0);
	loop_timer_clear(ending.loop, &timer);
	loop_free(ending.loop);
	assert_int_equal(ending.calls, 1);
	return ending;
}

static void test_what_is_printed(void **state)
{
	static const struct {
		const char *script, *text;
		int code;
	} commands[] = {
		{"printf abc", "abc", 0},
		{"echo a; echo b", "a\nb\n", 0},
		{"printf a; sleep 0.05; printf b", "ab", 0},
		{"true", "", 0},
		{"printf abc; exit 3", "abc", 3},
		{"echo no >&2", "", 0},
		{"cat; printf x", "x", 0}, /* its input is empty */
		{"printf a; exec >&-; sleep 0.05; exit 4", "a",
		 4},				 /* it closed its output before */
		{"sleep 60 & echo $!", NULL, 0}, /* what it leaves is not waited for */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct ending ending = run(commands[i].script, 0, 0);

		assert_int_equal(ending.error, 0);
		assert_int_equal(ending.wait_status, commands[i].code << 8);
		if (commands[i].text)
			assert_string_equal(ending.text, commands[i].text);
		else
			assert_int_equal(kill(atoi(ending.text), SIGKILL), 0);
	}
}

static void test_the_bound(void **state)
{
	struct ending ending = run("head -c 1000 /dev/zero", 0, 0);

	(void)state;
	assert_int_equal(ending.error, 0);
	assert_int_equal(ending.size, 1000);
	ending = run("head -c 1001 /dev/zero; exec sleep 60", 0, 0);
	assert_int_equal(ending.error, -EFBIG);
	ending = run("head -c 1001 /dev/zero", 0, 0);
	assert_int_equal(ending.error, -EFBIG);
	ending = run("yes", 0, 0);
	assert_int_equal(ending.error, -EFBIG);
}

static void test_commands_that_hang(void **state)
{
	struct ending ending = run("printf a; exec sleep 60", 20 * NS_PER_MS, 0);

	(void)state;
	assert_int_equal(ending.error, -ETIMEDOUT);
	assert_int_equal(ending.wait_status, SIGTERM);
	ending = run("exec sleep 60", 0, 20 * NS_PER_MS);
	assert_int_equal(ending.error, -ECANCELED);
	assert_int_equal(ending.wait_status, SIGTERM);
}

/* Runs a script that prints a pid into the file $name when signals do not end that any more. On a
 * machine that is slow, it gets more time for it. */
static struct ending run_stubborn(const char *rest, pid_t *ret_pid)
{
	char name[] = "/tmp/weir-test-XXXXXX", script[128], pid[16] = "";
	CLEANUP_FD int fd = mkstemp(name);
	struct ending ending = {0};

	snprintf(script, sizeof(script), "export name=%s; %s", name, rest);
	for (uint64_t ms = 300; ms < 60000 && pread(fd, pid, sizeof(pid) - 1, 0) == 0; ms *= 5)
		ending = run(script, ms * NS_PER_MS, 0);
	unlink(name);
	assert_true(atoi(pid) > 0);
	*ret_pid = atoi(pid);
	return ending;
}

/* And none that a command has started outlives it then. */
static void test_commands_that_do_not_want_to_end(void **state)
{
	pid_t pid;
	struct ending ending =
		run_stubborn("trap '' TERM; echo $$ >$name; sleep 60; sleep 60", &pid);

	(void)state;
	assert_int_equal(ending.error, -ETIMEDOUT);
	assert_int_equal(ending.wait_status, SIGKILL);
	ending = run_stubborn("sh -c 'trap \"\" TERM; echo $$ >$name; sleep 60; sleep 60' & wait",
			      &pid);
	assert_int_equal(ending.error, -ETIMEDOUT);
	for (int i = 0; i < 2000 && kill(pid, 0) == 0; i++)
		usleep(10000); /* until who adopted it has noticed */
	assert_int_equal(kill(pid, 0), -1);
}

static void test_one_that_is_freed_while_it_runs(void **state)
{
	char sleep[] = "sleep", time[] = "60", missing[] = "/does/not/exist";
	char *const argv[] = {sleep, time, NULL}, *const nothing[] = {missing, NULL};
	struct output_options options = {.argv = argv, .max = 10, .ended = note_end};
	struct output *output = NULL;
	struct loop *loop = NULL;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(output_start(loop, &options, &output), 0);
	output_free(output); /* no process is left: ended() is not called */
	options.argv = nothing;
	output = NULL;
	assert_int_equal(output_start(loop, &options, &output), -ENOENT);
	assert_null(output);
	output_free(NULL);
	loop_free(loop);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *script, *line, *why;
	} commands[] = {
		{"echo abc", "Authorization: Bearer abc", NULL},
		{"printf abc", "Authorization: Bearer abc", NULL},
		{"printf 'abc\\r\\n'", "Authorization: Bearer abc", NULL},
		{"true", NULL, "printed nothing"},
		{"echo", NULL, "printed nothing"},
		{"echo " SECRET "; echo " SECRET, NULL, "more than one line"},
		{"printf '" SECRET "\\n\\n'", NULL, "more than one line"},
		{"printf '" SECRET "\\0x'", NULL, "a NUL"},
		{"printf '" SECRET "\\rX-Evil: 1'", NULL, "more than one line"},
		{"echo '" SECRET " x'", NULL, "no token"},
		{"printf '" SECRET "\\033[1m'", NULL, "no token"},
		{"printf '" SECRET "\\303\\244'", NULL, "no token"},
		{"echo " SECRET "; exit 9", NULL, "exit code 9"},
		{"echo " SECRET "; kill -9 $$", NULL, "signal 9"},
		{"yes " SECRET, NULL, "more than 64 KiB"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct ending ending = run(commands[i].script, 0, 0);

		if (commands[i].line) {
			assert_int_equal(ending.token, 0);
			assert_string_equal(ending.line, commands[i].line);
			continue;
		}
		assert_int_equal(ending.token, -EINVAL);
		if (!strstr(ending.why, commands[i].why))
			fail_msg("%s: %s", commands[i].script, ending.why);
		assert_null(strstr(ending.why, SECRET));
	}
}

static void fetch_once(void)
{
	run("printf hush-; sleep 0.02; printf hush-; sleep 0.02; echo 7301", 0, 0);
}

static void fetch_what_is_none(void)
{
	run("echo " SECRET "; echo; head -c 2000 /dev/zero", 0, 0);
}

static void test_tokens_are_wiped(void **state)
{
	(void)state;
	assert_false(leaves_behind("hush-7301", fetch_once));
	assert_false(leaves_behind("hush-7301\n\n", fetch_what_is_none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_printed),
		cmocka_unit_test(test_the_bound),
		cmocka_unit_test(test_commands_that_hang),
		cmocka_unit_test(test_commands_that_do_not_want_to_end),
		cmocka_unit_test(test_one_that_is_freed_while_it_runs),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_tokens_are_wiped),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
