/* The directory that a spool is: whose it is, what is in it, what it measures; and the segments
 * that are counted and deleted in it.
 * --wrap: flock. */
#include "test_spool_support.h"

#include "base/crc32c.h"
#include "spool/directory.h"
#include "spool/note.h"
#include "spool/owner.h"

#include <limits.h>
#include <sys/wait.h>
#include <time.h>

#define DIRECTORY CLEANUP(directory_done) struct spool_directory

static int lock_busy;	     /* how often it is held by somebody else still */
static bool lock_is_deleted; /* by that one, before he lets go of it */

int __wrap_flock(int fd, int operation);
int __real_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
	if (lock_busy > 0) {
		lock_busy--;
		errno = EWOULDBLOCK;
		return -1;
	}
	if (lock_is_deleted)
		assert_int_equal(unlink(in_scratch(FORMAT_LOCK_NAME)), 0);
	lock_is_deleted = false;
	return __real_flock(fd, operation);
}

static void touch(int dir_fd, const char *name)
{
	put_file(dir_fd, name, "", 0);
}

static uint64_t noted_seq(const struct spool_directory *directory)
{
	struct note note;

	assert_int_equal(note_read(directory->lock_fd, &note), 0);
	return note.next_seq;
}

static void test_a_directory_that_is_missing_is_made(void **state)
{
	DIRECTORY directory;
	struct stat status;

	(void)state;
	directory_init(&directory);
	assert_int_equal(directory_open(&directory, in_scratch("new")), 0);
	assert_string_equal(directory.path, in_scratch("new"));
	assert_int_equal(stat(directory.path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(noted_seq(&directory), 0);
	assert_true(fcntl(directory.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(directory.lock_fd, F_GETFD) & FD_CLOEXEC);
}

/* Somebody looks at the lock for a moment, or is there to stay. */
static void test_a_lock_that_is_held(void **state)
{
	DIRECTORY directory;

	(void)state;
	directory_init(&directory);
	lock_busy = 3;
	assert_int_equal(directory_open(&directory, scratch), 0);
	directory_done(&directory);
	lock_busy = INT_MAX;
	assert_int_equal(directory_open(&directory, scratch), -EWOULDBLOCK);
	lock_busy = 0;
}

/* A lock that has no name any more would keep out nobody. */
static void test_a_lock_that_is_deleted_meanwhile(void **state)
{
	DIRECTORY first, second;

	(void)state;
	directory_init(&first);
	directory_init(&second);
	lock_is_deleted = true;
	assert_int_equal(directory_open(&first, scratch), 0);
	assert_int_equal(directory_open(&second, scratch), -EWOULDBLOCK);
}

static void test_directories_that_are_taken(void **state)
{
	static const char *const names[] = {NULL, FORMAT_LOCK_NAME, "00000000000000000000.data",
					    "00000000000000000007.index.open"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_FD int dir_fd = open_dir(scratch);
		DIRECTORY directory;

		if (i == 1)
			put_file(dir_fd, names[i], "next 00000000000000000000\n", 26);
		else if (names[i])
			touch(dir_fd, names[i]);
		if (i > 0)
			touch(dir_fd, "notes"); /* in a spool, others may have something too */
		directory_init(&directory);
		assert_int_equal(directory_open(&directory, scratch), 0);
		empty_scratch();
	}
}

static void test_directories_of_others_are_left_alone(void **state)
{
	static const char *const names[] = {"notes", ".hidden", "0.data",
					    "00000000000000000000.data.lone"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_FD int dir_fd = open_dir(scratch);
		DIRECTORY directory;

		touch(dir_fd, names[i]);
		directory_init(&directory);
		assert_int_equal(directory_open(&directory, scratch), -EMEDIUMTYPE);
		assert_int_equal(count_entries(scratch), 1);
		empty_scratch();
	}
}

/* Others have files of this name too, and most of them are empty. */
static void test_a_lock_of_others_is_left_alone(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	DIRECTORY directory;

	(void)state;
	touch(dir_fd, FORMAT_LOCK_NAME);
	touch(dir_fd, "notes");
	directory_init(&directory);
	assert_int_equal(directory_open(&directory, scratch), -EMEDIUMTYPE);
	assert_int_equal(size_at(dir_fd, FORMAT_LOCK_NAME), 0);
}

static void test_what_is_no_directory(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	DIRECTORY directory;

	(void)state;
	directory_init(&directory);
	touch(dir_fd, "file");
	assert_int_equal(directory_open(&directory, in_scratch("file")), -ENOTDIR);
	assert_int_equal(directory_open(&directory, in_scratch("a/b")), -ENOENT);
}

/* A link, a pipe or a directory in the place of the lock: neither followed nor waited for. */
static void test_a_lock_that_is_no_file(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		DIRECTORY directory;

		directory_init(&directory);
		if (kind == 0)
			assert_int_equal(symlinkat("target", dir_fd, FORMAT_LOCK_NAME), 0);
		else if (kind == 1)
			assert_int_equal(mkfifoat(dir_fd, FORMAT_LOCK_NAME, 0600), 0);
		else
			assert_int_equal(mkdirat(dir_fd, FORMAT_LOCK_NAME, 0700), 0);
		assert_int_equal(directory_open(&directory, scratch), -EMEDIUMTYPE);
		assert_int_equal(count_entries(scratch), 1);
		empty_scratch();
	}
}

static void test_the_owner_is_noted(void **state)
{
	char host[OWNER_HOST_SIZE] = "";
	struct owner owner;
	DIRECTORY directory;

	(void)state;
	gethostname(host, sizeof(host) - 1);
	directory_init(&directory);
	assert_int_equal(directory_open(&directory, scratch), 0);
	assert_int_equal(directory_note_seq(&directory, UINT64_C(18446744073709551615)), 0);
	assert_int_equal(noted_seq(&directory), UINT64_C(18446744073709551615));
	assert_int_equal(owner_probe(directory.fd, &owner), 0);
	assert_true(owner.alive);
	assert_int_equal(owner.pid, getpid());
	assert_string_equal(owner.host, host);
	assert_true(owner.since_s > 1700000000 && owner.since_s <= (uint64_t)time(NULL));
}

/* What a dead owner has left says nothing, and what somebody else has written there does no harm.
 */
static void test_notes_that_mean_nothing(void **state)
{
	static const char *const notes[] = {
		"",
		"next 00000000000000000007\n",
		"next 00000000000000000007\nowner x y z\n",
		"next 00000000000000000007\nowner 4294967297 1 here\n\n\n",
	};
	CLEANUP_FD int dir_fd = open_dir(scratch);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
		struct owner owner;
		DIRECTORY directory;

		put_file(dir_fd, FORMAT_LOCK_NAME, notes[i], strlen(notes[i]));
		assert_int_equal(owner_probe(dir_fd, &owner), 0);
		assert_false(owner.alive);
		assert_int_equal(owner.pid, 0);
		directory_init(&directory);
		assert_int_equal(directory_open(&directory, scratch), 0);
		assert_int_equal(noted_seq(&directory), notes[i][0] == 'n' ? 7 : 0);
		assert_int_equal(owner_probe(dir_fd, &owner), 0);
		assert_int_equal(owner.pid, getpid());
	}
}

static void test_one_owner_at_a_time(void **state)
{
	DIRECTORY first, second;

	(void)state;
	directory_init(&first);
	directory_init(&second);
	assert_int_equal(directory_open(&first, scratch), 0);
	assert_int_equal(directory_open(&second, scratch), -EWOULDBLOCK);
	directory_done(&second);
	directory_done(&first);
	assert_int_equal(directory_open(&second, scratch), 0);
}

/* A process that is killed while it starts a program leaves one that has the lock until it has
 * become that program. */
static void test_a_lock_that_outlives_its_owner(void **state)
{
	const struct timespec while_ns = {.tv_nsec = 300 * 1000 * 1000};
	DIRECTORY directory;
	int status;
	pid_t pid = fork();

	(void)state;
	directory_init(&directory);
	if (pid == 0) {
		if (directory_open(&directory, scratch) < 0)
			_exit(1);
		if (fork() == 0)
			nanosleep(&while_ns, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(directory_open(&directory, scratch), 0);
}

static void test_one_of_our_own(void **state)
{
	DIRECTORY directory;

	(void)state;
	directory_init(&directory);
	assert_int_equal(directory_make(&directory, scratch, NULL, ".x"), 0);
	assert_memory_equal(strrchr(directory.path, '/'), "/weir-", 6);
	assert_string_equal(directory.path + strlen(directory.path) - 2, ".x");
	touch(directory.fd, "00000000000000000000.data");
	assert_int_equal(directory_remove(&directory), -ENOTEMPTY);
	assert_int_equal(unlinkat(directory.fd, "00000000000000000000.data", 0), 0);
	assert_int_equal(directory_remove(&directory), 0);
	assert_int_equal(count_entries(scratch), 0);
	directory_done(&directory);
	assert_int_equal(directory_make(&directory, scratch, "a/b", NULL), -EINVAL);
	assert_int_equal(directory_make(&directory, in_scratch("no"), NULL, NULL), -ENOENT);
}

static void test_the_next_number_is_noted(void **state)
{
	static const uint64_t numbers[] = {1, 42, UINT64_MAX, 7};
	DIRECTORY directory;

	(void)state;
	directory_init(&directory);
	assert_int_equal(directory_open(&directory, scratch), 0);
	assert_int_equal(noted_seq(&directory), 0);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		assert_int_equal(directory_note_seq(&directory, numbers[i]), 0);
		assert_int_equal(noted_seq(&directory), numbers[i]);
		directory_done(&directory);
		assert_int_equal(directory_open(&directory, scratch), 0);
		assert_int_equal(noted_seq(&directory), numbers[i]);
	}
}

static void test_a_note_that_is_none(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		int error; /* where nothing else is there; what is never ours is left alone */
		uint64_t seq;
	} notes[] = {
		{"", 0, 0, 0},
		{"n", 1, 0, 0},
		{"nex", 3, 0, 0},
		{"\0\0\0\0", 4, 0, 0},
		{"next 000000000", 14, 0, 0},
		{"lext 00000000000000000012\n", 26, 0, 12},
		{"next 000x0000000000000012\n", 26, 0, 0},
		{"12\n", 3, -EMEDIUMTYPE, 0},
		{"owner 1 2 3", 11, -EMEDIUMTYPE, 0},
		{"a letter to my dearest friend", 29, -EMEDIUMTYPE, 0},
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(notes); i++) {
		const size_t number = i / 2, has_segment = i % 2;
		CLEANUP_FD int dir_fd = open_dir(scratch);
		DIRECTORY directory;

		if (has_segment)
			touch(dir_fd, "00000000000000000007.data");
		put_file(dir_fd, FORMAT_LOCK_NAME, notes[number].text, notes[number].size);
		directory_init(&directory);
		if (notes[number].error < 0 && !has_segment) {
			assert_int_equal(directory_open(&directory, scratch), notes[number].error);
			assert_int_equal(size_at(dir_fd, FORMAT_LOCK_NAME), notes[number].size);
		} else {
			assert_int_equal(directory_open(&directory, scratch), 0);
			assert_int_equal(directory.noted_seq, notes[number].seq);
			assert_int_equal(noted_seq(&directory), notes[number].seq);
		}
		empty_scratch();
	}
}

/* A start that dies before all is in order leaves it to the next one to find out. */
static void test_who_was_there_before(void **state)
{
	(void)state;
	for (int start = 0; start < 5; start++) {
		DIRECTORY directory;

		directory_init(&directory);
		assert_int_equal(directory_open(&directory, scratch), 0);
		assert_int_equal(directory.same_boot, start > 2);
		if (start == 2)
			directory_note_settled(&directory);
	}
}

static void test_a_segment_is_measured(void **state)
{
	static const size_t index_sizes[][2] = {{0, 0},	 {63, 0},  {64, 0},  {95, 0},
						{96, 1}, {127, 1}, {128, 2}, {6464, 200}};
	static const uint8_t zeros[10000];
	DIRECTORY directory;

	(void)state;
	directory_init(&directory);
	assert_int_equal(directory_open(&directory, scratch), 0);
	for (size_t i = 0; i < ARRAY_SIZE(index_sizes); i++) {
		struct segment segment = {.first_seq = 3};

		put_segment_file(directory.fd, 3, FORMAT_DATA_SUFFIX, zeros, sizeof(zeros));
		put_segment_file(directory.fd, 3, FORMAT_INDEX_SUFFIX, zeros, index_sizes[i][0]);
		assert_int_equal(directory_measure(&directory, &segment), 0);
		assert_int_equal(segment.records, index_sizes[i][1]);
		assert_true(segment.disk_bytes >= sizeof(zeros) + index_sizes[i][0]);
	}
	assert_int_equal(directory_measure(&directory, &(struct segment){.first_seq = 4}), -ENOENT);
}

static void test_a_listing(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(listing_done) struct listing listing = {0};

	(void)state;
	touch(dir_fd, "00000000000000000009.data");
	touch(dir_fd, "00000000000000000009.index");
	touch(dir_fd, "00000000000000000100.index.open");
	touch(dir_fd, "00000000000000000100.data");
	touch(dir_fd, "00000000000000000010.index");
	touch(dir_fd, FORMAT_LOCK_NAME);
	touch(dir_fd, "notes");
	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count, 3);
	assert_true(listing.has_lock);
	assert_int_equal(listing.foreign, 1);
	assert_int_equal(listing.entries[0].first_seq, 9);
	assert_true(listing.entries[0].data && listing.entries[0].sealed);
	assert_false(listing.entries[0].open);
	assert_int_equal(listing.entries[1].first_seq, 10);
	assert_true(!listing.entries[1].data && listing.entries[1].sealed);
	assert_int_equal(listing.entries[2].first_seq, 100);
	assert_true(listing.entries[2].data && listing.entries[2].open);
	assert_false(listing.entries[2].sealed);
}

