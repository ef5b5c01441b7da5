/* What the tests of scripts share: a directory of files that scripts name, and ways to make a
 * script and to go through one. */
#ifndef WEIR_TEST_SCRIPT_SUPPORT_H
#define WEIR_TEST_SCRIPT_SUPPORT_H

#include "test_support.h"

#include "base/clock.h"
#include "websocket/script.h"

#define SCRIPT CLEANUP(script_free) struct script
#define RUN CLEANUP(script_run_free) struct script_run

static char directory[] = "/tmp/weir-test-script-XXXXXX";

static inline void write_file(const char *name, const char *data, size_t size)
{
	char path[sizeof(directory) + 32];
	CLEANUP_FILE FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
}

static inline int setup_group(void **state)
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

static inline int teardown_group(void **state)
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

static inline int parse(const char *text, size_t size, struct script **ret_script,
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

static inline struct script *script_of(const char *text)
{
	struct script *script = NULL;
	struct script_error error;

	if (parse(text, strlen(text), &script, &error) < 0)
		fail_msg("line %zu: %s", error.line, error.text);
	return script;
}

static inline struct script_run *run_of(const struct script *script)
{
	struct script_run *run = NULL;

	assert_int_equal(script_run_new(script, &run), 0);
	return run;
}

static inline void assert_sends_bytes(struct script_run *run, const void *data, size_t size,
				      enum message_kind kind)
{
	struct script_action action = {0};

	assert_int_equal(script_run_next(run, &action), 0);
	assert_int_equal(action.kind, SCRIPT_SEND);
	assert_int_equal(action.message, kind);
	assert_int_equal(action.size, size);
	assert_memory_equal(action.data, data, size);
}

static inline void assert_sends(struct script_run *run, const char *text)
{
	assert_sends_bytes(run, text, strlen(text), MESSAGE_TEXT);
}

static inline void assert_is(struct script_run *run, enum script_action_kind kind, uint64_t time_ns)
{
	struct script_action action = {0};

	for (int i = 0; i < 2; i++) { /* asking changes nothing */
		assert_int_equal(script_run_next(run, &action), 0);
		assert_int_equal(action.kind, kind);
		assert_int_equal(action.time_ns, time_ns);
	}
}

static inline int see(struct script_run *run, const char *text)
{
	CLEANUP_FREE char *copy = exact_copy(text, strlen(text));

	return script_run_see(run, copy, strlen(text));
}

static inline void assert_described(const struct script_run *run, const char *expected)
{
	char text[SCRIPT_TEXT_SIZE];

	script_run_describe(run, text);
	assert_string_equal(text, expected);
}

/* A text of `count` lines. */
static inline char *repeat(const char *line, size_t count)
{
	size_t size = strlen(line);
	char *text = malloc(count * size + 1);

	assert_non_null(text);
	for (size_t i = 0; i < count; i++)
		memcpy(text + i * size, line, size);
	text[count * size] = '\0';
	return text;
}

#endif
