/* Temporary directories, and deleting them with whatever is in them.
 * --wrap: none. */
#include "test_tempfile_support.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/xattr.h>

static struct tempfile_directory *opened(void)
{
	struct tempfile_directory *directory = NULL;

	assert_int_equal(tempfile_directory_open(&directory, .dir = scratch, .prefix = "d-"), 0);
	return directory;
}

/* A path below the directory; the next call overwrites it. */
static const char *below(const struct tempfile_directory *directory, const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", tempfile_directory_path(directory), name);
	return path;
}

static void test_made_and_deleted(void **state)
{
	struct tempfile_directory *directory = opened();
	struct stat status, open_status;

	(void)state;
	assert_int_equal(lstat(tempfile_directory_path(directory), &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(fstat(tempfile_directory_fd(directory), &open_status), 0);
	assert_int_equal(status.st_ino, open_status.st_ino);
	assert_memory_equal(basename_of(tempfile_directory_path(directory)), "d-", 2);
	write_file(below(directory, "a"), "x");
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_null(directory);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(tempfile_directory_close(NULL), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_of_any_mode(void **state)
{
	(void)state;
	for (mode_t mode = 0; mode <= 0700; mode += 0100) {
		struct tempfile_directory *directory = NULL;

		assert_int_equal(tempfile_directory_open(&directory, .dir = scratch,
							 .mode = mode ? mode : 0700),
				 0);
		assert_int_equal(mode_of(tempfile_directory_path(directory)), mode ? mode : 0700);
		assert_int_equal(chmod(tempfile_directory_path(directory), 0700), 0);
		assert_int_equal(mkdir(below(directory, "in"), 0700), 0);
		write_file(below(directory, "in/file"), "x");
		assert_int_equal(chmod(below(directory, "in/file"), 0), 0);
		assert_int_equal(chmod(below(directory, "in"), mode), 0);
		assert_int_equal(chmod(tempfile_directory_path(directory), mode), 0);
		assert_int_equal(tempfile_directory_close(&directory), 0);
	}
}

static void test_kept(void **state)
{
	struct tempfile_directory *directory = opened();
	char *path = strdup(tempfile_directory_path(directory));

	(void)state;
	assert_int_equal(tempfile_directory_keep(directory), 0);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(rmdir(path), 0);
	free(path);
	assert_int_equal(tempfile_directory_open(&directory, .dir = scratch, .name = "never",
						 .deletion = TEMPFILE_DELETE_NEVER),
			 0);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(rmdir(in_scratch("never")), 0);
}

/* The directory that it was made in is the user's. */
static void test_the_directory_above_stays(void **state)
{
	int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tempfile_directory *directory = NULL;

	(void)state;
	assert_int_equal(tempfile_directory_open(&directory, .dir_fd = &fd), 0);
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(count_entries(scratch), 0);
	close(fd);
}

static void test_links_are_not_followed(void **state)
{
	struct tempfile_directory *directory = opened();

	(void)state;
	assert_int_equal(mkdir(in_scratch("precious"), 0700), 0);
	write_file(in_scratch("precious/file"), "x");
	assert_int_equal(symlink("../precious", below(directory, "relative")), 0);
	assert_int_equal(symlink(in_scratch("precious"), below(directory, "absolute")), 0);
	assert_int_equal(symlink(in_scratch("precious/file"), below(directory, "file")), 0);
	assert_int_equal(symlink("nowhere", below(directory, "dangling")), 0);
	assert_int_equal(symlink(".", below(directory, "loop")), 0);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_true(exists(in_scratch("precious/file")));
	assert_int_equal(unlink(in_scratch("precious/file")), 0);
	assert_int_equal(rmdir(in_scratch("precious")), 0);
}

/* Another process swaps a directory for a link and back, all the time: CVE-2023-6597. */
static void test_a_directory_that_becomes_a_link_meanwhile(void **state)
{
	pid_t swapper;

	(void)state;
	assert_int_equal(mkdir(in_scratch("precious"), 0700), 0);
	write_file(in_scratch("precious/file"), "x");
	for (int round = 0; round < 50; round++) {
		struct tempfile_directory *directory = opened();
		char *path = strdup(below(directory, "in")), *moved = strdup(in_scratch("moved"));
		char *precious = strdup(in_scratch("precious"));

		assert_int_equal(mkdir(path, 0700), 0);
		for (int i = 0; i < 20; i++) {
			char name[16];

			snprintf(name, sizeof(name), "in/%d", i);
			write_file(below(directory, name), "x");
		}
		swapper = fork();
		if (swapper == 0) {
			for (int i = 0; i < 2000; i++) {
				if (rename(path, moved) == 0)
					(void)!symlink(precious, path);
				unlink(path);
				rename(moved, path);
			}
			_exit(0);
		}
		tempfile_directory_close(&directory); /* how far it comes is another matter */
		assert_int_equal(waitpid(swapper, NULL, 0), swapper);
		assert_true(exists(in_scratch("precious/file")));
		free(path);
		free(moved);
		free(precious);
	}
	assert_int_equal(unlink(in_scratch("precious/file")), 0);
	assert_int_equal(rmdir(in_scratch("precious")), 0);
	assert_true(shell("rm -rf d-* moved"));
}

/* Deeper than any path may be long and than there are descriptors. */
static void test_a_very_deep_tree(void **state)
{
	struct tempfile_directory *directory = opened();
	int fd = dup(tempfile_directory_fd(directory));
	struct rlimit few = {20, 20}, before;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "a-directory", i % 7 ? 0700 : 0500), 0);
		next = openat(fd, "a-directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
		if (i % 7)
			close(openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0));
	}
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_a_wide_tree(void **state)
{
	struct tempfile_directory *directory = opened();
	char name[64];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(mkdir(below(directory, name), 0700), 0);
		for (int j = 0; j < 50; j++) {
			snprintf(name, sizeof(name), "%d/%d-%s", i, j, "a-name-of-some-length");
			write_file(below(directory, name), "");
		}
	}
	assert_int_equal(mkfifo(below(directory, "fifo"), 0600), 0);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(count_entries(scratch), 0);
}

/* Somebody else deletes the same tree at the same time. */
static void test_what_vanishes_is_no_error(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct tempfile_directory *directory = opened();
		char name[64];

		for (int i = 0; i < 200; i++) {
			snprintf(name, sizeof(name), "%d", i);
			assert_int_equal(mkdir(below(directory, name), 0700), 0);
			snprintf(name, sizeof(name), "%d/x", i);
			write_file(below(directory, name), "");
		}
		assert_true(shell("rm -rf d-* 2>/dev/null &"));
		assert_int_equal(tempfile_directory_close(&directory), 0);
	}
	assert_int_equal(count_entries(scratch), 0);
}

