/* libtempfile when the system says no: every system call and every allocation failed in turn, and
 * file systems that cannot make a file without a name.
 * --wrap: those of test_tempfile_wrap.h. */
#include "test_tempfile_support.h"
#include "test_tempfile_wrap.h"

#include <sys/file.h>

static int setup(void **state)
{
	reset_faults();
	return setup_scratch(state);
}

static int teardown(void **state)
{
	reset_faults();
	return teardown_scratch(state);
}

/* One whole life each; the first error, and nothing stays. */
static int live_named(void)
{
	struct tempfile *f = NULL;
	int r = tempfile_open(&f, .dir = scratch, .mode = 0666);

	return r < 0 ? r : tempfile_close(&f);
}

static int live_by_fd(void)
{
	struct tempfile *f = NULL;
	int r = tempfile_open(&f, .dir_fd = &(int){AT_FDCWD}, .dir = scratch, .mode = 0666);

	return r < 0 ? r : tempfile_close(&f);
}

static int live_anonymous(void)
{
	struct tempfile *f = NULL;
	int r = tempfile_open_anonymous(&f, .dir = scratch, .mode = 0666);

	return r < 0 ? r : tempfile_close(&f);
}

static int live_directory(void)
{
	char *path = NULL;
	int r = tempfile_mkdir(&path, .dir = scratch, .mode = 0777);

	if (r < 0)
		return r;
	assert_int_equal(rmdir(path), 0);
	free(path);
	return 0;
}

static int live_tree(void)
{
	struct tempfile_directory *directory = NULL;
	int r = tempfile_directory_open(&directory, .dir = scratch, .mode = 0500);

	return r < 0 ? r : tempfile_directory_close(&directory);
}

/* Named, or without a name and over what is there: each makes one file that is not temporary. */
static int persist(struct tempfile *file)
{
	int r = tempfile_persist(file, in_scratch("kept")), closed = tempfile_close(&file);

	if (r == 0)
		unlink(in_scratch("kept"));
	return r < 0 ? r : closed;
}

static int live_persist_named(void)
{
	struct tempfile *file = NULL;
	int r = tempfile_open(&file, .dir = scratch);

	return r < 0 ? r : persist(file);
}

static int live_persist_anonymous(void)
{
	struct tempfile *file = NULL;
	int r = tempfile_open_anonymous(&file, .dir = scratch);

	if (r < 0)
		return r;
	write_file(in_scratch("kept"), "old");
	r = persist(file);
	if (r < 0)
		unlink(in_scratch("kept"));
	return r;
}

static int live_spooled(void)
{
	struct tempfile_spooled *spooled = NULL;
	int r = tempfile_spooled_open(&spooled, .memory_max = 1, .dir = scratch);

	if (r == 0)
		r = tempfile_spooled_write(spooled, "ab", 2);
	if (r < 0 && spooled)
		assert_true(tempfile_spooled_is_in_memory(spooled));
	tempfile_spooled_close(&spooled);
	return r;
}

static int live_search(void)
{
	tempfile_set_tempdir(NULL);
	return tempfile_gettempdir() ? tempfile_set_tempdir(scratch) : -errno;
}

static void remove_all_files(void)
{
	DIR *dir = opendir(scratch);

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove(in_scratch(entry->d_name));
	closedir(dir);
}

/* Fails the first, the second, … call of one kind until none is left to fail. Only a deletion that
 * fails (by unlinkat, or by fstatat that looks first) can leave the file, and then says so; but the
 * search goes on to the next candidate. */
static void fail_in_turn(int (*live)(void), enum call call, bool plain)
{
	int before = count_fds();

	for (int at = 1;; at++) {
		int r, calls;

		reset_faults();
		no_tmpfile_error = plain ? EOPNOTSUPP : 0;
		fault.call = call;
		fault.at = at;
		fault.times = 1;
		fault.error = call == CALL_ALLOCATION ? ENOMEM : EIO;
		r = live();
		calls = seen[call];
		reset_faults();
		assert_true(r == 0 || r == -EIO || r == -ENOMEM || r == -ENOENT);
		assert_int_equal(count_fds(), before);
		if (count_entries(scratch) > 0) {
			assert_true(call == CALL_UNLINKAT || call == CALL_FSTATAT);
			assert_true(r < 0 || live == live_search);
			remove_all_files();
		}
		if (calls < at)
			break;
		if (at >= 100)
			fail_msg("call %d, plain %d: %d calls", (int)call, plain, calls);
	}
}

