/* Pointers, the examples of RFC 6901 among them, and what they point to in all sorts of messages.
 * --wrap: calloc json_tokener_new_ex. */
#include "test_support.h"

#include "pipeline/pointer.h"

#include <json-c/json.h>

DEFINE_CLEANUP(struct pointer *, pointer_free);

static bool no_memory, no_tokener;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
struct json_tokener *__real_json_tokener_new_ex(int depth);
struct json_tokener *__wrap_json_tokener_new_ex(int depth);

void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : __real_calloc(count, size);
}

struct json_tokener *__wrap_json_tokener_new_ex(int depth)
{
	return no_tokener ? NULL : __real_json_tokener_new_ex(depth);
}

static struct pointer *parse(const char *text)
{
	struct pointer *pointer = NULL;

	assert_int_equal(pointer_parse(text, &pointer), 0);
	return pointer;
}

static void check_key(const char *text, const char *json, size_t json_size, const char *expected)
{
	CLEANUP(pointer_free) struct pointer *pointer = parse(text);
	CLEANUP_FREE void *message = exact_copy(json, json_size);
	const char *key = NULL;
	size_t size = 0;
	int r = pointer_find_key(pointer, message, json_size, &key, &size);

	if (r != 0)
		fail_msg("%s in %s: %d", text, json, r);
	if (size != strlen(expected) || memcmp(key, expected, size) != 0)
		fail_msg("%s in %s: %.*s", text, json, (int)size, key);
}