static int delete_below_a_mount(void *data)
{
	struct tempfile_directory *directory = opened();
	int r;

	(void)data;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	mkdir(in_scratch("precious"), 0700);
	write_file(in_scratch("precious/file"), "x");
	mkdir(below(directory, "mounted"), 0700);
	write_file(below(directory, "other"), "x");
	if (mount(in_scratch("precious"), below(directory, "mounted"), NULL, MS_BIND, NULL) < 0)
		return 77;
	r = tempfile_directory_close(&directory);
	if (!exists(in_scratch("precious/file")))
		return 1;
	return r == -EBUSY || r == -EXDEV ? 0 : 2;
}

static void test_a_mount_is_not_crossed(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(delete_below_a_mount(NULL));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
	assert_true(shell("rm -rf d-* precious"));
	if (WEXITSTATUS(status) == 77)
		skip();
}

/* Neither the first failure nor the second keeps the rest from being deleted. */
static void test_the_rest_is_deleted(void **state)
{
	struct tempfile_directory *directory = opened();
	int r;

	(void)state;
	write_file(below(directory, "a"), "");
	assert_int_equal(mkdir(below(directory, "in"), 0700), 0);
	write_file(below(directory, "in/stays"), "");
	write_file(below(directory, "in/goes"), "");
	write_file(below(directory, "z"), "");
	if (getuid() != 0 || !shell("chattr +i d-*/in/stays 2>/dev/null")) {
		tempfile_directory_close(&directory);
		skip();
	}
	r = tempfile_directory_close(&directory);
	assert_true(shell("chattr -i d-*/in/stays"));
	assert_int_equal(r, -EPERM);
	assert_true(shell("test \"$(cd d-* && find . -type f)\" = ./in/stays && rm -rf d-*"));
}

static void test_errors_can_be_ignored(void **state)
{
	struct tempfile_directory *directory = NULL;

	(void)state;
	assert_int_equal(tempfile_directory_open(&directory, .dir = scratch, .prefix = "d-",
						 .ignore_cleanup_errors = true),
			 0);
	write_file(below(directory, "stays"), "");
	if (getuid() != 0 || !shell("chattr +i d-*/stays 2>/dev/null")) {
		tempfile_directory_close(&directory);
		skip();
	}
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_true(shell("chattr -i d-*/stays && rm -rf d-*"));
}

/* What stands at the path by now is somebody else's, and what was moved away is wanted. */
static void test_a_directory_that_was_moved(void **state)
{
	struct tempfile_directory *directory = opened();
	char *path = strdup(tempfile_directory_path(directory));

	(void)state;
	write_file(below(directory, "ours"), "");
	assert_int_equal(rename(path, in_scratch("moved")), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_int_equal(rmdir(path), 0);
	assert_true(exists(in_scratch("moved/ours")));
	assert_true(shell("rm -r moved"));
	free(path);
}

static int close_directory(void *data)
{
	struct tempfile_directory *directory = data;

	return tempfile_directory_close(&directory) == 0 ? 0 : 1;
}

static void test_a_child_deletes_nothing(void **state)
{
	struct tempfile_directory *directory = opened();

	(void)state;
	write_file(below(directory, "file"), "");
	assert_child(close_directory, directory);
	assert_true(exists(below(directory, "file")));
	assert_int_equal(tempfile_directory_close(&directory), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_made_and_deleted),
		TEST(test_of_any_mode),
		TEST(test_kept),
		TEST(test_the_directory_above_stays),
		TEST(test_links_are_not_followed),
		TEST(test_a_directory_that_becomes_a_link_meanwhile),
		TEST(test_a_very_deep_tree),
		TEST(test_a_wide_tree),
		TEST(test_what_vanishes_is_no_error),
		TEST(test_a_mount_is_not_crossed),
		TEST(test_the_rest_is_deleted),
		TEST(test_errors_can_be_ignored),
		TEST(test_a_directory_that_was_moved),
		TEST(test_a_child_deletes_nothing),
	};

	return cmocka_run_group_tests_name("tempfile_remove", tests, NULL, NULL);
}
