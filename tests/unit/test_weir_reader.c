/* The public reader: what it gives of a spool, how it waits for one that is written, and what it
 * acknowledges when it owns one.
 * --wrap: none. */
#include "test_spool_support.h"

#include "spool/pack.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <weir.h>

static int dir_fd = -1;

static int setup(void **state)
{
	return setup_scratch_fd(state, &dir_fd);
}

static int teardown(void **state)
{
	return teardown_scratch_fd(state, dir_fd);
}

static void weir_reader_closep(struct weir_reader **reader)
{
	weir_reader_close(*reader);
}

#define READER CLEANUP(weir_reader_close) struct weir_reader
#define SECOND UINT64_C(1000000000)
#define LARGE (READER_WINDOW * 2 + 17)

/* An event, and `count` messages behind it; the last one is a large one if `large` is set. */
static void put_records(uint64_t first_seq, uint64_t count, const char *suffix, bool large)
{
	size_t data_size = count * 2 + (large ? LARGE : 0);
	CLEANUP_FREE uint8_t *data = malloc(data_size);
	CLEANUP_FREE uint8_t *index = malloc(FORMAT_HEADER_SIZE + (count + 1) * FORMAT_ENTRY_SIZE);
	struct format_entry entry = {.kind = FORMAT_CONNECTED, .time_ns = first_seq * SECOND};
	size_t at = 0;

	assert_non_null(data);
	assert_non_null(index);
	format_write_header(index, &(struct format_header){.first_seq = first_seq});
	format_write_entry(index + FORMAT_HEADER_SIZE, &entry, 0);
	for (uint64_t i = 1; i <= count; i++) {
		size_t size = large && i == count ? LARGE : 1;

		entry = (struct format_entry){.offset = at,
					      .length = size,
					      .kind = FORMAT_BINARY,
					      .source = 3,
					      .connection = 4,
					      .time_ns = (first_seq + i) * SECOND};
		for (size_t k = 0; k < size; k++)
			data[at + k] = (uint8_t)(first_seq + i + k);
		data[at + size] = '\n';
		format_write_entry(index + FORMAT_HEADER_SIZE + i * FORMAT_ENTRY_SIZE, &entry,
				   crc32c(0, data + at, size));
		at += size + 1;
	}
	put_segment_file(dir_fd, first_seq, FORMAT_DATA_SUFFIX, data, at);
	put_segment_file(dir_fd, first_seq, suffix, index,
			 FORMAT_HEADER_SIZE + (count + 1) * FORMAT_ENTRY_SIZE);
}

static struct weir_reader *open_reader(bool live, bool own)
{
	struct weir_reader *reader = NULL;
	const struct weir_reader_options options = {.live = live, .own = own};

	assert_int_equal(weir_reader_open(scratch, &options, &reader), 0);
	assert_non_null(reader);
	return reader;
}

static void expect_seq(struct weir_reader *reader, uint64_t seq)
{
	struct weir_record record;

	assert_int_equal(weir_reader_next(reader, &record), 1);
	assert_int_equal(record.seq, seq);
}

static void expect_end(struct weir_reader *reader)
{
	struct weir_record record;

	assert_int_equal(weir_reader_next(reader, &record), 0);
}

static void test_records(void **state)
{
	READER *reader = NULL;
	struct weir_record record;

	(void)state;
	put_records(10, 300, FORMAT_INDEX_SUFFIX, false);
	put_records(311, 2, FORMAT_OPEN_SUFFIX, true);
	assert_int_equal(weir_reader_open(scratch, NULL, &reader), 0);
	assert_string_equal(weir_reader_message(reader), "");
	for (uint64_t seq = 10; seq < 313; seq++) {
		bool event = seq == 10 || seq == 311;
		uint8_t byte = 0;

		assert_int_equal(weir_reader_next(reader, &record), 1);
		assert_int_equal(record.seq, seq);
		assert_int_equal(record.time_ns, seq * SECOND);
		assert_int_equal(record.kind, event ? WEIR_EVENT_CONNECTED : WEIR_BINARY);
		assert_int_equal(record.source, event ? 0 : 3);
		assert_int_equal(record.connection, event ? 0 : 4);
		assert_int_equal(record.size, event ? 0 : 1);
		assert_int_equal(record.skipped, 0);
		assert_int_equal(record.payload != NULL, !event);
		assert_int_equal(weir_reader_payload(reader, 0, &byte, 1), !event);
		assert_int_equal(byte, event ? 0 : (uint8_t)seq);
		assert_int_equal(weir_reader_payload(reader, 1, &byte, 1), 0);
	}
	assert_int_equal(weir_reader_next(reader, &record), 1);
	assert_int_equal(record.size, LARGE);
	assert_null(record.payload);
	for (uint64_t at = 0; at < LARGE;) {
		uint8_t part[4099];
		ssize_t n = weir_reader_payload(reader, at, part, sizeof(part));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++, at++)
			assert_int_equal(part[i], (uint8_t)(313 + at));
	}
	expect_end(reader);
	expect_end(reader);
	assert_false(weir_reader_wait(reader, -1));
}

