/* Files that begin in memory, against a plain file that does the same.
 * --wrap: write realloc. */
#include "test_tempfile_support.h"

#include "test_support.h"

#include <stdint.h>
#include <sys/stat.h>

static int write_error;
static bool no_memory;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (write_error == 0)
		return __real_write(fd, data, size);
	errno = write_error;
	return -1;
}

void *__real_realloc(void *data, size_t size);
void *__wrap_realloc(void *data, size_t size);

void *__wrap_realloc(void *data, size_t size)
{
	return no_memory ? NULL : __real_realloc(data, size);
}

static struct tempfile_spooled *opened(size_t memory_max)
{
	struct tempfile_spooled *spooled = NULL;

	assert_int_equal(tempfile_spooled_open(&spooled, .memory_max = memory_max, .dir = scratch),
			 0);
	return spooled;
}

static void put(struct tempfile_spooled *spooled, const char *text)
{
	assert_int_equal(tempfile_spooled_write(spooled, text, strlen(text)), 0);
}

static void assert_is(struct tempfile_spooled *spooled, const char *text)
{
	char data[200];
	ssize_t n;

	assert_int_equal(tempfile_spooled_seek(spooled, 0, SEEK_SET, NULL), 0);
	n = tempfile_spooled_read(spooled, data, sizeof(data));
	assert_int_equal(n, strlen(text));
	assert_memory_equal(data, text, (size_t)n);
	assert_int_equal(tempfile_spooled_read(spooled, data, sizeof(data)), 0);
}

static void test_options(void **state)
{
	struct tempfile_spooled *spooled = NULL;
	int fd = AT_FDCWD;

	(void)state;
	assert_int_equal(tempfile_spooled_open(&spooled), -EINVAL); /* 0 is not "unlimited" */
	assert_int_equal(tempfile_spooled_open_with(&spooled, NULL), -EINVAL);
	assert_int_equal(tempfile_spooled_open(&spooled, .memory_max = 1, .name = "a"), -EINVAL);
	assert_int_equal(tempfile_spooled_open(&spooled, .memory_max = 1, .dir_fd = &fd), -EINVAL);
	assert_int_equal(tempfile_spooled_open(&spooled, .memory_max = 1, .prefix = "a/b"),
			 -EINVAL);
	assert_int_equal(
		tempfile_spooled_open(&spooled, .memory_max = 1, .deletion = TEMPFILE_DELETE_NEVER),
		-EINVAL);
	assert_null(spooled);
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	assert_int_equal(tempfile_spooled_close(NULL), 0);
}

