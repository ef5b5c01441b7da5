/* The command that processes a segment: its arguments, its environment, whether it can be run at
 * all, and how its end is noticed.
 * --wrap: none. */
#include "test_spool_support.h"

#include "process/command.h"
#include "process/environment.h"

#include <signal.h>
#include <sys/wait.h>

#define STRINGS CLEANUP(strings_free) char **

static void test_placeholders(void **state)
{
	static const struct {
		const char *argument, *expected;
		bool takes_path;
	} arguments[] = {
		{"", "", false},
		{"wc", "wc", false},
		{"{}", "/p/{}q", true},
		{"--in={}", "--in=/p/{}q", true},
		{"{}.out", "/p/{}q.out", true},
		{"{}{}", "/p/{}q/p/{}q", true},
		{"a{}b{}c", "a/p/{}qb/p/{}qc", true},
		{"{{}}", "{/p/{}q}", true},
		{"{", "{", false},
		{"}{", "}{", false},
		{"{ }", "{ }", false},
		{"$(x) `y` \"z\" *", "$(x) `y` \"z\" *", false}, /* no shell sees it */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		CLEANUP_FREE char *argument = strdup(arguments[i].argument);
		char *const template[] = {argument, NULL};
		STRINGS made = arguments_new(template, "/p/{}q"); /* is not replaced again */

		assert_non_null(made);
		assert_string_equal(made[0], arguments[i].expected);
		assert_null(made[1]);
		assert_int_equal(arguments_take_path(template), arguments[i].takes_path);
	}
}

static void test_arguments_keep_their_number_and_order(void **state)
{
	char a[] = "a", empty[] = "", c[] = "{}";
	char *const template[] = {a, empty, c, NULL};
	char *const none[] = {NULL};
	STRINGS made = arguments_new(template, "x");
	STRINGS nothing = arguments_new(none, "x");

	(void)state;
	assert_string_equal(made[0], "a");
	assert_string_equal(made[1], "");
	assert_string_equal(made[2], "x");
	assert_null(made[3]);
	assert_null(nothing[0]);
	assert_true(arguments_take_path(template));
	assert_false(arguments_take_path(none));
	strings_free(NULL);
}

static const struct weir_segment segment = {
	.spool = "/s",
	.data = "/s/5.data",
	.index = "/s/5.index",
	.first_seq = 5,
	.last_seq = UINT64_MAX,
	.messages = 3,
	.bytes = 77,
	.first_time_ns = UINT64_C(1700000000000000001),
	.last_time_ns = UINT64_C(1700000000000000002),
};

static size_t count_of(char *const *strings, const char *text, size_t size)
{
	size_t count = 0;

	for (; *strings; strings++)
		count += strncmp(*strings, text, size) == 0;
	return count;
}

static void test_the_environment(void **state)
{
	static const char *const expected[] = {
		"WEIR_SPOOL=/s",
		"WEIR_SEGMENT=/s/5.data",
		"WEIR_INDEX=/s/5.index",
		"WEIR_FIRST_SEQ=5",
		"WEIR_LAST_SEQ=18446744073709551615",
		"WEIR_MESSAGES=3",
		"WEIR_BYTES=77",
		"WEIR_FIRST_TIME=1700000000000000001",
		"WEIR_LAST_TIME=1700000000000000002",
	};
	STRINGS made = NULL;

	(void)state;
	setenv("WEIR_SEGMENT", "another one's", 1);
	setenv("WEIR_MINE", "x", 1);
	setenv("WEIRD", "y", 1);
	made = environment_new(&segment);
	assert_non_null(made);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(count_of(made, expected[i], strlen(expected[i]) + 1), 1);
		assert_int_equal(count_of(made, expected[i], strcspn(expected[i], "=") + 1), 1);
	}
	assert_int_equal(count_of(made, "WEIR_MINE=x", 12), 1);
	assert_int_equal(count_of(made, "WEIRD=y", 8), 1);
	assert_int_equal(count_of(made, "PATH=", 5), count_of(environ, "PATH=", 5));
}

/* Of a segment without names, nothing is told of a spool; the rest is. */
static void test_the_environment_without_a_spool(void **state)
{
	struct weir_segment unnamed = segment;
	STRINGS made = NULL;

	(void)state;
	setenv("WEIR_SPOOL", "another one's", 1);
	unnamed.spool = NULL;
	made = environment_new(&unnamed);
	unsetenv("WEIR_SPOOL");
	assert_non_null(made);
	assert_int_equal(count_of(made, "WEIR_SPOOL=", 11), 0);
	assert_int_equal(count_of(made, "WEIR_SEGMENT=", 13), 1);
	assert_int_equal(count_of(made, "WEIR_LAST_TIME=", 15), 1);
}

static void put_program(const char *name, mode_t mode)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);

	put_file(dir_fd, name, "#!/bin/sh\n", 10);
	assert_int_equal(fchmodat(dir_fd, name, mode, 0), 0);
}

static void test_programs_by_path(void **state)
{
	(void)state;
	put_program("runs", 0755);
	put_program("does-not", 0644);
	assert_int_equal(mkdir(in_scratch("dir"), 0755), 0);
	assert_int_equal(command_find("/bin/sh"), 0);
	assert_int_equal(command_find(in_scratch("runs")), 0);
	assert_int_equal(command_find(in_scratch("does-not")), -EACCES);
	assert_int_equal(command_find(in_scratch("dir")), -EACCES);
	assert_int_equal(command_find(in_scratch("missing")), -ENOENT);
	assert_int_equal(command_find(in_scratch("runs/below")), -ENOENT);
	assert_int_equal(command_find(""), -ENOENT);
}