static void test_what_cannot_be_opened(void **state)
{
	const struct weir_reader_options both = {.live = true, .own = true}, own = {.own = true};
	struct weir_reader *reader = NULL;
	CLEANUP_FD int lock_fd = -1;

	(void)state;
	assert_int_equal(weir_reader_open(scratch, &both, &reader), -EINVAL);
	assert_int_equal(weir_reader_open(NULL, NULL, &reader), -EINVAL);
	assert_int_equal(weir_reader_open("/nowhere/at/all", NULL, &reader), -ENOENT);
	assert_int_equal(weir_reader_open(scratch, &own, &reader), -EMEDIUMTYPE);
	assert_int_equal(count_entries(scratch), 0);
	put_file(dir_fd, "letter", "dear", 4);
	assert_int_equal(weir_reader_open(scratch, NULL, &reader), -EMEDIUMTYPE);
	assert_int_equal(weir_reader_open(scratch, &own, &reader), -EMEDIUMTYPE);
	assert_int_equal(weir_reader_open(in_scratch("letter"), NULL, &reader), -ENOTDIR);
	assert_int_equal(count_entries(scratch), 1);
	put_file(dir_fd, FORMAT_LOCK_NAME, "next 00000000000000000000\n", 26);
	lock_fd = openat(dir_fd, FORMAT_LOCK_NAME, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock_fd, LOCK_EX), 0);
	assert_int_equal(weir_reader_open(scratch, &own, &reader), -EWOULDBLOCK);
	assert_null(reader);
	weir_reader_close(NULL);
}

static void test_seeking(void **state)
{
	READER *reader = NULL;

	(void)state;
	put_records(0, 99, FORMAT_INDEX_SUFFIX, false);
	put_records(100, 99, FORMAT_INDEX_SUFFIX, false);
	reader = open_reader(false, false);
	expect_seq(reader, 0);
	weir_reader_seek(reader, 150);
	expect_seq(reader, 150);
	weir_reader_seek(reader, 7);
	expect_seq(reader, 7);
	expect_seq(reader, 8);
	assert_int_equal(weir_reader_seek_time(reader, 120 * SECOND - 1), 0);
	expect_seq(reader, 120);
	assert_int_equal(weir_reader_seek_time(reader, 0), 0);
	expect_seq(reader, 0);
	assert_int_equal(weir_reader_seek_time(reader, 1000 * SECOND), 0);
	expect_end(reader);
}

static void test_damage_is_told(void **state)
{
	READER *reader = NULL;
	struct weir_record record;

	(void)state;
	put_records(0, 4, FORMAT_INDEX_SUFFIX, false);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "\1\n?\n\3\n\4\n", 8);
	reader = open_reader(false, false);
	expect_seq(reader, 0);
	expect_seq(reader, 1);
	assert_int_equal(weir_reader_next(reader, &record), -EBADMSG);
	assert_non_null(strstr(weir_reader_message(reader), "record 2 "));
	assert_non_null(strstr(weir_reader_message(reader), "damaged"));
	expect_seq(reader, 3);
	expect_seq(reader, 4);
	expect_end(reader);
}

/* Holds the lock while it writes, step by step, as it is told by bytes in a pipe. */
static pid_t start_writer(int *ret_tell)
{
	int pipe_fds[2];
	pid_t child;

	put_file(dir_fd, FORMAT_LOCK_NAME, "", 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		int lock_fd = openat(dir_fd, FORMAT_LOCK_NAME, O_RDWR | O_CLOEXEC);
		uint64_t count = 0;
		char byte;

		close(pipe_fds[1]);
		flock(lock_fd, LOCK_EX);
		while (read(pipe_fds[0], &byte, 1) == 1)
			put_records(0, ++count, FORMAT_OPEN_SUFFIX, false);
		_exit(0);
	}
	close(pipe_fds[0]);
	*ret_tell = pipe_fds[1];
	return child;
}

