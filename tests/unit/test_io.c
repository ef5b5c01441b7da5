/* Reads and writes that finish, on top of system calls that do less, are interrupted, or fail.
 * --wrap: pread pread64 pwrite pwrite64 write writev. */
#include "test_support.h"

#include "base/io.h"

#include <limits.h>

/* What the next calls do: a count, 0 for the end of the file, or −errno. */
static const ssize_t *plan;
static size_t calls;
static char medium[64]; /* the file */
static size_t position;

static ssize_t follow_plan(char *to, const char *from, size_t size)
{
	ssize_t n = plan[calls++];

	if (n < 0) {
		errno = (int)-n;
		return -1;
	}
	assert_true((size_t)n <= size);
	memcpy(to, from, (size_t)n);
	return n;
}

ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_writev(int fd, const struct iovec *stretches, int count);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t size, off_t offset);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	ssize_t n = follow_plan(medium + position, data, size);

	assert_int_equal(fd, 5);
	position += n > 0 ? (size_t)n : 0;
	return n;
}

/* As one write of all of them. */
ssize_t __wrap_writev(int fd, const struct iovec *stretches, int count)
{
	char whole[sizeof(medium)];
	size_t size = 0;

	assert_true(count > 0);
	assert_true(stretches[0].iov_len > 0);
	for (int i = 0; i < count; i++) {
		memcpy(whole + size, stretches[i].iov_base, stretches[i].iov_len);
		size += stretches[i].iov_len;
	}
	return __wrap_write(fd, whole, size);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	assert_int_equal(fd, 5);
	return follow_plan(medium + offset, data, size);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return __wrap_pwrite64(fd, data, size, offset);
}

ssize_t __wrap_pread64(int fd, void *data, size_t size, off_t offset)
{
	assert_int_equal(fd, 5);
	return follow_plan(data, medium + offset, size);
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset)
{
	return __wrap_pread64(fd, data, size, offset);
}

#define SIZE 10
#define TEXT "0123456789"

static const struct {
	ssize_t plan[5];
	size_t calls;
	int result;
	size_t done;
} writes[] = {
	{{10}, 1, 0, 10},
	{{1, 2, 3, 4}, 4, 0, 10},
	{{-EINTR, 10}, 2, 0, 10},
	{{4, -EINTR, -EINTR, 6}, 4, 0, 10},
	{{-ENOSPC}, 1, -ENOSPC, 0},
	{{7, -ENOSPC}, 2, -ENOSPC, 7},
	{{3, -EINTR, 3, -EIO}, 4, -EIO, 6},
	{{-EAGAIN}, 1, -EAGAIN, 0},
};

static void begin(const ssize_t *next)
{
	plan = next;
	calls = position = 0;
	memset(medium, '.', sizeof(medium));
}

static void test_write_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		size_t done = 99;

		begin(writes[i].plan);
		assert_int_equal(io_write_all(5, TEXT, SIZE, &done), writes[i].result);
		assert_int_equal(done, writes[i].done);
		assert_int_equal(calls, writes[i].calls);
		assert_memory_equal(medium, TEXT, done);
		assert_int_equal(medium[done], '.');
		begin(writes[i].plan);
		assert_int_equal(io_write_all(5, TEXT, SIZE, NULL), writes[i].result);
	}
}

/* The same calls, whatever stretches the text is cut into. */
static void test_writev_all(void **state)
{
	static const size_t cuts[][4] = {
		{10}, {1, 2, 3, 4}, {0, 5, 0, 5}, {4, 0, 0, 6}, {9, 1, 0, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(cuts); j++) {
			struct iovec stretches[4], before[4];
			size_t done = 99, at = 0;

			for (size_t k = 0; k < 4; at += cuts[j][k++])
				stretches[k] =
					(struct iovec){(char *)(uintptr_t)TEXT + at, cuts[j][k]};
			memcpy(before, stretches, sizeof(before));
			begin(writes[i].plan);
			assert_int_equal(io_writev_all(5, stretches, 4, &done), writes[i].result);
			assert_int_equal(done, writes[i].done);
			assert_int_equal(calls, writes[i].calls);
			assert_memory_equal(medium, TEXT, done);
			assert_int_equal(medium[done], '.');
			assert_memory_equal(stretches, before, sizeof(before)); /* to try again */
		}
	}
}

static void test_writev_more_than_one_call_takes(void **state)
{
	static struct iovec stretches[IOV_MAX + 1];
	static const ssize_t both[] = {IOV_MAX / 32, 1};
	size_t done;

	(void)state;
	for (size_t i = 0; i <= IOV_MAX; i++)
		stretches[i] = (struct iovec){(char *)(uintptr_t) "x", i % 32 == 0};
	begin(both);
	assert_int_equal(io_writev_all(5, stretches, IOV_MAX + 1, &done), 0);
	assert_int_equal(done, IOV_MAX / 32 + 1);
	assert_int_equal(calls, 2);
}

static void test_write_nothing(void **state)
{
	size_t done = 99;

	(void)state;
	begin(NULL);
	assert_int_equal(io_write_all(5, NULL, 0, &done), 0);
	assert_int_equal(done, 0);
	done = 99;
	assert_int_equal(io_writev_all(5, NULL, 0, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(calls, 0);
}

static void test_pwrite_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		begin(writes[i].plan);
		assert_int_equal(io_pwrite_all(5, TEXT, SIZE, 20), writes[i].result);
		assert_int_equal(calls, writes[i].calls);
		assert_int_equal(medium[19], '.');
		assert_memory_equal(medium + 20, TEXT, writes[i].done);
		assert_int_equal(medium[20 + writes[i].done], '.');
	}
}

static void test_pread_all(void **state)
{
	static const struct {
		ssize_t plan[5];
		size_t calls;
		ssize_t result;
	} reads[] = {
		{{10}, 1, 10},	   {{1, 2, 3, 4}, 4, 10}, {{-EINTR, 4, -EINTR, 6}, 4, 10},
		{{0}, 1, 0},	   {{6, 0}, 2, 6},	  {{6, -EINTR, 0}, 3, 6},
		{{-EIO}, 1, -EIO}, {{6, -EIO}, 2, -EIO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
		char data[SIZE + 1] = "..........";

		begin(reads[i].plan);
		memcpy(medium + 20, TEXT, SIZE);
		assert_int_equal(io_pread_all(5, data, SIZE, 20), reads[i].result);
		assert_int_equal(calls, reads[i].calls);
		if (reads[i].result > 0)
			assert_memory_equal(data, TEXT, (size_t)reads[i].result);
		assert_int_equal(data[SIZE], '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_all),
		cmocka_unit_test(test_writev_all),
		cmocka_unit_test(test_writev_more_than_one_call_takes),
		cmocka_unit_test(test_write_nothing),
		cmocka_unit_test(test_pwrite_all),
		cmocka_unit_test(test_pread_all),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
