/* libtempfile as its users see it: what closing deletes, what it leaves alone, and what it tells.
 * --wrap: none. */
#include "test_tempfile_support.h"

#include <signal.h>
#include <sys/resource.h>

static void test_keep(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "kept"), 0);
	assert_int_equal(tempfile_keep(f), 0);
	assert_true(fputs("text", tempfile_stream(f)) >= 0);
	assert_int_equal(tempfile_close(&f), 0);
	assert_true(exists(in_scratch("kept")));
	assert_int_equal(unlink(in_scratch("kept")), 0);
}

static void test_scope_end(void **state)
{
	(void)state;
	{
		TEMPFILE_AUTO struct tempfile *f = NULL;

		assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
		assert_int_equal(count_entries(scratch), 1);
	}
	assert_int_equal(count_entries(scratch), 0);
}

static void test_file_of_others_is_left_alone(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "a"), 0);
	write_file(in_scratch("other"), "not ours");
	assert_int_equal(renameat(AT_FDCWD, in_scratch("other"), AT_FDCWD, tempfile_path(f)), 0);
	assert_int_equal(tempfile_close(&f), 0);
	assert_true(exists(in_scratch("a")));
	assert_int_equal(unlink(in_scratch("a")), 0);

	/* A symbolic link, even to our own file, is not our file. */
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "a"), 0);
	{
		char moved[sizeof(scratch) + 8];

		snprintf(moved, sizeof(moved), "%s/moved", scratch);
		assert_int_equal(rename(tempfile_path(f), moved), 0);
		assert_int_equal(symlink("moved", tempfile_path(f)), 0);
		assert_int_equal(tempfile_close(&f), 0);
		assert_true(exists(in_scratch("a")));
		assert_int_equal(unlink(moved), 0);
		assert_int_equal(unlink(in_scratch("a")), 0);
	}
}

static void test_already_deleted(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
	assert_int_equal(unlink(tempfile_path(f)), 0);
	assert_int_equal(tempfile_close(&f), 0);
}

static int close_in_child(void *data)
{
	struct tempfile *f = data;

	return tempfile_close(&f) == 0 ? 0 : 1;
}

static void test_child_deletes_and_writes_nothing(void **state)
{
	struct tempfile *f = NULL;
	char text[16] = "";

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
	assert_true(fputs("once", tempfile_stream(f)) >= 0);
	assert_child(close_in_child, f);
	assert_true(exists(tempfile_path(f)));
	assert_int_equal(fflush(tempfile_stream(f)), 0);
	assert_int_equal(pread(tempfile_fd(f), text, sizeof(text), 0), 4);
	assert_string_equal(text, "once");
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_relative_dir_and_chdir(void **state)
{
	struct tempfile *f = NULL;
	char *old = getcwd(NULL, 0);
	char *dir = NULL;

	(void)state;
	assert_non_null(old);
	assert_int_equal(chdir(scratch), 0);
	assert_int_equal(tempfile_open(&f, .dir = "././/", .name = "a"), 0);
	assert_int_equal(tempfile_mkdir(&dir, .dir = ".", .name = "d"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_string_equal(tempfile_path(f), in_scratch("a"));
	assert_string_equal(dir, in_scratch("d"));
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(chdir(old), 0);
	free(dir);
	free(old);
}

static void test_dir_fd_follows_a_renamed_directory(void **state)
{
	struct tempfile *f = NULL;
	char moved[sizeof(scratch) + 8];
	int fd;

	(void)state;
	snprintf(moved, sizeof(moved), "%s/new", scratch);
	assert_int_equal(mkdir(in_scratch("old"), 0700), 0);
	fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(tempfile_open(&f, .dir_fd = &fd, .dir = "old", .name = "a"), 0);
	close(fd);
	assert_string_equal(tempfile_path(f), in_scratch("old/a"));
	assert_true(exists(tempfile_path(f)));
	assert_int_equal(rename(in_scratch("old"), moved), 0);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(rmdir(moved), 0);
}

static int write_beyond_the_limit(void *data)
{
	char text[1000] = "";
	struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
	struct tempfile *f = NULL;

	(void)data;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || tempfile_open(&f, .dir = scratch) < 0)
		return 1;
	/* All of it is in the buffer: that it does not fit turns out at the end. */
	if (fseek(tempfile_stream(f), 4000, SEEK_SET) != 0 ||
	    fwrite(text, 1, sizeof(text), tempfile_stream(f)) != sizeof(text))
		return 2;
	if (tempfile_close(&f) != -EFBIG)
		return 3;
	return count_entries(scratch) == 0 ? 0 : 4;
}

static int remember_an_earlier_error(void *data)
{
	struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
	struct tempfile *f = NULL;

	(void)data;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || tempfile_open(&f, .dir = scratch) < 0)
		return 1;
	setvbuf(tempfile_stream(f), NULL, _IONBF, 0);
	if (fseek(tempfile_stream(f), 4096, SEEK_SET) != 0 || fputc('x', tempfile_stream(f)) != EOF)
		return 2;
	return tempfile_close(&f) == -EIO ? 0 : 3;
}

static void test_close_tells_deferred_errors(void **state)
{
	(void)state;
	assert_child(write_beyond_the_limit, NULL);
	assert_child(remember_an_earlier_error, NULL);
}

static void test_nothing_leaks(void **state)
{
	int before;

	(void)state;
	before = count_fds();
	for (int i = 0; i < 100; i++) {
		struct tempfile *f = NULL, *g = NULL;

		assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
		assert_int_equal(tempfile_open_anonymous(&g, .dir = scratch), 0);
		assert_non_null(tempfile_stream(f));
		assert_int_equal(tempfile_close(&f), 0);
		assert_int_equal(tempfile_close(&g), 0);
	}
	assert_int_equal(count_fds(), before);
	assert_int_equal(count_entries(scratch), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keep),
		TEST(test_scope_end),
		TEST(test_file_of_others_is_left_alone),
		TEST(test_already_deleted),
		TEST(test_child_deletes_and_writes_nothing),
		TEST(test_relative_dir_and_chdir),
		TEST(test_dir_fd_follows_a_renamed_directory),
		TEST(test_close_tells_deferred_errors),
		TEST(test_nothing_leaks),
	};

	return cmocka_run_group_tests_name("tempfile_close", tests, NULL, NULL);
}
