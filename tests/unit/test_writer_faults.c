/* A segment on a disk that fails: whichever write it is that fails, and however much of it was
 * done, what was committed before stays, exactly, and can be sealed. On one that is full, the same
 * commit is done later, and nothing is missing.
 * --wrap: fallocate fallocate64 ftruncate ftruncate64 write writev. */
#include "test_spool_support.h"

#include "base/io.h"
#include "spool/appender.h"
#include "spool/writer.h"

#define MEMORY_SIZE KIB(4)

/* Which write fails, from 1, 0 for none; how much of it is done before; and with what. */
static struct {
	int at;
	size_t partly;
	int error;
	int seen;
} write_fault;

static int fallocate_error, fallocate_calls, ftruncate_error;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	write_fault.seen++;
	if (write_fault.at == 0 || write_fault.seen < write_fault.at)
		return __real_write(fd, data, size);
	if (write_fault.seen == write_fault.at && write_fault.partly > 0)
		return __real_write(fd, data, MIN(size, write_fault.partly));
	errno = write_fault.error;
	return -1;
}

ssize_t __wrap_writev(int fd, const struct iovec *stretches, int count);

/* As one write of all of them. */
ssize_t __wrap_writev(int fd, const struct iovec *stretches, int count)
{
	static uint8_t whole[2 * MEMORY_SIZE];
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		assert_true(size + stretches[i].iov_len <= sizeof(whole));
		memcpy(whole + size, stretches[i].iov_base, stretches[i].iov_len);
		size += stretches[i].iov_len;
	}
	return __wrap_write(fd, whole, size);
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size);

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size)
{
	fallocate_calls++;
	if (fallocate_error == 0)
		return __real_fallocate64(fd, mode, offset, size);
	errno = fallocate_error;
	return -1;
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
	return __wrap_fallocate64(fd, mode, offset, size);
}

int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);

int __wrap_ftruncate64(int fd, off_t size)
{
	if (ftruncate_error == 0)
		return __real_ftruncate64(fd, size);
	errno = ftruncate_error;
	return -1;
}

int __wrap_ftruncate(int fd, off_t size)
{
	return __wrap_ftruncate64(fd, size);
}

static void no_faults(void)
{
	memset(&write_fault, 0, sizeof(write_fault));
	fallocate_error = fallocate_calls = ftruncate_error = 0;
}

static int setup(void **state)
{
	no_faults();
	return setup_scratch(state);
}

static int teardown(void **state)
{
	no_faults();
	return teardown_scratch(state);
}

static void fail_writes(int at, size_t partly, int error)
{
	write_fault.at = at;
	write_fault.partly = partly;
	write_fault.error = error;
	write_fault.seen = 0;
}

/* Whether a commit that failed for want of room is tried again, or given up. */
enum when_full {
	GIVE_UP,
	TRY_AGAIN
};

/* The files are what they were before a commit that failed. */
static void assert_sizes(const struct writer_options *options, const off_t before[2])
{
	assert_int_equal(size_of_file(options->dir_fd, 0, FORMAT_DATA_SUFFIX), before[0]);
	assert_int_equal(size_of_file(options->dir_fd, 0, FORMAT_OPEN_SUFFIX), before[1]);
}

/* There is no room, again and again; then there is. The memory of the pieces is used for something
 * else meanwhile. */
static void commit_later(struct writer *writer, const struct writer_options *options,
			 uint8_t *memory, const off_t before[2])
{
	for (int i = 0; i < 3; i++) {
		assert_sizes(options, before);
		memset(memory, 0x55, MEMORY_SIZE);
		write_fault.at = write_fault.seen + 1;
		assert_int_equal(writer_commit(writer, UINT64_MAX), -write_fault.error);
	}
	assert_sizes(options, before);
	write_fault.at = 0;
	assert_int_equal(writer_commit(writer, UINT64_MAX), 0);
}

/* Sends messages of `size_of` until a commit fails or `until` was sent. Returns how many were
 * committed before. */
