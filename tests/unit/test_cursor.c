/* A whole spool read in order, while segments are written, sealed, mended and deleted; and a moment
 * found in it.
 * --wrap: readdir readdir64. */
#include "test_spool_support.h"

#include "spool/cursor.h"
#include "spool/owner.h"
#include "spool/seek.h"
#include "spool/watch.h"

#include <poll.h>
#include <sys/file.h>

static int dir_fd = -1;

static int listing_error; /* 0, or why the directory cannot be listed */

/* What a listing misses that is read while a file is renamed: a name that begins so. */
static const char *missed;

struct dirent *__real_readdir64(DIR *dir);
struct dirent *__wrap_readdir64(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);

struct dirent *__wrap_readdir64(DIR *dir)
{
	struct dirent *entry;

	if (listing_error != 0) {
		errno = listing_error;
		return NULL;
	}
	do
		entry = __real_readdir64(dir);
	while (entry && missed && strncmp(entry->d_name, missed, strlen(missed)) == 0);
	return entry;
}

struct dirent *__wrap_readdir(DIR *dir)
{
	return __wrap_readdir64(dir);
}

static int setup(void **state)
{
	return setup_scratch_fd(state, &dir_fd);
}

static int teardown(void **state)
{
	missed = NULL;
	return teardown_scratch_fd(state, dir_fd);
}

#define CURSOR CLEANUP(cursor_free) struct cursor
#define SECOND UINT64_C(1000000000)

/* A segment of `count` messages, each one digit, with the times that `time_of` says. */
static void put_segment(uint64_t first_seq, uint64_t count, bool sealed,
			uint64_t (*time_of)(uint64_t seq))
{
	uint8_t index[FORMAT_HEADER_SIZE + 64 * FORMAT_ENTRY_SIZE], data[128];

	assert_true(count <= 64);
	format_write_header(index, &(struct format_header){.first_seq = first_seq});
	for (uint64_t i = 0; i < count; i++) {
		struct format_entry entry = {.offset = i * 2,
					     .length = 1,
					     .kind = FORMAT_TEXT,
					     .time_ns = time_of(first_seq + i)};

		data[i * 2] = (uint8_t)('0' + (first_seq + i) % 10);
		data[i * 2 + 1] = '\n';
		format_write_entry(index + FORMAT_HEADER_SIZE + i * FORMAT_ENTRY_SIZE, &entry,
				   crc32c(0, data + i * 2, 1));
	}
	put_segment_file(dir_fd, first_seq, FORMAT_DATA_SUFFIX, data, count * 2);
	put_segment_file(dir_fd, first_seq, sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX,
			 index, FORMAT_HEADER_SIZE + count * FORMAT_ENTRY_SIZE);
}

static uint64_t rising(uint64_t seq)
{
	return seq * SECOND;
}

