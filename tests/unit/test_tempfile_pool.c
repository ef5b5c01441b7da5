/* Files that share a limit.
 * --wrap: write fstatvfs fstatvfs64. */
#include "test_tempfile_support.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

static size_t write_most; /* a short write, then ENOSPC */
static uint64_t all_bytes = UINT64_MAX, free_bytes;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	size_t most = write_most;

	if (most == 0)
		return __real_write(fd, data, size);
	if (most == 1) {
		errno = ENOSPC;
		return -1;
	}
	write_most = 1;
	return __real_write(fd, data, MIN(size, most));
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs);
int __wrap_fstatvfs(int fd, struct statvfs *fs);

int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	(void)fd;
	*fs = (struct statvfs){.f_blocks = all_bytes, .f_bavail = free_bytes, .f_frsize = 1};
	return 0;
}

int __wrap_fstatvfs(int fd, struct statvfs *fs)
{
	return __wrap_fstatvfs64(fd, fs);
}

static struct tempfile_pool *pool;

static void make_pool(uint64_t bytes_max, uint64_t free_min)
{
	struct tempfile_pool_options options = {.bytes_max = bytes_max, .free_min = free_min};

	assert_int_equal(tempfile_pool_new(&pool, &options), 0);
}

static struct tempfile *opened(void)
{
	struct tempfile *file = NULL;

	assert_int_equal(tempfile_open_anonymous(&file, .dir = scratch, .pool = pool), 0);
	return file;
}

static void assert_stats(uint64_t files, uint64_t bytes, uint64_t peak)
{
	struct tempfile_pool_stats stats = tempfile_pool_stats(pool);

	assert_int_equal(stats.files, files);
	assert_int_equal(stats.bytes, bytes);
	assert_int_equal(stats.peak_bytes, peak);
}

static off_t size_of(const struct tempfile *file)
{
	struct stat status;

	assert_int_equal(fstat(tempfile_fd(file), &status), 0);
	return status.st_size;
}

static void test_the_limit_is_for_all_together(void **state)
{
	struct tempfile *first, *second;

	(void)state;
	make_pool(10, 0);
	first = opened();
	second = opened();
	assert_int_equal(tempfile_write(first, "123456", 6), 0);
	assert_int_equal(tempfile_write(second, "12345", 5), -EDQUOT);
	assert_int_equal(size_of(second), 0); /* all or nothing */
	assert_int_equal(tempfile_write(second, "1234", 4), 0);
	assert_stats(2, 10, 10);
	assert_int_equal(lseek(tempfile_fd(first), 0, SEEK_SET), 0);
	assert_int_equal(tempfile_write(first, "abcdef", 6), 0); /* it is no larger by that */
	assert_int_equal(tempfile_write(first, "x", 1), -EDQUOT);
	assert_int_equal(tempfile_close(&second), 0);
	assert_stats(1, 6, 10);
	assert_int_equal(tempfile_write(first, "ghij", 4), 0);
	assert_int_equal(tempfile_close(&first), 0);
	assert_stats(0, 0, 10);
	tempfile_pool_free(pool);
	tempfile_pool_free(NULL);
}

static void test_streams_are_charged(void **state)
{
	struct tempfile *file;
	char text[20] = "";

	(void)state;
	make_pool(10, 0);
	file = opened();
	assert_true(fputs("12345678", tempfile_stream(file)) >= 0);
	assert_int_equal(fflush(tempfile_stream(file)), 0);
	assert_stats(1, 8, 8);
	rewind(tempfile_stream(file));
	assert_non_null(fgets(text, sizeof(text), tempfile_stream(file)));
	assert_string_equal(text, "12345678");
	fseek(tempfile_stream(file), 0, SEEK_END);
	assert_true(fputs("abc", tempfile_stream(file)) >= 0);
	errno = 0;
	assert_int_equal(fflush(tempfile_stream(file)), EOF);
	assert_int_equal(errno, EDQUOT);
	assert_int_equal(size_of(file), 8);
	assert_true(tempfile_close(&file) < 0); /* it was not written, and is not forgotten */
	assert_stats(0, 0, 8);
	tempfile_pool_free(pool);
}

static void test_what_is_reserved_is_charged(void **state)
{
	struct tempfile *file;
	void *memory = NULL;
	int r;

	(void)state;
	make_pool(MIB(1), 0);
	file = opened();
	assert_int_equal(tempfile_reserve(file, MIB(1) + 1), -EDQUOT);
	assert_int_equal(tempfile_map(file, MIB(1) + 1, &memory), -EDQUOT);
	assert_int_equal(size_of(file), 0);
	r = tempfile_reserve(file, KIB(512));
	assert_true(r == 0 || r == -EOPNOTSUPP);
	assert_stats(1, KIB(512), KIB(512));
	assert_int_equal(tempfile_map(file, MIB(1), &memory), 0);
	assert_int_equal(munmap(memory, MIB(1)), 0);
	assert_stats(1, MIB(1), MIB(1));
	assert_int_equal(tempfile_close(&file), 0);
	tempfile_pool_free(pool);
}

static void test_some_of_the_disk_stays_free(void **state)
{
	struct tempfile *file;

	(void)state;
	make_pool(0, 1000);
	file = opened();
	free_bytes = 1005;
	assert_int_equal(tempfile_write(file, "123456", 6), -ENOSPC);
	assert_int_equal(tempfile_write(file, "12345", 5), 0);
	free_bytes = 3;
	assert_int_equal(tempfile_write(file, "x", 1), -ENOSPC);
	assert_stats(1, 5, 5);
	assert_int_equal(tempfile_close(&file), 0);
	tempfile_pool_free(pool);
}