static void set_path(const char *before, const char *behind)
{
	char path[3 * sizeof(scratch)];

	snprintf(path, sizeof(path), "%s%s%s", before, scratch, behind);
	setenv("PATH", path, 1);
}

static void test_programs_in_the_search_path(void **state)
{
	CLEANUP_FREE char *saved = strdup(getenv("PATH"));

	(void)state;
	put_program("only-here", 0755);
	put_program("not-to-run", 0644);
	assert_int_equal(command_find("sh"), 0);
	assert_int_equal(command_find("only-here"), -ENOENT);
	set_path("/missing:", ":/usr/bin");
	assert_int_equal(command_find("only-here"), 0);
	assert_int_equal(command_find("not-to-run"), -EACCES);
	assert_int_equal(command_find("nowhere-at-all"), -ENOENT);
	unsetenv("PATH");
	assert_int_equal(command_find("sh"), 0);
	assert_int_equal(command_find("only-here"), -ENOENT);
	setenv("PATH", saved, 1);
}

/* An empty part of $PATH is the working directory, wherever it stands. */
static void test_empty_parts_of_the_search_path(void **state)
{
	static const char *const paths[] = {":/bin", "/bin::/usr/bin", "/bin:", ":", ""};
	CLEANUP_FREE char *saved = strdup(getenv("PATH"));
	CLEANUP_FD int here = open_dir(".");
	size_t found = 0;

	(void)state;
	put_program("only-here", 0755);
	assert_int_equal(chdir(scratch), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		setenv("PATH", paths[i], 1);
		found += command_find("only-here") == 0;
	}
	setenv("PATH", saved, 1);
	assert_int_equal(fchdir(here), 0);
	assert_int_equal(found, ARRAY_SIZE(paths));
}

struct ending {
	struct loop *loop;
	int status;
	int calls;
};

static int note_end(void *data, int wait_status)
{
	struct ending *ending = data;

	ending->status = wait_status;
	ending->calls++;
	loop_stop(ending->loop);
	return 0;
}

/* Runs `script` with the data "12345" as a segment; returns its status as of wait(2). */
static int run(char *script, char *argument)
{
	char shell[] = "/bin/sh", option[] = "-c", name[] = "sh";
	char *const argv[] = {shell, option, script, name, argument, NULL};
	CLEANUP_FREE char *data = strdup(in_scratch("data"));
	struct weir_segment small = {.spool = scratch, .data = data, .index = "/i"};
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct command *command = NULL;
	struct ending ending = {0};

	put_file(dir_fd, "data", "12345", 5);
	assert_int_equal(loop_new(&ending.loop), 0);
	assert_int_equal(command_start(ending.loop, argv, &small, note_end, &ending, &command), 0);
	assert_int_equal(loop_run(ending.loop), 0);
	command_free(command);
	loop_free(ending.loop);
	assert_int_equal(ending.calls, 1);
	return ending.status;
}

static void test_how_commands_end(void **state)
{
	static const struct {
		const char *script, *argument;
		int code; /* or minus the signal */
	} commands[] = {
		{"exit 0", NULL, 0},
		{"exit 7", NULL, 7},
		{"kill -9 $$", NULL, -9},
		{"test \"$(cat)\" = 12345", NULL, 0}, /* the data is its input, */
		{"test \"$(cat)\" = '' && test \"$(cat \"$1\")\" = 12345", "{}", 0}, /* or not */
		{"test \"$WEIR_SEGMENT\" = \"$1\"", "{}", 0},
		{"test \"$WEIR_INDEX\" = /i && test -z \"$1\"", NULL, 0},
		{"kill -INT $$; exit 3", NULL, -2}, /* signals are as in any program */
	};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		CLEANUP_FREE char *script = strdup(commands[i].script);
		CLEANUP_FREE char *argument =
			commands[i].argument ? strdup(commands[i].argument) : NULL;
		int status = run(script, argument);
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);

		if (code != commands[i].code)
			fail_msg("%s: %d", commands[i].script, code);
	}
	signal(SIGPIPE, SIG_DFL);
}

static void test_commands_that_cannot_be_started(void **state)
{
	char missing[] = "/does/not/exist";
	char *const argv[] = {missing, NULL};
	struct weir_segment nowhere = {.spool = "/s", .data = "/does/not/exist", .index = "/i"};
	struct weir_segment empty = {.spool = "/s", .data = "/dev/null", .index = "/i"};
	struct command *command = NULL;
	struct loop *loop = NULL;
	int fds;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	fds = count_fds();
	assert_int_equal(command_start(loop, argv, &empty, note_end, NULL, &command), -ENOENT);
	assert_int_equal(command_start(loop, argv, &nowhere, note_end, NULL, &command), -ENOENT);
	assert_null(command);
	assert_int_equal(count_fds(), fds);
	command_signal(NULL, 9);
	command_free(NULL);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_placeholders),
		cmocka_unit_test(test_arguments_keep_their_number_and_order),
		cmocka_unit_test(test_the_environment),
		cmocka_unit_test(test_the_environment_without_a_spool),
		TEST_IN_SCRATCH(test_programs_by_path),
		TEST_IN_SCRATCH(test_programs_in_the_search_path),
		TEST_IN_SCRATCH(test_empty_parts_of_the_search_path),
		TEST_IN_SCRATCH(test_how_commands_end),
		TEST_IN_SCRATCH(test_commands_that_cannot_be_started),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