static void damage(uint64_t first_seq, const char *suffix, off_t at)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd =
		openat(dir_fd, format_name(name, first_seq, suffix), O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void seal(uint64_t first_seq)
{
	char from[FORMAT_NAME_SIZE], to[FORMAT_NAME_SIZE];

	format_name(from, first_seq, FORMAT_OPEN_SUFFIX);
	assert_int_equal(
		renameat(dir_fd, from, dir_fd, format_name(to, first_seq, FORMAT_INDEX_SUFFIX)), 0);
}

static void delete_file(uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	assert_int_equal(unlinkat(dir_fd, format_name(name, first_seq, suffix), 0), 0);
}

/* Reads records up to the end of what is there: they must have these numbers. */
static void expect(struct cursor *cursor, uint64_t from, uint64_t to)
{
	struct record records[3];
	ssize_t n;

	while ((n = cursor_next_batch(cursor, records, ARRAY_SIZE(records))) > 0)
		for (ssize_t i = 0; i < n; i++, from++) {
			assert_int_equal(records[i].seq, from);
			assert_int_equal(*records[i].payload, '0' + from % 10);
		}
	assert_int_equal(n, 0);
	assert_int_equal(from, to);
}

static void test_segments_in_a_row(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	put_segment(100, 20, true, rising);
	put_segment(120, 1, true, rising);
	put_segment(121, 9, false, rising);
	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	expect(cursor, 100, 130);
	expect(cursor, 130, 130);
}

static void test_a_spool_that_grows(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	expect(cursor, 0, 0);
	put_segment_file(dir_fd, 5, FORMAT_DATA_SUFFIX, "", 0);
	expect(cursor, 5, 5); /* its index is to come */
	put_segment_file(dir_fd, 5, FORMAT_OPEN_SUFFIX, "\x89WEIR", 5);
	expect(cursor, 5, 5);
	put_segment(5, 3, false, rising);
	expect(cursor, 5, 8);
	put_segment(5, 9, false, rising);
	expect(cursor, 8, 14);
	put_segment(5, 12, false, rising); /* this was not read when it is sealed */
	seal(5);
	put_segment(17, 4, true, rising);
	put_segment(21, 4, false, rising);
	expect(cursor, 14, 25);
	put_segment(21, 6, false, rising); /* nor this when it is deleted */
	delete_file(21, FORMAT_DATA_SUFFIX);
	delete_file(21, FORMAT_OPEN_SUFFIX);
	expect(cursor, 25, 27);
}

/* Who goes on after an error must come to an end all the same. */
static void test_a_directory_that_cannot_be_listed(void **state)
{
	CURSOR *cursor = NULL;
	struct record record;

	(void)state;
	put_segment(0, 3, true, rising);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	expect(cursor, 0, 3);
	for (int i = 0; i < 2; i++) {
		listing_error = EIO;
		assert_int_equal(cursor_next_batch(cursor, &record, 1), -EIO);
		assert_true(cursor_fault(cursor)->of_directory);
		assert_int_equal(cursor_next_batch(cursor, &record, 1), 0);
		assert_int_equal(cursor_next_batch(cursor, &record, 1), 0);
		listing_error = 0;
		put_segment(3 + (uint64_t)i, 1, true, rising);
		expect(cursor, 3 + (uint64_t)i, 4 + (uint64_t)i);
	}
}

/* Without `live`, no later segment is read, however fast they come. */
static void test_a_spool_as_it_was(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	put_segment(0, 5, true, rising);
	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	put_segment(5, 5, true, rising);
	expect(cursor, 0, 5);
}

static void test_what_was_acknowledged_is_passed_over(void **state)
{
	CURSOR *cursor = NULL;
	struct record record;

	(void)state;
	for (uint64_t seq = 0; seq < 50; seq += 10)
		put_segment(seq, 10, true, rising);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	assert_int_equal(cursor_next_batch(cursor, &record, 1), 1);
	assert_int_equal(cursor_skipped(cursor), 0);
	for (uint64_t seq = 0; seq < 30; seq += 10) {
		delete_file(seq, FORMAT_DATA_SUFFIX);
		if (seq > 0)
			delete_file(seq, FORMAT_INDEX_SUFFIX);
	}
	for (uint64_t seq = 1; seq < 10; seq++) { /* it is held open */
		assert_int_equal(cursor_next_batch(cursor, &record, 1), 1);
		assert_int_equal(record.seq, seq);
	}
	assert_int_equal(cursor_next_batch(cursor, &record, 1), 1);
	assert_int_equal(record.seq, 30);
	assert_int_equal(cursor_skipped(cursor), 20);
	assert_int_equal(cursor_next_batch(cursor, &record, 1), 1);
	assert_int_equal(cursor_skipped(cursor), 0);
	expect(cursor, 32, 50);
}

/* A segment inside of another one's numbers, which only somebody else can have made. */
static void test_no_number_comes_twice(void **state)
{
	CURSOR *cursor = NULL;
	struct record records[64];

	(void)state;
	put_segment(0, 10, true, rising);
	put_segment(5, 10, true, rising);
	put_segment(7, 2, true, rising);
	put_segment(15, 5, true, rising);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	assert_int_equal(cursor_next_batch(cursor, records, ARRAY_SIZE(records)), 10);
	assert_int_equal(cursor_next_batch(cursor, records, ARRAY_SIZE(records)), -EEXIST);
	assert_int_equal(cursor_fault(cursor)->first_seq, 5);
	assert_int_equal(cursor_next_batch(cursor, records, ARRAY_SIZE(records)), -EEXIST);
	assert_int_equal(cursor_fault(cursor)->first_seq, 7);
	expect(cursor, 15, 20);
}

static void test_what_a_listing_misses_is_found(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	put_segment(0, 3, true, rising);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	expect(cursor, 0, 3);
	missed = "00000000000000000003.";
	put_segment(3, 2, true, rising);
	put_segment(5, 2, true, rising);
	put_segment(7, 1, false, rising);
	expect(cursor, 3, 8); /* there is one behind it */
	missed = "00000000000000000009.";
	put_segment(7, 2, false, rising);
	seal(7);
	put_segment(9, 2, false, rising);
	expect(cursor, 8, 11); /* it is the last one */
	assert_int_equal(cursor_skipped(cursor), 0);
}

/* With sync, an index that is complete gets its name late. */
static void test_a_complete_segment_is_not_waited_for(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	put_segment(0, 3, false, rising);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	expect(cursor, 0, 3);
	put_segment(0, 5, false, rising);
	put_segment(5, 2, false, rising);
	expect(cursor, 3, 7);
	seal(0);
	put_segment(5, 4, false, rising);
	expect(cursor, 7, 9);
	assert_int_equal(cursor_skipped(cursor), 0);
}

static void test_damage_is_told_and_passed(void **state)
{
	CURSOR *cursor = NULL;
	struct record records[64];

	(void)state;
	for (uint64_t seq = 0; seq < 40; seq += 10)
		put_segment(seq, 10, true, rising);
	damage(10, FORMAT_DATA_SUFFIX, 0);   /* record 10 */
	damage(20, FORMAT_INDEX_SUFFIX, 40); /* the header */
	put_segment_file(dir_fd, 30, FORMAT_DATA_SUFFIX, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\nx", 21);
	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	assert_int_equal(cursor_next_batch(cursor, records, 64), 10);
	assert_int_equal(cursor_next_batch(cursor, records, 64), -EBADMSG);
	assert_true(cursor_fault(cursor)->of_record);
	assert_int_equal(cursor_fault(cursor)->seq, 10);
	assert_int_equal(cursor_next_batch(cursor, records, 64), 9);
	assert_int_equal(records[0].seq, 11);
	assert_int_equal(cursor_skipped(cursor), 0);
	assert_int_equal(cursor_next_batch(cursor, records, 64), -EBADMSG);
	assert_false(cursor_fault(cursor)->of_record);
	assert_int_equal(cursor_fault(cursor)->first_seq, 20);
	assert_true(cursor_fault(cursor)->of_header);
	assert_int_equal(cursor_next_batch(cursor, records, 64), 10);
	assert_int_equal(records[0].seq, 20);
	assert_int_equal(cursor_next_batch(cursor, records, 64), 10);
	assert_int_equal(cursor_skipped(cursor), 0);
	assert_int_equal(cursor_next_batch(cursor, records, 64), -EBADMSG);
	assert_true(cursor_fault(cursor)->at_end);
	assert_int_equal(cursor_fault(cursor)->seq, 40);
	assert_int_equal(cursor_next_batch(cursor, records, 64), 0);
}

static int own(void)
{
	int lock_fd;

	put_file(dir_fd, FORMAT_LOCK_NAME, "", 0);
	lock_fd = openat(dir_fd, FORMAT_LOCK_NAME, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
	return lock_fd;
}

/* As long as there is somebody who may take it back. */
static void test_the_torn_end_of_an_open_segment_is_waited_for(void **state)
{
	CLEANUP_FD int lock_fd = own();
	CURSOR *cursor = NULL;
	struct record record;

	(void)state;
	put_segment(0, 10, false, rising);
	damage(0, FORMAT_OPEN_SUFFIX, FORMAT_HEADER_SIZE + 8 * FORMAT_ENTRY_SIZE);
	damage(0, FORMAT_DATA_SUFFIX, 18);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	expect(cursor, 0, 8);
	put_segment(0, 10, false, rising);
	damage(0, FORMAT_DATA_SUFFIX, 18);
	expect(cursor, 8, 9);
	assert_int_equal(flock(lock_fd, LOCK_UN), 0);
	assert_int_equal(cursor_next_batch(cursor, &record, 1), -EBADMSG);
	assert_int_equal(cursor_fault(cursor)->seq, 9);
	assert_int_equal(cursor_next_batch(cursor, &record, 1), 0);
}

/* A start cuts off what is lost at the end, and its numbers are given again. */
static void test_numbers_of_lost_records_come_again(void **state)
{
	CURSOR *cursor = NULL;
	struct record record;

	(void)state;
	put_segment(0, 10, false, rising);
	damage(0, FORMAT_DATA_SUFFIX, 16);
	damage(0, FORMAT_DATA_SUFFIX, 18);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	for (int n = 0; n < 10; n++)
		assert_int_equal(cursor_next_batch(cursor, &record, 1), n < 8 ? 1 : -EBADMSG);
	assert_int_equal(cursor_next_batch(cursor, &record, 1), 0);
	put_segment(0, 8, false, rising);
	seal(0);
	put_segment(8, 10, true, rising);
	expect(cursor, 8, 18);
}

/* Nobody takes back what stands before a record that is whole. */
static void test_damage_in_an_open_segment_is_not_waited_for(void **state)
{
	CLEANUP_FD int lock_fd = own();
	CURSOR *cursor = NULL;
	struct record records[64];

	(void)state;
	assert_true(lock_fd >= 0);
	put_segment(0, 10, false, rising);
	damage(0, FORMAT_OPEN_SUFFIX, FORMAT_HEADER_SIZE + 6 * FORMAT_ENTRY_SIZE);
	damage(0, FORMAT_DATA_SUFFIX, 14);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	assert_int_equal(cursor_next_batch(cursor, records, ARRAY_SIZE(records)), 6);
	for (uint64_t seq = 6; seq < 8; seq++) {
		assert_int_equal(cursor_next_batch(cursor, records, ARRAY_SIZE(records)), -EBADMSG);
		assert_true(cursor_fault(cursor)->of_record);
		assert_int_equal(cursor_fault(cursor)->seq, seq);
	}
	expect(cursor, 8, 10);
}

static void test_seeking_numbers(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	put_segment(10, 10, true, rising);
	put_segment(30, 10, true, rising);
	put_segment(40, 10, false, rising);
	assert_int_equal(cursor_open(dir_fd, true, &cursor), 0);
	for (uint64_t seq = 0; seq < 55; seq++) {
		uint64_t from = seq < 10 ? 10 : seq >= 20 && seq < 30 ? 30 : MIN(seq, UINT64_C(50));
		struct record record;

		cursor_seek(cursor, seq);
		assert_int_equal(cursor_skipped(cursor), 0);
		if (from < 20)
			while (cursor_next_batch(cursor, &record, 1) > 0 && from < 20)
				assert_int_equal(record.seq, from++);
		else
			expect(cursor, from, 50);
	}
	cursor_seek(cursor, 55); /* is still to come */
	expect(cursor, 50, 50);
	put_segment(40, 20, false, rising);
	expect(cursor, 55, 60);
	cursor_seek(cursor, UINT64_MAX);
	expect(cursor, 0, 0);
}

static uint64_t stepping_back(uint64_t seq)
{
	return (seq < 35 ? seq + 100 : seq) * SECOND;
}

static uint64_t by_tens(uint64_t seq)
{
	return seq / 10 * 10 * SECOND;
}

static void expect_time(struct cursor *cursor, uint64_t time_ns, uint64_t seq)
{
	struct record record;
	ssize_t n;

	assert_int_equal(cursor_seek_time(cursor, time_ns), 0);
	while ((n = cursor_next_batch(cursor, &record, 1)) < 0)
		; /* what cannot be read may be of that time */
	assert_int_equal(n, seq < UINT64_MAX);
	if (n > 0)
		assert_int_equal(record.seq, seq);
}

static void test_seeking_times(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	for (uint64_t seq = 20; seq < 90; seq += 10)
		put_segment(seq, 10, seq < 80, rising);
	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	expect_time(cursor, 0, 20);
	for (uint64_t seq = 20; seq < 90; seq++) {
		expect_time(cursor, seq * SECOND, seq);
		expect_time(cursor, seq * SECOND - 1, seq);
	}
	expect_time(cursor, 89 * SECOND + 1, UINT64_MAX);
	expect_time(cursor, UINT64_MAX, UINT64_MAX);
}

static void test_seeking_a_time_that_many_have(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	for (uint64_t seq = 0; seq < 90; seq += 15)
		put_segment(seq, 15, true, by_tens);
	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	for (uint64_t seq = 0; seq < 90; seq += 10)
		expect_time(cursor, seq * SECOND, seq);
}

/* Where times go back, it is a place at which they go over the one that is sought. */
static void test_seeking_where_times_go_back(void **state)
{
	(void)state;
	for (uint64_t seq = 0; seq < 90; seq += 10)
		put_segment(seq, 10, true, stepping_back);
	for (uint64_t seconds = 0; seconds < 140; seconds++) {
		CURSOR *cursor = NULL;
		struct record record;
		ssize_t n;

		assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
		assert_int_equal(cursor_seek_time(cursor, seconds * SECOND), 0);
		n = cursor_next_batch(cursor, &record, 1);
		if (n > 0) {
			assert_true(record.entry.time_ns >= seconds * SECOND);
			assert_true(record.seq == 0 ||
				    stepping_back(record.seq - 1) < seconds * SECOND);
		} else {
			assert_true(stepping_back(89) < seconds * SECOND);
		}
	}
}

static void test_seeking_past_what_is_damaged(void **state)
{
	CURSOR *cursor = NULL;

	(void)state;
	for (uint64_t seq = 0; seq < 90; seq += 10)
		put_segment(seq, 10, true, rising);
	for (uint64_t i = 3; i < 8; i++)
		damage(40, FORMAT_INDEX_SUFFIX,
		       (off_t)(FORMAT_HEADER_SIZE + i * FORMAT_ENTRY_SIZE + 20));
	damage(50, FORMAT_INDEX_SUFFIX, 0);
	delete_file(60, FORMAT_DATA_SUFFIX);
	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	expect_time(cursor, 42 * SECOND, 42);
	expect_time(cursor, 49 * SECOND, 49);
	expect_time(cursor, 72 * SECOND, 72);
	expect_time(cursor, 70 * SECOND, 70);
	expect_time(cursor, 5 * SECOND, 5);
}

static void test_an_owner_is_seen(void **state)
{
	CLEANUP_FD int lock_fd = -1;
	struct owner owner;

	(void)state;
	assert_int_equal(owner_probe(dir_fd, &owner), 0);
	assert_false(owner.alive);
	put_file(dir_fd, FORMAT_LOCK_NAME, "", 0);
	assert_int_equal(owner_probe(dir_fd, &owner), 0);
	assert_false(owner.alive);
	lock_fd = openat(dir_fd, FORMAT_LOCK_NAME, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(owner_probe(dir_fd, &owner), 0);
	assert_true(owner.alive);
	assert_true(owner.pid == 0 || owner.pid == getpid());
	assert_int_equal(flock(lock_fd, LOCK_UN), 0);
	assert_int_equal(owner_probe(dir_fd, &owner), 0);
	assert_false(owner.alive);
	assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0); /* nobody is in the way */
}

static void test_a_watch_tells_of_writes(void **state)
{
	CLEANUP_FD int fd = watch_open(dir_fd);
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(poll(&ready, 1, 0), 0);
	put_segment(0, 3, false, rising);
	assert_int_equal(poll(&ready, 1, 10000), 1);
	watch_wait(fd, 0);
	assert_int_equal(poll(&ready, 1, 0), 0);
	seal(0);
	assert_int_equal(poll(&ready, 1, 10000), 1);
	watch_wait(fd, 10000);
	watch_wait(fd, 1);
	watch_wait(-1, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_segments_in_a_row),
		TEST(test_a_spool_that_grows),
		TEST(test_a_directory_that_cannot_be_listed),
		TEST(test_a_spool_as_it_was),
		TEST(test_what_was_acknowledged_is_passed_over),
		TEST(test_no_number_comes_twice),
		TEST(test_what_a_listing_misses_is_found),
		TEST(test_a_complete_segment_is_not_waited_for),
		TEST(test_damage_is_told_and_passed),
		TEST(test_the_torn_end_of_an_open_segment_is_waited_for),
		TEST(test_numbers_of_lost_records_come_again),
		TEST(test_damage_in_an_open_segment_is_not_waited_for),
		TEST(test_seeking_numbers),
		TEST(test_seeking_times),
		TEST(test_seeking_a_time_that_many_have),
		TEST(test_seeking_where_times_go_back),
		TEST(test_seeking_past_what_is_damaged),
		TEST(test_an_owner_is_seen),
		TEST(test_a_watch_tells_of_writes),
	};

	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