static uint64_t send(struct writer *writer, const struct writer_options *options,
		     struct source *source, uint64_t until, enum when_full when_full)
{
	static uint8_t memory[MEMORY_SIZE];
	static struct message_batch batch;
	uint64_t committed = source->number;

	while (source->number < until) {
		off_t before[2] = {size_of_file(options->dir_fd, 0, FORMAT_DATA_SUFFIX),
				   size_of_file(options->dir_fd, 0, FORMAT_OPEN_SUFFIX)};
		size_t at = 0;
		int r;

		source_fill(source, &batch, memory, sizeof(memory), until);
		writer_append(writer, &batch, &at);
		assert_int_equal(at, batch.count);
		r = writer_commit(writer, UINT64_MAX);
		if (r < 0) {
			assert_int_equal(r, -write_fault.error);
			if (when_full == GIVE_UP)
				return committed;
			commit_later(writer, options, memory, before);
		}
		committed = source->number;
	}
	return committed;
}

static void assert_holds(int dir_fd, size_t (*size_of)(uint64_t), bool sealed, uint64_t messages)
{
	struct check check = {.size_of = size_of};

	check_segment(&check, dir_fd, 0, sealed);
	if (check.messages != messages)
		fail_msg("write %d, %zu bytes done: %llu messages, not %llu", write_fault.at,
			 write_fault.partly, (unsigned long long)check.messages,
			 (unsigned long long)messages);
}

/* One whole life with one write that fails. Returns false when there was none left to fail. */
static bool live(size_t (*size_of)(uint64_t), uint64_t messages, enum when_full when_full)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct writer_options options = {
		.path = scratch, .dir_fd = dir_fd, .bytes_max = UINT64_MAX};
	struct source source = {.size_of = size_of};
	struct writer *writer = NULL;
	uint64_t committed;
	bool failed;
	int at = write_fault.at;

	write_fault.at = 0;
	assert_int_equal(writer_open(&options, &writer), 0);
	write_fault.at = at;
	write_fault.seen = 0;
	committed = send(writer, &options, &source, messages, when_full);
	failed = write_fault.seen >= at;
	if (io_is_full(-write_fault.error))
		assert_int_equal(writer_give_up(writer), 0);
	assert_int_equal(writer_committed(writer).messages, committed);
	assert_true(when_full == GIVE_UP || committed == messages);
	assert_false(writer_in_message(writer));
	assert_holds(dir_fd, size_of, false, committed);
	assert_int_equal(writer_seal(writer), 0);
	assert_holds(dir_fd, size_of, true, committed);
	writer_free(writer);
	empty_scratch();
	return failed;
}

static size_t longer_than_the_buffer(uint64_t number)
{
	return number % 3 == 1 ? 3 * MEMORY_SIZE + 7 : 100;
}

/* Every write of such a life fails once. */
static void live_with_each(size_t (*size_of)(uint64_t), uint64_t messages, int error,
			   enum when_full when_full)
{
	static const size_t parts[] = {0, 1, 31, 32, 33, 1000};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int at = 0;

		do {
			no_faults();
			fail_writes(++at, parts[i], error);
		} while (live(size_of, messages, when_full));
		assert_true(at > 10);
	}
	no_faults();
}

static void test_every_write_failed_in_turn(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		live_with_each(small_sizes, 300, errors[i], GIVE_UP);
		live_with_each(longer_than_the_buffer, 12, errors[i], GIVE_UP);
	}
}

static void test_every_write_done_later(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		live_with_each(small_sizes, 300, errors[i], TRY_AGAIN);
		live_with_each(longer_than_the_buffer, 12, errors[i], TRY_AGAIN);
	}
}