static void test_every_call_failed_in_turn(void **state)
{
	int (*const lives[])(void) = {
		live_named, live_by_fd,		live_anonymous,		live_directory,
		live_tree,  live_persist_named, live_persist_anonymous, live_spooled,
		live_search};
	mode_t old = umask(077);

	(void)state;
	setenv("TMPDIR", scratch, 1); /* what live_search leaves is to be seen, and deleted */
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		for (unsigned call = 0; call < CALL_COUNT; call++) {
			fail_in_turn(lives[i], (enum call)call, false);
			fail_in_turn(lives[i], (enum call)call, true);
		}
	}
	unsetenv("TMPDIR");
	umask(old);
}

static void fail_next(enum call call, int error)
{
	reset_faults();
	fault.call = call;
	fault.at = 1;
	fault.times = 1000;
	fault.error = error;
}

static void test_errors_are_told_as_themselves(void **state)
{
	static const int open_errors[] = {EPERM, EACCES, ENOENT, ENOTDIR, EROFS, ENOSPC, EMFILE};

	(void)state;
	for (size_t i = 0; i < sizeof(open_errors) / sizeof(open_errors[0]); i++) {
		fail_next(CALL_OPENAT, open_errors[i]);
		assert_int_equal(live_named(), -open_errors[i]);
		assert_int_equal(seen[CALL_OPENAT], 1);
		assert_int_equal(live_anonymous(), -open_errors[i]);
		fail_next(CALL_MKDIRAT, open_errors[i]);
		assert_int_equal(live_directory(), -open_errors[i]);
	}
	fail_next(CALL_FLOCK, ENOLCK);
	assert_int_equal(live_named(), -ENOLCK);
	fail_next(CALL_GETRANDOM, ENOSYS);
	assert_int_equal(live_named(), -ENOSYS);
	fail_next(CALL_UNLINKAT, EBUSY);
	assert_int_equal(live_named(), -EBUSY);
	remove_all_files();
}

static void test_interrupted_calls_are_repeated(void **state)
{
	(void)state;
	fault.call = CALL_OPENAT;
	fault.at = 1;
	fault.times = 3;
	fault.error = EINTR;
	assert_int_equal(live_named(), 0);
	assert_int_equal(seen[CALL_OPENAT], 4);
	reset_faults();
	fault.call = CALL_GETRANDOM;
	fault.at = 1;
	fault.times = 3;
	fault.error = EINTR;
	assert_int_equal(live_named(), 0);
	fail_next(CALL_OPENAT, EINTR);
	assert_int_equal(live_named(), -EINTR); /* but not for ever */
}