static void test_waiting_for_a_writer(void **state)
{
	CLEANUP_FD int tell = -1;
	READER *reader = NULL;
	pid_t writer = start_writer(&tell);
	struct weir_record record;
	uint64_t seq = 0;

	(void)state;
	reader = open_reader(true, false);
	assert_true(weir_reader_fd(reader) >= 0);
	for (uint64_t count = 1; count < 20; count++) {
		assert_int_equal(write(tell, "", 1), 1);
		while (seq <= count) {
			int r = weir_reader_next(reader, &record);

			assert_true(r >= 0);
			if (r > 0)
				assert_int_equal(record.seq, seq++);
			else
				assert_true(weir_reader_wait(reader, 10000));
		}
	}
	expect_end(reader);
	assert_true(weir_reader_wait(reader, 0));
	close(take_fd(&tell));
	while (weir_reader_next(reader, &record) == 0 && weir_reader_wait(reader, -1))
		;
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	expect_end(reader);
	assert_false(weir_reader_wait(reader, -1));
}

static void test_what_was_acknowledged_is_skipped(void **state)
{
	READER *reader = NULL;
	struct weir_record record;

	(void)state;
	for (uint64_t seq = 0; seq < 40; seq += 10)
		put_records(seq, 9, FORMAT_INDEX_SUFFIX, false);
	reader = open_reader(true, false);
	expect_seq(reader, 0);
	{
		READER *owner = open_reader(false, true);

		assert_int_equal(weir_reader_ack(owner, 29), 0);
	}
	for (uint64_t seq = 1; seq < 10; seq++) /* held open, or in its buffer */
		expect_seq(reader, seq);
	assert_int_equal(weir_reader_next(reader, &record), 1);
	assert_int_equal(record.seq, 30);
	assert_int_equal(record.skipped, 20);
}

static void test_acknowledging(void **state)
{
	READER *reader = NULL;

	(void)state;
	for (uint64_t seq = 0; seq < 30; seq += 10)
		put_records(seq, 9, seq < 20 ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX, false);
	put_file(dir_fd, FORMAT_LOCK_NAME, "", 0);
	reader = open_reader(false, false);
	assert_int_equal(weir_reader_ack(reader, UINT64_MAX), -EPERM);
	weir_reader_close(reader);
	reader = open_reader(false, true);
	assert_int_equal(weir_reader_ack(reader, 8), 0);
	assert_true(size_of_file(dir_fd, 0, FORMAT_DATA_SUFFIX) > 0);
	assert_int_equal(weir_reader_ack(reader, 18), 0);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_DATA_SUFFIX), -1);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_INDEX_SUFFIX), -1);
	assert_true(size_of_file(dir_fd, 10, FORMAT_DATA_SUFFIX) > 0);
	expect_seq(reader, 10);
	weir_reader_close(reader);
	reader = open_reader(false, true);
	for (uint64_t seq = 10; seq < 30; seq++)
		expect_seq(reader, seq);
	expect_end(reader);
	assert_int_equal(weir_reader_ack(reader, 29), 0);
	assert_int_equal(weir_reader_ack(reader, UINT64_MAX), 0);
	assert_int_equal(count_entries(scratch), 1); /* the lock */
}

/* A compressed segment is read, and acknowledged, like any other. */
static void test_acknowledging_what_is_compressed(void **state)
{
	const struct pack_job job = {.dir_fd = dir_fd, .first_seq = 0, .level = 3};
	READER *reader = NULL;
	uint64_t bytes;
	int r;

	(void)state;
	put_records(0, 3000, FORMAT_INDEX_SUFFIX, false);
	put_records(3001, 9, FORMAT_INDEX_SUFFIX, false);
	put_file(dir_fd, FORMAT_LOCK_NAME, "", 0);
	r = pack_segment(&job, &bytes);
	if (r == -ENOSYS)
		skip();
	assert_int_equal(r, 0);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_INDEX_SUFFIX), -1);
	reader = open_reader(false, true);
	for (uint64_t seq = 0; seq < 3011; seq++)
		expect_seq(reader, seq);
	expect_end(reader);
	assert_int_equal(weir_reader_ack(reader, 2999), 0);
	assert_true(size_of_file(dir_fd, 0, FORMAT_PACKED_SUFFIX) > 0);
	assert_int_equal(weir_reader_ack(reader, 3000), 0);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_PACKED_SUFFIX), -1);
	assert_true(size_of_file(dir_fd, 3001, FORMAT_DATA_SUFFIX) > 0);
	weir_reader_seek(reader, 0);
	expect_seq(reader, 3001);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_records),
		TEST(test_what_cannot_be_opened),
		TEST(test_seeking),
		TEST(test_damage_is_told),
		TEST(test_waiting_for_a_writer),
		TEST(test_what_was_acknowledged_is_skipped),
		TEST(test_acknowledging),
		TEST(test_acknowledging_what_is_compressed),
	};

	return cmocka_run_group_tests_name("weir_reader", tests, NULL, NULL);
}