static void test_the_examples_of_the_rfc(void **state)
{
	static const char json[] =
		"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
		"\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
	static const char *const examples[][2] = {
		{"/foo", "[\"bar\",\"baz\"]"},
		{"/foo/0", "\"bar\""},
		{"/", "0"},
		{"/a~1b", "1"},
		{"/c%d", "2"},
		{"/e^f", "3"},
		{"/g|h", "4"},
		{"/i\\j", "5"},
		{"/k\"l", "6"},
		{"/ ", "7"},
		{"/m~0n", "8"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
		check_key(examples[i][0], json, sizeof(json) - 1, examples[i][1]);
	check_key("", json, sizeof(json) - 1, json);
}

static void test_keys(void **state)
{
	static const char *const examples[][3] = {
		{"", " 12 ", "12"},
		{"", "\"a\"", "\"a\""},
		{"/a", "{\"a\" : \"\\u0041\\/\\n\"}", "\"A/\\n\""},
		{"/a", "{\"a\":\"1\"}", "\"1\""},
		{"/a", "{\"a\":1.10}", "1.10"},
		{"/a", "{\"a\":1e3}\n", "1e3"},
		{"/a", "{\"a\":-9223372036854775807}", "-9223372036854775807"},
		{"/a", "{\"a\":18446744073709551614}", "18446744073709551614"},
		{"/a", "{\"a\":\"18446744073709551615\"}", "\"18446744073709551615\""},
		{"/a", "{\"a\":123456789012345678901234567890,\"a\":true}", "true"},
		{"/a", "{\"b\":123456789012345678901234567890,\"a\":false}", "false"},
		{"/a/1/b", "{\"a\":[0,{\"b\":{\"x\":[ ]}}]}", "{\"x\":[]}"},
		{"/1", "{\"1\":\"name\"}", "\"name\""},
		{"/01", "{\"01\":\"name\"}", "\"name\""},
		{"/a~01", "{\"a~1\":2}", "2"},
		{"/~1~0/~0~1", "{\"/~\":{\"~/\":3}}", "3"},
		{"/\xc3\xa9", "{\"\\u00e9\":4}", "4"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
		check_key(examples[i][0], examples[i][1], strlen(examples[i][1]), examples[i][2]);
}

static int miss(const char *text, const void *json, size_t size)
{
	CLEANUP(pointer_free) struct pointer *pointer = parse(text);
	CLEANUP_FREE void *message = exact_copy(json, size);
	const char *key = NULL;
	size_t key_size = 77;
	int r = pointer_find_key(pointer, message, size, &key, &key_size);

	assert_true(r == 0 || (!key && key_size == 77));
	return r;
}

static void test_what_has_no_key(void **state)
{
	static const struct {
		const char *pointer, *json;
		int miss;
	} examples[] = {
		{"/b", "{\"a\":1}", POINTER_MISSING},
		{"/a/b", "{\"a\":1}", POINTER_MISSING},
		{"/a/b", "{\"a\":\"b\"}", POINTER_MISSING},
		{"/a", "{\"a\":null}", POINTER_MISSING},
		{"/a/b", "{\"a\":null}", POINTER_MISSING},
		{"/a", "[1]", POINTER_MISSING},
		{"/1", "[1]", POINTER_MISSING},
		{"/-", "[1]", POINTER_MISSING},
		{"/00", "[1]", POINTER_MISSING},
		{"/+0", "[1]", POINTER_MISSING},
		{"/ 0", "[1]", POINTER_MISSING},
		{"/0x", "[1]", POINTER_MISSING},
		{"/", "[1]", POINTER_MISSING},
		{"/18446744073709551616", "[1]", POINTER_MISSING},
		{"/A", "{\"a\":1}", POINTER_MISSING},
		{"", "null", POINTER_MISSING},
		{"", "", POINTER_NOT_JSON},
		{"", " ", POINTER_NOT_JSON},
		{"", "heartbeat", POINTER_NOT_JSON},
		{"", "{\"a\":1", POINTER_NOT_JSON},
		{"", "\"abc", POINTER_NOT_JSON},
		{"", "{\"a\":1}}", POINTER_NOT_JSON},
		{"", "{\"a\":1}{\"a\":2}", POINTER_NOT_JSON},
		{"", "1 2", POINTER_NOT_JSON},
		{"", "[1,]", POINTER_NOT_JSON},
		{"", "\xef\xbb\xbf{}", POINTER_NOT_JSON},
		{"/a", "{\"a\":18446744073709551615}", POINTER_TOO_LARGE},
		{"/a", "{\"a\":123456789012345678901234567890}", POINTER_TOO_LARGE},
		{"/a", "{\"a\":-9223372036854775809}", POINTER_TOO_LARGE},
		{"/a", "{\"a\":[{\"b\":18446744073709551616}]}", POINTER_TOO_LARGE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		int r = miss(examples[i].pointer, examples[i].json, strlen(examples[i].json));

		if (r != examples[i].miss)
			fail_msg("%s in %s: %d", examples[i].pointer, examples[i].json, r);
	}
}

static void test_zero_bytes_are_not_json(void **state)
{
	static const char behind[] = "{\"a\":1}\0x", inside[] = "{\"a\":\"x\0y\"}", last[] = "1\0";

	(void)state;
	assert_int_equal(miss("/a", behind, sizeof(behind) - 1), POINTER_NOT_JSON);
	assert_int_equal(miss("/a", behind, sizeof(behind) - 2), POINTER_NOT_JSON);
	assert_int_equal(miss("/a", inside, sizeof(inside) - 1), POINTER_NOT_JSON);
	assert_int_equal(miss("", last, sizeof(last) - 1), POINTER_NOT_JSON);
	assert_int_equal(miss("", "\0", 1), POINTER_NOT_JSON);
}

static void test_integers(void **state)
{
	static const struct {
		const char *json;
		int result;
		uint64_t integer;
	} examples[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"1", 0, 1},
		{"-1", 0, UINT64_MAX},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", 0, (uint64_t)INT64_MAX + 1},
		{"18446744073709551614", 0, UINT64_MAX - 1},
		{"18446744073709551615", POINTER_TOO_LARGE, 0},
		{"18446744073709551616", POINTER_TOO_LARGE, 0},
		{"-9223372036854775807", 0, (uint64_t)INT64_MAX + 2},
		{"-9223372036854775808", POINTER_TOO_LARGE, 0},
		{"-9223372036854775809", POINTER_TOO_LARGE, 0},
		{"1.0", POINTER_NOT_INTEGER, 0},
		{"1e3", POINTER_NOT_INTEGER, 0},
		{"\"1\"", POINTER_NOT_INTEGER, 0},
		{"true", POINTER_NOT_INTEGER, 0},
		{"[1]", POINTER_NOT_INTEGER, 0},
		{"{}", POINTER_NOT_INTEGER, 0},
		{"null", POINTER_MISSING, 0},
		{"1x", POINTER_NOT_JSON, 0},
	};
	CLEANUP(pointer_free) struct pointer *whole = parse("");
	CLEANUP(pointer_free) struct pointer *inside = parse("/data/seq");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		uint64_t expected = examples[i].result ? 77 : examples[i].integer, integer = 77;
		const char *json = examples[i].json;
		char text[100];

		assert_int_equal(pointer_find_integer(whole, json, strlen(json), &integer),
				 examples[i].result);
		assert_int_equal(integer, expected);
		integer = 77;
		snprintf(text, sizeof(text), "{\"x\":[],\"data\":{\"seq\":%s}}", json);
		assert_int_equal(pointer_find_integer(inside, text, strlen(text), &integer),
				 examples[i].result);
		assert_int_equal(integer, expected);
	}
}

/* One pointer, many messages: what one leaves behind is not in the way of the next. */
static void test_one_after_the_other(void **state)
{
	CLEANUP(pointer_free) struct pointer *pointer = parse("/a");

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t integer = 0;
		char text[40];
		const char *key;
		size_t size;
		int n = snprintf(text, sizeof(text), "{\"a\":%llu}", (unsigned long long)i);

		assert_int_equal(pointer_find_integer(pointer, text, (size_t)n, &integer), 0);
		assert_int_equal(integer, i);
		assert_int_equal(pointer_find_integer(pointer, text, (size_t)n - 1, &integer),
				 POINTER_NOT_JSON);
		assert_int_equal(pointer_find_key(pointer, text, (size_t)n, &key, &size), 0);
		assert_int_equal(size, (size_t)n - 6);
		assert_int_equal(pointer_find_key(pointer, "{\"a\":", 5, &key, &size),
				 POINTER_NOT_JSON);
	}
}

static void test_depth(void **state)
{
	char text[2 * POINTER_DEPTH + 8], json[2 * POINTER_DEPTH + 8];
	struct pointer *pointer = NULL;

	(void)state;
	for (size_t i = 0; i <= POINTER_DEPTH; i++)
		memcpy(text + 2 * i, "/0", 3);
	assert_int_equal(pointer_parse(text, &pointer), -E2BIG);
	assert_null(pointer);
	for (size_t depth = POINTER_DEPTH - 2; depth <= POINTER_DEPTH + 1; depth++) {
		memset(json, '[', depth);
		memset(json + depth, ']', depth);
		assert_int_equal(miss("/0/0", json, 2 * depth),
				 depth <= POINTER_DEPTH ? 0 : POINTER_NOT_JSON);
	}
	text[2 * POINTER_DEPTH] = '\0';
	assert_int_equal(miss(text, "[[]]", 4), POINTER_MISSING);
}

static void test_the_largest_message(void **state)
{
	CLEANUP_FREE char *json = malloc(POINTER_MESSAGE_MAX + 1);

	(void)state;
	assert_non_null(json);
	memset(json, ' ', POINTER_MESSAGE_MAX + 1);
	json[POINTER_MESSAGE_MAX - 1] = '5';
	assert_int_equal(miss("", json, POINTER_MESSAGE_MAX), 0);
	assert_int_equal(miss("", json, POINTER_MESSAGE_MAX + 1), POINTER_TOO_LARGE);
}

static void test_what_is_no_pointer(void **state)
{
	static const char *const texts[] = {"a",   "a/b",    " /a", "#/a", "/a~",
					    "/~2", "/a/~~0", "~0",  "/~/"};
	struct pointer *pointer = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP_FREE char *text = exact_copy(texts[i], strlen(texts[i]) + 1);

		assert_int_equal(pointer_parse(text, &pointer), -EINVAL);
		assert_null(pointer);
	}
	pointer_free(NULL);
}

static void test_no_memory(void **state)
{
	struct pointer *pointer = NULL;

	(void)state;
	no_memory = true;
	assert_int_equal(pointer_parse("/a", &pointer), -ENOMEM);
	no_memory = false;
	no_tokener = true;
	assert_int_equal(pointer_parse("/a", &pointer), -ENOMEM);
	no_tokener = false;
	assert_null(pointer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_examples_of_the_rfc),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_what_has_no_key),
		cmocka_unit_test(test_zero_bytes_are_not_json),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_the_largest_message),
		cmocka_unit_test(test_what_is_no_pointer),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("pointer", tests, NULL, NULL);
}