static void test_exactly_at_the_limit_and_one_past_it(void **state)
{
	struct tempfile_spooled *spooled = opened(10);

	(void)state;
	put(spooled, "0123456789");
	assert_true(tempfile_spooled_is_in_memory(spooled));
	put(spooled, "");
	assert_true(tempfile_spooled_is_in_memory(spooled));
	assert_is(spooled, "0123456789");
	put(spooled, "x");
	assert_false(tempfile_spooled_is_in_memory(spooled));
	assert_is(spooled, "0123456789x");
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_overwriting_stays_in_memory(void **state)
{
	struct tempfile_spooled *spooled = opened(10);

	(void)state;
	put(spooled, "0123456789");
	for (int i = 0; i < 10; i++) {
		assert_int_equal(tempfile_spooled_seek(spooled, 5, SEEK_SET, NULL), 0);
		put(spooled, "abcde");
	}
	assert_true(tempfile_spooled_is_in_memory(spooled));
	assert_is(spooled, "01234abcde");
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

static void test_seeking_past_the_limit(void **state)
{
	struct tempfile_spooled *spooled = opened(10);
	struct tempfile *file = NULL;
	struct stat status;
	off_t position = 0;

	(void)state;
	assert_int_equal(tempfile_spooled_seek(spooled, 100, SEEK_SET, &position), 0);
	assert_int_equal(position, 100);
	assert_true(tempfile_spooled_is_in_memory(spooled)); /* nothing was written */
	assert_int_equal(tempfile_spooled_seek(spooled, -101, SEEK_CUR, NULL), -EINVAL);
	assert_int_equal(tempfile_spooled_seek(spooled, 0, 99, NULL), -EINVAL);
	put(spooled, "x");
	assert_int_equal(tempfile_spooled_file(spooled, &file), 0);
	assert_int_equal(fstat(tempfile_fd(file), &status), 0);
	assert_int_equal(status.st_size, 101);
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	spooled = opened(10);
	assert_int_equal(tempfile_spooled_seek(spooled, 3, SEEK_SET, NULL), 0);
	put(spooled, "x");
	assert_int_equal(tempfile_spooled_seek(spooled, -2, SEEK_END, &position), 0);
	assert_int_equal(position, 2);
	assert_int_equal(tempfile_spooled_truncate(spooled, 3), 0);
	assert_int_equal(tempfile_spooled_seek(spooled, 0, SEEK_END, &position), 0);
	assert_int_equal(position, 3);
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

static void test_truncating(void **state)
{
	struct tempfile_spooled *spooled = opened(10);

	(void)state;
	put(spooled, "abcdef");
	assert_int_equal(tempfile_spooled_truncate(spooled, 3), 0);
	assert_int_equal(tempfile_spooled_truncate(spooled, -1), -EINVAL);
	assert_is(spooled, "abc");
	assert_int_equal(tempfile_spooled_truncate(spooled, 5),
			 0); /* with zeros, not with old data */
	assert_int_equal(tempfile_spooled_seek(spooled, 5, SEEK_SET, NULL), 0);
	put(spooled, "z");
	assert_int_equal(tempfile_spooled_seek(spooled, 3, SEEK_SET, NULL), 0);
	{
		char data[4] = "";

		assert_int_equal(tempfile_spooled_read(spooled, data, 4), 3);
		assert_memory_equal(data, "\0\0z", 3);
	}
	assert_true(tempfile_spooled_is_in_memory(spooled));
	assert_int_equal(tempfile_spooled_truncate(spooled, 11), 0);
	assert_false(tempfile_spooled_is_in_memory(spooled));
	assert_int_equal(tempfile_spooled_truncate(spooled, 2), 0);
	assert_is(spooled, "ab");
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

/* Behind 4 GiB, where no number has only 32 bits. */
static void test_beyond_four_gibibytes(void **state)
{
	struct tempfile_spooled *spooled = opened(10);
	char byte = 0;

	(void)state;
	assert_int_equal(tempfile_spooled_seek(spooled, (off_t)5 << 30, SEEK_SET, NULL), 0);
	put(spooled, "x");
	assert_int_equal(tempfile_spooled_seek(spooled, -1, SEEK_CUR, NULL), 0);
	assert_int_equal(tempfile_spooled_read(spooled, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	spooled = opened(10);
	assert_int_equal(tempfile_spooled_seek(spooled, INT64_MAX, SEEK_SET, NULL), 0);
	assert_int_equal(tempfile_spooled_write(spooled, "x", 1), -EFBIG);
	assert_int_equal(tempfile_spooled_seek(spooled, 1, SEEK_CUR, NULL), -EINVAL);
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

static void test_appending(void **state)
{
	struct tempfile_spooled *spooled = NULL;

	(void)state;
	assert_int_equal(
		tempfile_spooled_open(&spooled, .memory_max = 8, .append = true, .dir = scratch),
		0);
	put(spooled, "hello");
	assert_int_equal(tempfile_spooled_seek(spooled, 0, SEEK_SET, NULL), 0);
	put(spooled, "X");
	assert_is(spooled, "helloX");
	assert_int_equal(tempfile_spooled_seek(spooled, 0, SEEK_SET, NULL), 0);
	put(spooled, "on the disk");
	assert_false(tempfile_spooled_is_in_memory(spooled));
	assert_is(spooled, "helloXon the disk");
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

static void test_rollover(void **state)
{
	struct tempfile_spooled *spooled = opened(100);
	struct tempfile *file = NULL;

	(void)state;
	put(spooled, "hello, world");
	assert_int_equal(tempfile_spooled_seek(spooled, 5, SEEK_SET, NULL), 0);
	assert_int_equal(tempfile_spooled_rollover(spooled), 0);
	assert_int_equal(tempfile_spooled_rollover(spooled), 0);
	assert_false(tempfile_spooled_is_in_memory(spooled));
	put(spooled, ";"); /* where it stood */
	assert_is(spooled, "hello; world");
	assert_int_equal(tempfile_spooled_file(spooled, &file), 0);
	assert_int_equal(lseek(tempfile_fd(file), 0, SEEK_CUR), 12);
	assert_int_equal(tempfile_persist(file, in_scratch("kept")), 0);
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	assert_int_equal(unlink(in_scratch("kept")), 0);
}

/* What was written stays, and can be read, when the disk cannot take it. */
static void test_a_rollover_that_fails(void **state)
{
	struct tempfile_spooled *spooled = opened(10);
	int fds = count_fds();

	(void)state;
	put(spooled, "0123456789");
	write_error = ENOSPC;
	assert_int_equal(tempfile_spooled_write(spooled, "x", 1), -ENOSPC);
	assert_int_equal(tempfile_spooled_rollover(spooled), -ENOSPC);
	assert_int_equal(tempfile_spooled_truncate(spooled, 11), -ENOSPC);
	assert_int_equal(count_fds(), fds);
	write_error = 0;
	assert_true(tempfile_spooled_is_in_memory(spooled));
	assert_is(spooled, "0123456789");
	put(spooled, "x");
	assert_is(spooled, "0123456789x");
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	assert_int_equal(tempfile_spooled_open(&spooled, .memory_max = 1, .dir = in_scratch("no")),
			 0);
	put(spooled, "a");
	assert_int_equal(tempfile_spooled_write(spooled, "b", 1), -ENOENT);
	assert_is(spooled, "a");
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

static void test_without_memory_it_goes_to_the_disk(void **state)
{
	struct tempfile_spooled *spooled = opened(MIB(1));

	(void)state;
	put(spooled, "hello");
	no_memory = true;
	assert_int_equal(tempfile_spooled_seek(spooled, KIB(100), SEEK_SET, NULL), 0);
	put(spooled, "x");
	no_memory = false;
	assert_false(tempfile_spooled_is_in_memory(spooled));
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
}

static void test_the_budget_of_the_process(void **state)
{
	struct tempfile_spooled *first = opened(MIB(1)), *second = opened(MIB(1));

	(void)state;
	tempfile_set_spooled_budget(KIB(8));
	put(first, "a");
	put(second, "b");
	assert_true(tempfile_spooled_is_in_memory(first));
	assert_true(tempfile_spooled_is_in_memory(second));
	assert_int_equal(tempfile_spooled_truncate(first, KIB(5)), 0);
	assert_false(tempfile_spooled_is_in_memory(first)); /* which makes room */
	assert_int_equal(tempfile_spooled_truncate(second, KIB(5)), 0);
	assert_true(tempfile_spooled_is_in_memory(second));
	assert_int_equal(tempfile_spooled_close(&first), 0);
	assert_int_equal(tempfile_spooled_close(&second), 0);
	first = opened(MIB(1));
	assert_int_equal(tempfile_spooled_truncate(first, KIB(8)), 0);
	assert_true(tempfile_spooled_is_in_memory(first)); /* all was given back */
	assert_int_equal(tempfile_spooled_close(&first), 0);
	tempfile_set_spooled_budget(0);
}

static void test_lines(void **state)
{
	static const size_t limits[] = {KIB(64), 1};
	char *line = NULL;
	size_t room = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct tempfile_spooled *spooled = opened(limits[i]);
		char large[10000];

		memset(large, 'y', sizeof(large));
		put(spooled, "one\n\nthree");
		put(spooled, "\n");
		assert_int_equal(tempfile_spooled_write(spooled, large, sizeof(large)), 0);
		put(spooled, "\nend");
		assert_int_equal(tempfile_spooled_seek(spooled, 0, SEEK_SET, NULL), 0);
		assert_int_equal(tempfile_spooled_getline(spooled, &line, &room), 4);
		assert_string_equal(line, "one\n");
		assert_int_equal(tempfile_spooled_getline(spooled, &line, &room), 1);
		assert_string_equal(line, "\n");
		assert_int_equal(tempfile_spooled_getline(spooled, &line, &room), 6);
		assert_string_equal(line, "three\n");
		assert_int_equal(tempfile_spooled_getline(spooled, &line, &room),
				 sizeof(large) + 1);
		assert_int_equal(tempfile_spooled_getline(spooled, &line, &room), 3);
		assert_string_equal(line, "end");
		assert_int_equal(tempfile_spooled_getline(spooled, &line, &room), 0);
		assert_string_equal(line, "");
		assert_int_equal(tempfile_spooled_close(&spooled), 0);
	}
	free(line);
}

/* One random step, on both. */
static void do_the_same(uint64_t *random, struct tempfile_spooled *spooled, int fd)
{
	uint8_t data[300], read_here[300], read_there[300];
	size_t size = random_below(random, sizeof(data));
	off_t at = (off_t)random_below(random, 700), position = 0;
	ssize_t n;

	switch (random_below(random, 6)) {
	case 0:
	case 1:
		random_fill(random, data, size);
		assert_int_equal(tempfile_spooled_write(spooled, data, size), 0);
		assert_int_equal(write(fd, data, size), (ssize_t)size);
		break;
	case 2:
		n = read(fd, read_there, size);
		assert_int_equal(tempfile_spooled_read(spooled, read_here, size), n);
		assert_memory_equal(read_here, read_there, (size_t)n);
		break;
	case 3:
		assert_int_equal(tempfile_spooled_truncate(spooled, at), 0);
		assert_int_equal(ftruncate(fd, at), 0);
		break;
	default:
		assert_int_equal(tempfile_spooled_seek(spooled, at, SEEK_SET, &position), 0);
		assert_int_equal(lseek(fd, at, SEEK_SET), position);
	}
	assert_int_equal(tempfile_spooled_seek(spooled, 0, SEEK_CUR, &position), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), position);
}

static void test_it_does_what_a_file_does(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct tempfile_spooled *spooled = opened(1 + seed * 5);
		struct tempfile *plain = NULL;
		uint64_t random = seed;

		assert_int_equal(tempfile_open_anonymous(&plain, .dir = scratch), 0);
		for (int i = 0; i < 100; i++)
			do_the_same(&random, spooled, tempfile_fd(plain));
		assert_int_equal(tempfile_close(&plain), 0);
		assert_int_equal(tempfile_spooled_close(&spooled), 0);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_options),
		TEST(test_exactly_at_the_limit_and_one_past_it),
		TEST(test_overwriting_stays_in_memory),
		TEST(test_seeking_past_the_limit),
		TEST(test_truncating),
		TEST(test_beyond_four_gibibytes),
		TEST(test_appending),
		TEST(test_rollover),
		TEST(test_a_rollover_that_fails),
		TEST(test_without_memory_it_goes_to_the_disk),
		TEST(test_the_budget_of_the_process),
		TEST(test_lines),
		TEST(test_it_does_what_a_file_does),
	};

	return cmocka_run_group_tests_name("tempfile_spooled", tests, NULL, NULL);
}
