/* Options of a subcommand: every kind of value, and what is said about mistakes.
 * --wrap: none. */
#include "test_support.h"

#include "cli/arguments.h"

#include <sys/mman.h>
#include <weir.h>

/* What the options below are set to. */
static struct values {
	bool flag;
	const char *text, *path;
	struct argument_list list;
	uint64_t size, time, count;
} values;

static const struct argument arguments[] = {
	{"flag", ARGUMENT_FLAG, &values.flag, NULL, "a flag"},
	{"text", ARGUMENT_TEXT, &values.text, "TEXT", "a text"},
	{"path", ARGUMENT_PATH, &values.path, "PATH", "a path"},
	{"list", ARGUMENT_LIST, &values.list, "ITEM", "an item"},
	{"size", ARGUMENT_SIZE, &values.size, "SIZE", "a size"},
	{"time", ARGUMENT_TIME, &values.time, "TIME", "a time"},
	{"count", ARGUMENT_COUNT, &values.count, "N", "a count"},
};

static const struct usage usage = {
	.command = "weir test",
	.synopsis = "[OPTIONS]",
	.summary = "Summary.",
	.arguments = arguments,
	.count = ARRAY_SIZE(arguments),
	.more = "More.",
};

#define WORDS_MAX 20

static char said[4096]; /* on standard output and standard error */
static char *words[WORDS_MAX + 1];
static int rest;

/* Reads what was written to a file into `said`. */
static void read_said(int fd)
{
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

	assert_true(n >= 0);
	said[n] = '\0';
	close(fd);
}

/* Splits a line at blanks ("''" is an empty word) and parses it. */
static int parse(const char *line)
{
	static char copy[512];
	int fd = memfd_create("said", MFD_CLOEXEC), out = dup(1), err = dup(2), count = 0, result;

	snprintf(copy, sizeof(copy), "weir-test %s", line);
	for (char *word = strtok(copy, " "); word && count < WORDS_MAX; word = strtok(NULL, " "))
		words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
	words[count] = NULL;
	rest = -1;
	fflush(NULL);
	dup2(fd, 1);
	dup2(fd, 2);
	result = arguments_parse(&usage, count, words, &rest);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	read_said(fd);
	return result;
}

static int setup(void **state)
{
	(void)state;
	values = (struct values){.size = 1};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	argument_list_donep(&values.list);
	return 0;
}

static void test_every_kind(void **state)
{
	(void)state;
	assert_int_equal(parse("--flag --text a --path b --list c --size 2k --time 3s --count 4"),
			 ARGUMENTS_OK);
	assert_true(values.flag);
	assert_string_equal(values.text, "a");
	assert_string_equal(values.path, "b");
	assert_int_equal(values.list.count, 1);
	assert_string_equal(values.list.items[0], "c");
	assert_int_equal(values.size, 2048);
	assert_int_equal(values.time, UINT64_C(3000000000));
	assert_int_equal(values.count, 4);
	assert_string_equal(said, "");
}

static void test_nothing_given(void **state)
{
	(void)state;
	assert_int_equal(parse(""), ARGUMENTS_OK);
	assert_false(values.flag);
	assert_null(values.text);
	assert_int_equal(values.size, 1); /* the default stays */
	assert_int_equal(rest, 1);
}

static void test_values_behind_an_equals_sign(void **state)
{
	(void)state;
	assert_int_equal(parse("--text=a=b --size=5 --list= --list=--flag"), ARGUMENTS_OK);
	assert_string_equal(values.text, "a=b");
	assert_int_equal(values.size, 5);
	assert_int_equal(values.list.count, 2);
	assert_string_equal(values.list.items[0], "");
	assert_string_equal(values.list.items[1], "--flag");
	assert_false(values.flag);
}

static void test_what_is_no_option_moves_to_the_end(void **state)
{
	(void)state;
	assert_int_equal(parse("one --flag two --text x three"), ARGUMENTS_OK);
	assert_int_equal(rest, 4);
	assert_string_equal(words[4], "one");
	assert_string_equal(words[5], "two");
	assert_string_equal(words[6], "three");
	assert_true(values.flag);
}

static void test_two_dashes_end_the_options(void **state)
{
	(void)state;
	assert_int_equal(parse("--flag -- --text x"), ARGUMENTS_OK);
	assert_string_equal(words[rest], "--text");
	assert_null(values.text);
}

static void test_lists_and_flags_may_be_repeated(void **state)
{
	(void)state;
	assert_int_equal(parse("--list a --flag --list b --flag --list a"), ARGUMENTS_OK);
	assert_int_equal(values.list.count, 3);
	assert_string_equal(values.list.items[2], "a");
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *line, *message;
	} mistakes[] = {
		{"--text", "weir: --text needs a value"},
		{"--flag --size", "weir: --size needs a value"},
		{"--unknown", "weir: there is no option --unknown"},
		{"--unknown=x", "weir: there is no option --unknown"},
		{"-x", "weir: there is no option -x"},
		{"--flag=x", "weir: --flag takes no value"},
		{"--size 5x",
		 "weir: --size takes a size, such as 64MiB, 1.5GB or 100k, not \"5x\""},
		{"--size=", "weir: --size takes a size, such as 64MiB, 1.5GB or 100k, not \"\""},
		{"--size -1", "weir: --size takes a size"},
		{"--size 8388608TiB", "weir: --size: \"8388608TiB\" is too large"},
		{"--time soon",
		 "weir: --time takes a time, such as 500ms, 10s or 2h, not \"soon\""},
		{"--time 999999d", "weir: --time: \"999999d\" is too large"},
		{"--count 1.5", "weir: --count takes a whole number, not \"1.5\""},
		{"--count 99999999999999999999", "weir: --count: \"99999999999999999999\" is too"},
		{"--path ''", "weir: --path: its value, PATH, is empty"},
		{"--text a --text b", "weir: --text was given twice"},
		{"--size 1 --size 1", "weir: --size was given twice"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		int result = parse(mistakes[i].line);

		if (result != WEIR_USAGE ||
		    strncmp(said, mistakes[i].message, strlen(mistakes[i].message)) != 0)
			fail_msg("%s: %d, %s", mistakes[i].line, result, said);
		assert_non_null(strstr(said, "see weir test --help"));
	}
}

static void test_an_empty_text_is_one(void **state)
{
	(void)state;
	assert_int_equal(parse("--text ''"), ARGUMENTS_OK);
	assert_string_equal(values.text, "");
}

static void test_help_names_every_option(void **state)
{
	(void)state;
	assert_int_equal(parse("--flag --help --unknown"), 0);
	assert_non_null(strstr(said, "Usage: weir test [OPTIONS]\n"));
	assert_non_null(strstr(said, "Summary."));
	assert_non_null(strstr(said, "More."));
	assert_non_null(strstr(said, "  --help"));
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		char start[64];

		snprintf(start, sizeof(start), "\n  --%s%s%s ", arguments[i].name,
			 arguments[i].metavar ? " " : "",
			 arguments[i].metavar ? arguments[i].metavar : "");
		assert_non_null(strstr(said, start));
		assert_non_null(strstr(said, arguments[i].help));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind),
		TEST(test_nothing_given),
		TEST(test_values_behind_an_equals_sign),
		TEST(test_what_is_no_option_moves_to_the_end),
		TEST(test_two_dashes_end_the_options),
		TEST(test_lists_and_flags_may_be_repeated),
		TEST(test_mistakes),
		TEST(test_an_empty_text_is_one),
		TEST(test_help_names_every_option),
	};

	return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