/* A message whose beginning is in the file already and whose middle waits is dropped. */
static void test_a_message_that_waits_is_dropped(void **state)
{
	static const int writes[] = {1, 3, 4}; /* its first part waits, or a later one */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		CLEANUP_FD int dir_fd = open_dir(scratch);
		struct writer_options options = {
			.path = scratch, .dir_fd = dir_fd, .bytes_max = UINT64_MAX};
		struct source source = {.size_of = longer_than_the_buffer};
		struct writer *writer = NULL;

		assert_int_equal(writer_open(&options, &writer), 0);
		fail_writes(writes[i], 10, ENOSPC);
		send(writer, &options, &source, 2, GIVE_UP);
		assert_true(writer_in_message(writer));
		write_fault.at = 0;
		assert_int_equal(writer_drop_open_message(writer), 0);
		assert_int_equal(writer_commit(writer, 0), 0);
		assert_holds(dir_fd, longer_than_the_buffer, false, 1);
		assert_int_equal(writer_seal(writer), 0);
		assert_holds(dir_fd, longer_than_the_buffer, true, 1);
		writer_free(writer);
		no_faults();
		empty_scratch();
	}
}

/* A file system that finds no room to make a file smaller: it is done at the next try. */
static void test_a_cut_for_which_there_is_no_room(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct writer_options options = {
		.path = scratch, .dir_fd = dir_fd, .bytes_max = UINT64_MAX};
	struct source source = {.size_of = small_sizes};
	struct writer *writer = NULL;

	(void)state;
	assert_int_equal(writer_open(&options, &writer), 0);
	fail_writes(2, 40, ENOSPC);
	ftruncate_error = ENOSPC;
	assert_int_equal(send(writer, &options, &source, 5, GIVE_UP), 0);
	assert_int_equal(writer_commit(writer, 0), -ENOSPC);
	no_faults();
	assert_int_equal(writer_commit(writer, 0), 0);
	assert_int_equal(writer_committed(writer).messages, 5);
	assert_int_equal(writer_seal(writer), 0);
	assert_holds(dir_fd, small_sizes, true, 5);
	writer_free(writer);
}

static void test_errors_are_told_as_themselves(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT, EIO, EFBIG, EROFS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		CLEANUP_FD int dir_fd = open_dir(scratch);
		struct writer_options options = {
			.path = scratch, .dir_fd = dir_fd, .bytes_max = UINT64_MAX};
		struct source source = {.size_of = small_sizes};
		struct writer *writer = NULL;

		fail_writes(1, 0, errors[i]);
		assert_int_equal(writer_open(&options, &writer), -errors[i]);
		assert_null(writer);
		assert_int_equal(count_entries(scratch), 0);
		fail_writes(2, 0, errors[i]);
		assert_int_equal(writer_open(&options, &writer), 0);
		assert_int_equal(send(writer, &options, &source, 5, GIVE_UP), 0);
		writer_free(writer);
		no_faults();
		empty_scratch();
	}
}

/* The header was written in part: the segment does not come to be. */
static void test_a_header_in_part(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct writer_options options = {.path = scratch, .dir_fd = dir_fd, .bytes_max = 1};
	struct writer *writer = NULL;

	(void)state;
	fail_writes(1, 20, ENOSPC);
	assert_int_equal(writer_open(&options, &writer), -ENOSPC);
	assert_int_equal(count_entries(scratch), 0);
}

/* The appender alone, in a file of the scratch directory. */
struct file {
	int fd;
	struct appender appender;
};

static void file_open(struct file *file)
{
	int fd = open(in_scratch("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	*file = (struct file){.fd = fd, .appender = {.fd = fd}};
}

static void file_closep(struct file *file)
{
	close(file->fd);
}

#define FILE_IN_SCRATCH CLEANUP(file_close) struct file

static void assert_size(const struct file *file, uint64_t size)
{
	struct stat status;

	assert_int_equal(fstat(file->fd, &status), 0);
	assert_int_equal(status.st_size, size);
	assert_int_equal(file->appender.size, size);
}

static uint8_t block[KIB(64)];

static void test_space_is_reserved_for_large_writes_alone(void **state)
{
	FILE_IN_SCRATCH file;

	(void)state;
	file_open(&file);
	assert_int_equal(appender_write(&file.appender, block, 100, UINT64_MAX), 0);
	assert_int_equal(fallocate_calls, 0);
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), UINT64_MAX), 0);
	assert_int_equal(fallocate_calls, 1);
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), UINT64_MAX), 0);
	assert_int_equal(fallocate_calls, 1);	     /* it was for several writes */
	assert_size(&file, 100 + 2 * sizeof(block)); /* what is reserved is no part of it */
}