static void test_a_listing_of_many(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(listing_done) struct listing listing = {0};
	const uint64_t count = 200;

	(void)state;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t seq = i * 77 % count;

		put_segment_file(dir_fd, seq, FORMAT_DATA_SUFFIX, "", 0);
		put_segment_file(dir_fd, seq, FORMAT_INDEX_SUFFIX, "", 0);
	}
	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count, count);
	for (uint64_t seq = 0; seq < count; seq++) {
		assert_int_equal(listing.entries[seq].first_seq, seq);
		assert_true(listing.entries[seq].data && listing.entries[seq].sealed);
	}
}

static void test_an_empty_listing(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(listing_done) struct listing listing = {0};

	(void)state;
	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count, 0);
	assert_false(listing.has_lock);
	assert_int_equal(listing_read(-1, &listing), -EBADF);
}

/* Puts a sealed segment of so many messages there, each "ab" and followed by an event. */
static void put_segment(int dir_fd, size_t messages)
{
	size_t size = FORMAT_HEADER_SIZE + 2 * messages * FORMAT_ENTRY_SIZE;
	CLEANUP_FREE uint8_t *index = calloc(1, size);
	CLEANUP_FREE uint8_t *data = malloc(3 * messages + 1);

	assert_non_null(index);
	assert_non_null(data);
	format_write_header(index, &(struct format_header){.first_seq = 0});
	for (size_t i = 0; i < messages; i++) {
		uint8_t *to = index + FORMAT_HEADER_SIZE + 2 * i * FORMAT_ENTRY_SIZE;
		const struct format_entry message = {
			.kind = FORMAT_TEXT, .offset = 3 * i, .length = 2, .time_ns = 1000 + i};
		const struct format_entry event = {
			.kind = FORMAT_GAP, .offset = 3 * i + 3, .length = 99, .time_ns = 5};

		memcpy(data + 3 * i, "ab\n", 3);
		format_write_entry(to, &message, crc32c(0, "ab", 2));
		format_write_entry(to + FORMAT_ENTRY_SIZE, &event, 0);
	}
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, index, size);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, data, 3 * messages);
}