/* A file in memory is on no disk that could become full. */
static void test_memory_has_no_disk(void **state)
{
	struct tempfile *file = NULL;

	(void)state;
	make_pool(0, 1000);
	all_bytes = free_bytes = 0;
	assert_int_equal(tempfile_open_anonymous(&file, .memory = true, .pool = pool), 0);
	assert_int_equal(tempfile_write(file, "x", 1), 0);
	all_bytes = UINT64_MAX;
	assert_int_equal(tempfile_close(&file), 0);
	tempfile_pool_free(pool);
}

/* What could not be had is not charged for. */
static void test_a_refusal_of_the_system_is_refunded(void **state)
{
	struct tempfile *file;
	void *memory = NULL;

	(void)state;
	make_pool(0, 0);
	file = opened();
	assert_true(tempfile_reserve(file, UINT64_MAX / 4) < 0);
	assert_true(tempfile_map(file, SIZE_MAX / 4, &memory) < 0);
	assert_int_equal(tempfile_pool_stats(pool).bytes, 0);
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(tempfile_reserve(file, 100), -EBADF);
	assert_int_equal(tempfile_map(file, 100, &memory), -EBADF);
	assert_int_equal(tempfile_pool_stats(pool).bytes, 0);
	assert_int_equal(tempfile_close(&file), 0);
	tempfile_pool_free(pool);
}

static void test_spooled_files_are_charged_on_the_disk(void **state)
{
	struct tempfile_spooled *spooled = NULL;

	(void)state;
	make_pool(10, 0);
	assert_int_equal(
		tempfile_spooled_open(&spooled, .memory_max = 4, .dir = scratch, .pool = pool), 0);
	assert_int_equal(tempfile_spooled_write(spooled, "1234", 4), 0);
	assert_stats(0, 0, 0);
	assert_int_equal(tempfile_spooled_write(spooled, "567890", 6), 0);
	assert_stats(1, 10, 10);
	assert_int_equal(tempfile_spooled_write(spooled, "x", 1), -EDQUOT);
	assert_int_equal(tempfile_spooled_truncate(spooled, 11), -EDQUOT);
	assert_int_equal(tempfile_spooled_close(&spooled), 0);
	assert_stats(0, 0, 10);
	tempfile_pool_free(pool);
}

/* The disk is full before the limit is: what was not written is not charged. */
static void test_a_write_in_part(void **state)
{
	struct tempfile *file;

	(void)state;
	make_pool(100, 0);
	file = opened();
	write_most = 3;
	assert_int_equal(tempfile_write(file, "1234567890", 10), -ENOSPC);
	write_most = 0;
	assert_int_equal(size_of(file), 3);
	assert_int_equal(tempfile_pool_stats(pool).bytes, 3);
	assert_int_equal(tempfile_close(&file), 0);
	tempfile_pool_free(pool);
}

static void test_appending(void **state)
{
	struct tempfile *file = NULL;

	(void)state;
	make_pool(10, 0);
	assert_int_equal(tempfile_open(&file, .dir = scratch, .pool = pool, .append = true), 0);
	assert_int_equal(tempfile_write(file, "12345", 5), 0);
	assert_int_equal(lseek(tempfile_fd(file), 0, SEEK_SET), 0);
	assert_int_equal(tempfile_write(file, "67890", 5), 0); /* behind the rest all the same */
	assert_stats(1, 10, 10);
	assert_int_equal(lseek(tempfile_fd(file), 0, SEEK_SET), 0);
	assert_int_equal(tempfile_write(file, "x", 1), -EDQUOT);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(
		tempfile_open_anonymous(&file, .dir = scratch, .pool = pool, .stream_mode = "a+"),
		0);
	assert_true(fputs("12345", tempfile_stream(file)) >= 0);
	rewind(tempfile_stream(file));
	assert_true(fputs("67890", tempfile_stream(file)) >= 0);
	assert_int_equal(fflush(tempfile_stream(file)), 0);
	assert_int_equal(size_of(file), 10);
	assert_int_equal(tempfile_close(&file), 0);
	tempfile_pool_free(pool);
}

static void test_without_a_pool(void **state)
{
	struct tempfile *file = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&file, .dir = scratch), 0);
	assert_true(fputs("in the stream, ", tempfile_stream(file)) >= 0);
	assert_int_equal(tempfile_write(file, "behind it", 9), 0);
	assert_int_equal(size_of(file), 24);
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(tempfile_write(file, "x", 1), -EBADF);
	assert_int_equal(tempfile_close(&file), 0);
}

#define LIMIT 100000

static void *write_until_refused(void *data)
{
	struct tempfile *file = opened();

	(void)data;
	while (tempfile_write(file, "0123456", 7) == 0)
		assert_true(tempfile_pool_stats(pool).bytes <= LIMIT);
	assert_int_equal(tempfile_close(&file), 0);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	make_pool(LIMIT, 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_until_refused, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(tempfile_pool_stats(pool).bytes, 0);
	assert_true(tempfile_pool_stats(pool).peak_bytes > LIMIT - 7);
	assert_true(tempfile_pool_stats(pool).peak_bytes <= LIMIT);
	tempfile_pool_free(pool);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_limit_is_for_all_together),
		TEST(test_streams_are_charged),
		TEST(test_what_is_reserved_is_charged),
		TEST(test_some_of_the_disk_stays_free),
		TEST(test_memory_has_no_disk),
		TEST(test_a_refusal_of_the_system_is_refunded),
		TEST(test_spooled_files_are_charged_on_the_disk),
		TEST(test_a_write_in_part),
		TEST(test_appending),
		TEST(test_without_a_pool),
		TEST(test_threads),
	};

	return cmocka_run_group_tests_name("tempfile_pool", tests, NULL, NULL);
}