static void assert_same_guarantees(void)
{
	struct tempfile *f = NULL;
	mode_t old = umask(077);
	int other;

	assert_int_equal(tempfile_open(&f, .dir = scratch, .mode = 0666), 0);
	umask(old);
	assert_int_equal(mode_of(tempfile_path(f)), 0666);
	other = open(tempfile_path(f), O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(__real_flock(other, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	close(other);
	assert_true(fcntl(tempfile_fd(f), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(tempfile_open_anonymous(&f, .dir = scratch), 0);
	assert_int_equal(count_entries(scratch), 0);
	assert_null(tempfile_path(f));
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "a"), 0);
	{
		struct tempfile *second = NULL;

		assert_int_equal(tempfile_open(&second, .dir = scratch, .name = "a"), -EEXIST);
		assert_null(second);
	}
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(symlink("target", in_scratch("a")), 0);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "a"), -EEXIST);
	assert_int_equal(unlink(in_scratch("a")), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_without_o_tmpfile(void **state)
{
	static const int errors[] = {EOPNOTSUPP, EISDIR, EINVAL};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		no_tmpfile_error = errors[i];
		assert_same_guarantees();
	}
}

/* What had a name for a moment can have none again: it has to be copied. */
static void test_persist_without_o_tmpfile(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	no_tmpfile_error = EOPNOTSUPP;
	assert_int_equal(tempfile_open_anonymous(&f, .dir = scratch), 0);
	assert_int_equal(tempfile_persist(f, in_scratch("kept")), -EXDEV);
	assert_int_equal(tempfile_persist(f, in_scratch("kept"), .copy = true), 0);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(unlink(in_scratch("kept")), 0);
}

static void test_without_proc(void **state)
{
	(void)state;
	no_links = true;
	assert_same_guarantees();
	assert_true(seen[CALL_LINKAT] > 0);
}

static void test_taken_names_are_tried_again(void **state)
{
	struct tempfile *f = NULL, *second = NULL;
	char *dir = NULL;

	(void)state;
	same_names = true;
	assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
	for (int plain = 0; plain < 2; plain++) {
		no_tmpfile_error = plain ? EOPNOTSUPP : 0;
		memset(seen, 0, sizeof(seen));
		assert_int_equal(tempfile_open(&second, .dir = scratch), -EEXIST);
		assert_int_equal(seen[CALL_GETRANDOM], 100 + plain); /* and one on the stage */
	}
	memset(seen, 0, sizeof(seen));
	assert_int_equal(tempfile_mkdir(&dir, .dir = scratch), -EEXIST);
	assert_int_equal(seen[CALL_MKDIRAT], 100);
	assert_null(second);
	assert_null(dir);
	assert_int_equal(tempfile_close(&f), 0);
}

static int stolen;

/* What a cleaner does between creation and lock: deletes the file. Twice, then it has had enough.
 */
static void steal(int fd)
{
	(void)fd;
	if (stolen++ < 2)
		remove_all_files();
}

/* Or it holds the lock when we want it. */
static int thief_fd = -1;

static void hold_lock(int fd)
{
	char path[32];

	if (stolen++ > 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	thief_fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(__real_flock(thief_fd, LOCK_EX | LOCK_NB), 0);
}

static void test_cleaner_in_between(void **state)
{
	void (*const thieves[])(int) = {steal, hold_lock};

	(void)state;
	for (size_t i = 0; i < sizeof(thieves) / sizeof(thieves[0]); i++) {
		struct tempfile *f = NULL;
		struct stat status;

		stolen = 0;
		no_tmpfile_error = EOPNOTSUPP;
		before_flock = thieves[i];
		assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
		assert_true(stolen >= 2);
		assert_int_equal(fstat(tempfile_fd(f), &status), 0);
		assert_int_equal(status.st_nlink, 1);
		assert_true(exists(tempfile_path(f)));
		assert_int_equal(count_entries(scratch), 1);
		assert_int_equal(tempfile_close(&f), 0);
		reset_faults();
	}
	close(thief_fd);
}

static void test_first_error_of_close(void **state)
{
	struct tempfile *f = NULL;
	int before = count_fds();

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
	assert_non_null(tempfile_stream(f));
	fail_next(CALL_UNLINKAT, EACCES);
	assert_int_equal(tempfile_close(&f), -EACCES);
	reset_faults();
	assert_null(f);
	assert_int_equal(count_fds(), before);
	assert_int_equal(count_entries(scratch), 1);
	remove_all_files();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_call_failed_in_turn),	   TEST(test_errors_are_told_as_themselves),
		TEST(test_interrupted_calls_are_repeated), TEST(test_without_o_tmpfile),
		TEST(test_persist_without_o_tmpfile),	   TEST(test_without_proc),
		TEST(test_taken_names_are_tried_again),	   TEST(test_cleaner_in_between),
		TEST(test_first_error_of_close),
	};

	return cmocka_run_group_tests_name("tempfile_faults", tests, NULL, NULL);
}
