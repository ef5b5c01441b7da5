/* The bound of a buffer, and what is in it after an allocation that failed.
 * --wrap: free malloc realloc. */
#include "test_wipe_support.h"

#include "base/buffer.h"

static bool no_memory;

void *__real_realloc(void *data, size_t size);
void *__wrap_realloc(void *data, size_t size);

void *__wrap_realloc(void *data, size_t size)
{
	return no_memory ? NULL : __real_realloc(data, size);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

static int setup(void **state)
{
	(void)state;
	no_memory = false;
	return 0;
}

#define BUFFER CLEANUP(buffer_done) struct buffer

static void assert_holds(const struct buffer *buffer, const char *text)
{
	assert_int_equal(buffer->size, strlen(text));
	if (buffer->size > 0)
		assert_memory_equal(buffer->data, text, buffer->size);
}

static void test_it_grows_at_the_end(void **state)
{
	char expected[2000 + 1] = "";
	BUFFER buffer;

	(void)state;
	buffer_init(&buffer, SIZE_MAX / 4);
	assert_null(buffer.data);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(buffer_append(&buffer, "0123456789", 10), 0);
		strcat(expected, "0123456789");
		assert_holds(&buffer, expected);
	}
	assert_true(buffer.room >= buffer.size);
}

static void test_it_leaves_at_the_front(void **state)
{
	BUFFER buffer;

	(void)state;
	buffer_init(&buffer, 100);
	buffer_consume(&buffer, 0);
	assert_int_equal(buffer_append(&buffer, "abcdef", 6), 0);
	buffer_consume(&buffer, 2);
	assert_holds(&buffer, "cdef");
	buffer_consume(&buffer, 0);
	assert_holds(&buffer, "cdef");
	assert_int_equal(buffer_append(&buffer, "g", 1), 0);
	buffer_consume(&buffer, 5);
	assert_holds(&buffer, "");
}

static void test_nothing_is_added(void **state)
{
	BUFFER buffer;

	(void)state;
	buffer_init(&buffer, 0);
	assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
	assert_int_equal(buffer_append(&buffer, "a", 1), -ENOBUFS);
	assert_holds(&buffer, "");
}

static void test_the_bound_holds_to_the_byte(void **state)
{
	BUFFER buffer;

	(void)state;
	buffer_init(&buffer, 10);
	assert_int_equal(buffer_append(&buffer, "12345678", 8), 0);
	assert_int_equal(buffer_append(&buffer, "abc", 3), -ENOBUFS);
	assert_holds(&buffer, "12345678");
	assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
	assert_int_equal(buffer_append(&buffer, "c", 1), -ENOBUFS);
	assert_int_equal(buffer_append(&buffer, "c", SIZE_MAX), -ENOBUFS);
	assert_int_equal(buffer_append(&buffer, "c", SIZE_MAX - 9), -ENOBUFS);
	assert_holds(&buffer, "12345678ab");
	buffer_consume(&buffer, 1);
	assert_int_equal(buffer_append(&buffer, "c", 1), 0);
	assert_holds(&buffer, "2345678abc");
}

static void test_formatted_text(void **state)
{
	BUFFER buffer;

	(void)state;
	buffer_init(&buffer, 12);
	assert_int_equal(buffer_appendf(&buffer, "%s=%d", "a", 7), 0);
	assert_int_equal(buffer_appendf(&buffer, "%s", ""), 0);
	assert_int_equal(buffer_appendf(&buffer, "%010d", 1), -ENOBUFS);
	assert_holds(&buffer, "a=7");
	assert_int_equal(buffer_appendf(&buffer, "%09d", 1), 0);
	assert_holds(&buffer, "a=7000000001");
}

static void test_without_memory_it_is_as_before(void **state)
{
	BUFFER buffer;

	(void)state;
	buffer_init(&buffer, 10000);
	no_memory = true;
	assert_int_equal(buffer_append(&buffer, "a", 1), -ENOMEM);
	assert_null(buffer.data);
	no_memory = false;
	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	no_memory = true;
	assert_int_equal(buffer_appendf(&buffer, "%5000d", 1), -ENOMEM);
	assert_holds(&buffer, "abc");
	assert_int_equal(buffer_append(&buffer, "d", 1), 0); /* there is room for that */
	assert_holds(&buffer, "abcd");
}

static void test_done_can_be_used_again(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 5);
	buffer_done(&buffer);
	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	buffer_done(&buffer);
	assert_null(buffer.data);
	assert_int_equal(buffer.size, 0);
	assert_int_equal(buffer.max, 5);
	buffer_done(&buffer);
}

/* Grows a few times, and ends. */
static void fill(struct buffer *buffer)
{
	assert_int_equal(buffer_append(buffer, "the s3cret", 10), 0);
	for (int i = 0; i < 90; i++)
		assert_int_equal(buffer_append(buffer, "0123456789", 10), 0);
	assert_int_equal(buffer->size, 910);
	assert_memory_equal(buffer->data, "the s3cret0123", 14);
	buffer_done(buffer);
}

static void live_in_the_open(void)
{
	struct buffer buffer;

	buffer_init(&buffer, 10000);
	fill(&buffer);
}

static void live_in_secret(void)
{
	struct buffer buffer;

	buffer_init_secret(&buffer, 10000);
	fill(&buffer);
}

static void test_secrets_are_wiped(void **state)
{
	(void)state;
	assert_true(leaves_behind("s3cret", live_in_the_open)); /* the test can tell */
	assert_false(leaves_behind("s3cret", live_in_secret));
}

static void test_secrets_are_wiped_when_they_are_consumed(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init_secret(&buffer, 100);
	assert_int_equal(buffer_append(&buffer, "s3cretABC", 9), 0);
	buffer_consume(&buffer, 6);
	assert_memory_equal(buffer.data, "ABC\0\0\0\0\0\0", 9);
	buffer_consume(&buffer, 3);
	assert_memory_equal(buffer.data, "\0\0\0", 3);
	buffer_done(&buffer);
}

static void test_secrets_without_memory(void **state)
{
	static const char zeros[1000];
	BUFFER buffer;

	(void)state;
	buffer_init_secret(&buffer, 10000);
	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	no_memory = true;
	assert_int_equal(buffer_append(&buffer, zeros, sizeof(zeros)), -ENOMEM);
	no_memory = false;
	assert_holds(&buffer, "abc");
	buffer_done(&buffer);
	assert_true(buffer.secret);
}

#define TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_it_grows_at_the_end),
		TEST(test_it_leaves_at_the_front),
		TEST(test_nothing_is_added),
		TEST(test_the_bound_holds_to_the_byte),
		TEST(test_formatted_text),
		TEST(test_without_memory_it_is_as_before),
		TEST(test_done_can_be_used_again),
		TEST(test_secrets_are_wiped),
		TEST(test_secrets_are_wiped_when_they_are_consumed),
		TEST(test_secrets_without_memory),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