static void test_a_segment_is_checked_and_counted(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct segment segment = {.records = 6000};

	(void)state;
	put_segment(dir_fd, 3000);
	assert_int_equal(segment_check(dir_fd, &segment), 0);
	assert_true(segment.counted);
	assert_int_equal(segment.messages, 3000);
	assert_int_equal(segment.bytes, 2 * 3000);
	assert_int_equal(segment.first_time_ns, 1000);
	assert_int_equal(segment.last_time_ns, 3999);
}

/* Whatever is wrong, nothing is counted. */
static void test_segments_that_are_damaged(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct segment segment = {.records = 4};

	(void)state;
	assert_int_equal(segment_check(dir_fd, &segment), -ENOENT);
	put_segment(dir_fd, 2);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "ab\nax\n", 6);
	assert_int_equal(segment_check(dir_fd, &segment), -EBADMSG);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "ab\nab", 5);
	assert_int_equal(segment_check(dir_fd, &segment), -EBADMSG);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "ab\nab\n\n", 7);
	assert_int_equal(segment_check(dir_fd, &segment), -EBADMSG);
	assert_false(segment.counted);
	assert_int_equal(segment.messages, 0);
}

static void test_a_segment_is_deleted(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);

	(void)state;
	for (uint64_t seq = 4; seq <= 6; seq++) {
		put_segment_file(dir_fd, seq, FORMAT_DATA_SUFFIX, "a", 1);
		put_segment_file(dir_fd, seq, FORMAT_INDEX_SUFFIX, "b", 1);
	}
	assert_int_equal(segment_delete(dir_fd, 5, FORMAT_INDEX_SUFFIX), 0);
	assert_int_equal(count_entries(scratch), 4);
	assert_int_equal(size_of_file(dir_fd, 5, FORMAT_DATA_SUFFIX), -1);
	assert_int_equal(size_of_file(dir_fd, 5, FORMAT_INDEX_SUFFIX), -1);
	assert_int_equal(segment_delete(dir_fd, 5, FORMAT_INDEX_SUFFIX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_a_directory_that_is_missing_is_made),
		TEST_IN_SCRATCH(test_a_lock_that_is_held),
		TEST_IN_SCRATCH(test_a_lock_that_is_deleted_meanwhile),
		TEST_IN_SCRATCH(test_directories_that_are_taken),
		TEST_IN_SCRATCH(test_directories_of_others_are_left_alone),
		TEST_IN_SCRATCH(test_a_lock_of_others_is_left_alone),
		TEST_IN_SCRATCH(test_what_is_no_directory),
		TEST_IN_SCRATCH(test_a_lock_that_is_no_file),
		TEST_IN_SCRATCH(test_the_owner_is_noted),
		TEST_IN_SCRATCH(test_notes_that_mean_nothing),
		TEST_IN_SCRATCH(test_one_owner_at_a_time),
		TEST_IN_SCRATCH(test_a_lock_that_outlives_its_owner),
		TEST_IN_SCRATCH(test_one_of_our_own),
		TEST_IN_SCRATCH(test_the_next_number_is_noted),
		TEST_IN_SCRATCH(test_a_note_that_is_none),
		TEST_IN_SCRATCH(test_who_was_there_before),
		TEST_IN_SCRATCH(test_a_segment_is_measured),
		TEST_IN_SCRATCH(test_a_listing),
		TEST_IN_SCRATCH(test_a_listing_of_many),
		TEST_IN_SCRATCH(test_an_empty_listing),
		TEST_IN_SCRATCH(test_a_segment_is_checked_and_counted),
		TEST_IN_SCRATCH(test_segments_that_are_damaged),
		TEST_IN_SCRATCH(test_a_segment_is_deleted),
	};

	return cmocka_run_group_tests_name("directory", tests, NULL, NULL);
}