static void test_space_is_reserved_only_where_some_is_spare(void **state)
{
	FILE_IN_SCRATCH file;

	(void)state;
	file_open(&file);
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), 0), 0);
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), sizeof(block)), 0);
	assert_int_equal(fallocate_calls, 0);
	assert_int_equal(appender_held(&file.appender), 2 * sizeof(block));
}

static void test_where_space_cannot_be_reserved(void **state)
{
	static const int errors[] = {EOPNOTSUPP, ENOSYS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		FILE_IN_SCRATCH file;

		file_open(&file);
		fallocate_calls = 0;
		fallocate_error = errors[i];
		for (int n = 0; n < 3; n++)
			assert_int_equal(
				appender_write(&file.appender, block, sizeof(block), UINT64_MAX),
				0);
		assert_int_equal(fallocate_calls, 1); /* not asked again */
		assert_size(&file, 3 * sizeof(block));
		assert_int_equal(appender_held(&file.appender), 3 * sizeof(block));
		empty_scratch();
	}
}

static void test_no_space_to_reserve_is_no_error(void **state)
{
	FILE_IN_SCRATCH file;

	(void)state;
	file_open(&file);
	fallocate_error = ENOSPC;
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), UINT64_MAX), 0);
	assert_size(&file, sizeof(block));
	fail_writes(1, 0, ENOSPC);
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), UINT64_MAX), -ENOSPC);
}

static void test_a_write_in_part_is_counted_and_cut(void **state)
{
	FILE_IN_SCRATCH file;

	(void)state;
	file_open(&file);
	assert_int_equal(appender_write(&file.appender, "abc", 3, 0), 0);
	fail_writes(1, 2, ENOSPC);
	assert_int_equal(appender_write(&file.appender, "defg", 4, 0), -ENOSPC);
	assert_size(&file, 5);
	assert_int_equal(appender_cut(&file.appender, 3), 0);
	assert_size(&file, 3);
	no_faults();
	assert_int_equal(appender_write(&file.appender, "x", 1, 0), 0); /* at the end again */
	assert_size(&file, 4);
}

static void test_trim_gives_back_what_was_reserved(void **state)
{
	FILE_IN_SCRATCH file;

	(void)state;
	file_open(&file);
	assert_int_equal(appender_trim(&file.appender), 0);
	assert_int_equal(appender_write(&file.appender, block, sizeof(block), UINT64_MAX), 0);
	assert_int_equal(appender_trim(&file.appender), 0);
	assert_int_equal(appender_held(&file.appender), sizeof(block));
	assert_size(&file, sizeof(block));
}

static void test_a_cut_that_fails(void **state)
{
	FILE_IN_SCRATCH file;

	(void)state;
	file_open(&file);
	assert_int_equal(appender_write(&file.appender, "abc", 3, 0), 0);
	ftruncate_error = EIO;
	assert_int_equal(appender_cut(&file.appender, 1), -EIO);
	assert_size(&file, 3);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_write_failed_in_turn),
		TEST(test_every_write_done_later),
		TEST(test_a_message_that_waits_is_dropped),
		TEST(test_a_cut_for_which_there_is_no_room),
		TEST(test_errors_are_told_as_themselves),
		TEST(test_a_header_in_part),
		TEST(test_space_is_reserved_for_large_writes_alone),
		TEST(test_space_is_reserved_only_where_some_is_spare),
		TEST(test_where_space_cannot_be_reserved),
		TEST(test_no_space_to_reserve_is_no_error),
		TEST(test_a_write_in_part_is_counted_and_cut),
		TEST(test_trim_gives_back_what_was_reserved),
		TEST(test_a_cut_that_fails),
	};

	return cmocka_run_group_tests_name("writer_faults", tests, NULL, NULL);
}
