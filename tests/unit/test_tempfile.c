/* libtempfile as its users see it: making files and directories, and using them.
 * --wrap: none. */
#include "test_tempfile_support.h"

#include <sys/file.h>

static void test_defaults_are_pythons(void **state)
{
	struct tempfile *f = NULL;
	const char *path;
	size_t dir_length = strlen(tempfile_gettempdir());

	(void)state;
	assert_int_equal(tempfile_open(&f), 0);
	path = tempfile_path(f);
	assert_memory_equal(path, tempfile_gettempdir(), dir_length);
	assert_memory_equal(path + dir_length, "/tmp", 4);
	assert_int_equal(strlen(path + dir_length), strlen("/tmp") + 12);
	assert_int_equal(mode_of(path), 0600);
	assert_true(fcntl(tempfile_fd(f), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(tempfile_fd(f), F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(tempfile_close(&f), 0);
	assert_null(f);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(tempfile_close(NULL), 0);
}

static void test_null_options(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open_with(&f, NULL), 0);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(tempfile_open_anonymous_with(&f, NULL), 0);
	assert_int_equal(tempfile_close(&f), 0);
}

static void test_utf8_prefix_and_suffix(void **state)
{
	struct tempfile *f = NULL;
	const char *name;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .prefix = "你好呀", .suffix = "我不好"),
			 0);
	name = basename_of(tempfile_path(f));
	assert_memory_equal(name, "你好呀", 9);
	assert_string_equal(name + strlen(name) - 9, "我不好");
	assert_true(exists(tempfile_path(f)));
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_empty_prefix_and_hidden_file(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .prefix = ""), 0);
	assert_int_equal(strlen(basename_of(tempfile_path(f))), 12);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .prefix = "."), 0);
	assert_int_equal(basename_of(tempfile_path(f))[0], '.');
	assert_int_equal(tempfile_close(&f), 0);
}

static void test_names_that_are_paths(void **state)
{
	static const char *const bad[] = {"a/b", "/", "../x", "..", "x/"};
	struct tempfile *f = NULL;
	char *path = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(tempfile_open(&f, .dir = scratch, .prefix = bad[i]), -EINVAL);
		assert_int_equal(tempfile_open(&f, .dir = scratch, .suffix = bad[i]), -EINVAL);
		assert_int_equal(tempfile_open(&f, .dir = scratch, .name = bad[i]), -EINVAL);
		assert_int_equal(tempfile_open_anonymous(&f, .prefix = bad[i]), -EINVAL);
		assert_int_equal(tempfile_mkdir(&path, .prefix = bad[i]), -EINVAL);
	}
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = ""), -EINVAL);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "."), -EINVAL);
	assert_null(f);
	assert_null(path);
}

static void test_other_invalid_options(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .mode = 010000), -EINVAL);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "a", .prefix = "b"), -EINVAL);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .deletion = (enum tempfile_deletion)7),
			 -EINVAL);
	assert_int_equal(tempfile_open_anonymous(&f, .dir = scratch, .name = "a"), -EINVAL);
	assert_int_equal(
		tempfile_open_anonymous(&f, .dir = scratch, .deletion = TEMPFILE_DELETE_NEVER),
		-EINVAL);
	assert_null(f);
}

static void test_errors_told_as_themselves(void **state)
{
	struct tempfile *f = NULL;
	char *path = NULL;
	char longer[300];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	write_file(in_scratch("file"), "");
	assert_int_equal(tempfile_open(&f, .dir = in_scratch("missing")), -ENOENT);
	assert_int_equal(tempfile_open(&f, .dir = in_scratch("file")), -ENOTDIR);
	assert_int_equal(tempfile_open(&f, .dir = ""), -ENOENT);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .prefix = longer), -ENAMETOOLONG);
	assert_int_equal(tempfile_open_anonymous(&f, .dir = in_scratch("missing")), -ENOENT);
	assert_int_equal(tempfile_mkdir(&path, .dir = in_scratch("missing")), -ENOENT);
	assert_int_equal(tempfile_mkdir(&path, .dir = in_scratch("file")), -ENOTDIR);
	assert_int_equal(tempfile_open(&f, .dir_fd = &(int){-1}), -EBADF);
	assert_null(f);
	assert_null(path);
	assert_int_equal(unlink(in_scratch("file")), 0);
}

static void test_exact_name(void **state)
{
	struct tempfile *f = NULL, *second = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "0.data"), 0);
	assert_string_equal(tempfile_path(f), in_scratch("0.data"));
	assert_int_equal(tempfile_open(&second, .dir = scratch, .name = "0.data"), -EEXIST);
	assert_null(second);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(symlink("nowhere", in_scratch("0.data")), 0);
	assert_int_equal(tempfile_open(&f, .dir = scratch, .name = "0.data"), -EEXIST);
	assert_int_equal(unlink(in_scratch("0.data")), 0);
}

static void test_mode_whatever_the_umask(void **state)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	static const mode_t modes[] = {0600, 0644, 0666, 0777, 0400, 01700};

	(void)state;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++) {
			mode_t old = umask(masks[i]);
			struct tempfile *f = NULL;
			struct stat status;
			char *dir = NULL;

			assert_int_equal(tempfile_open(&f, .dir = scratch, .mode = modes[j]), 0);
			assert_int_equal(mode_of(tempfile_path(f)), modes[j]);
			assert_int_equal(tempfile_close(&f), 0);
			assert_int_equal(
				tempfile_open_anonymous(&f, .dir = scratch, .mode = modes[j]), 0);
			assert_int_equal(fstat(tempfile_fd(f), &status), 0);
			assert_int_equal(status.st_mode & 07777, modes[j]);
			assert_int_equal(tempfile_close(&f), 0);
			assert_int_equal(tempfile_mkdir(&dir, .dir = scratch, .mode = modes[j]), 0);
			assert_int_equal(mode_of(dir), modes[j]);
			assert_int_equal(rmdir(dir), 0);
			free(dir);
			umask(old);
		}
	}
}

static void test_locked_while_open(void **state)
{
	struct tempfile *f = NULL;
	int other;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .deletion = TEMPFILE_DELETE_NEVER), 0);
	other = open(tempfile_path(f), O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_int_equal(unlink(tempfile_path(f)), 0);
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
}

static void test_stream_is_the_same_file(void **state)
{
	struct tempfile *f = NULL;
	char text[16] = "";
	FILE *stream;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch), 0);
	assert_int_equal(write(tempfile_fd(f), "hello", 5), 5);
	stream = tempfile_stream(f);
	assert_non_null(stream);
	assert_ptr_equal(stream, tempfile_stream(f));
	assert_int_equal(fileno(stream), tempfile_fd(f));
	assert_int_equal(fwrite(", world", 1, 7, stream), 7);
	rewind(stream);
	assert_int_equal(fread(text, 1, sizeof(text), stream), 12);
	assert_string_equal(text, "hello, world");
	assert_int_equal(tempfile_close(&f), 0);
}

static void test_append(void **state)
{
	struct tempfile *f = NULL;
	char text[8] = "";

	(void)state;
	assert_int_equal(tempfile_open_anonymous(&f, .dir = scratch, .append = true), 0);
	assert_int_equal(write(tempfile_fd(f), "ab", 2), 2);
	rewind(tempfile_stream(f));
	assert_int_equal(fputs("cd", tempfile_stream(f)), 1);
	assert_int_equal(fflush(tempfile_stream(f)), 0);
	assert_int_equal(pread(tempfile_fd(f), text, sizeof(text), 0), 4);
	assert_string_equal(text, "abcd");
	assert_int_equal(tempfile_close(&f), 0);
}

static void test_inherit(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&f, .dir = scratch, .inherit = true), 0);
	assert_int_equal(fcntl(tempfile_fd(f), F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(tempfile_close(&f), 0);
}

static void test_anonymous_has_no_name(void **state)
{
	struct tempfile *f = NULL;
	struct stat status;

	(void)state;
	assert_int_equal(tempfile_open_anonymous(&f, .dir = scratch), 0);
	assert_null(tempfile_path(f));
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(fstat(tempfile_fd(f), &status), 0);
	assert_int_equal(status.st_nlink, 0);
	assert_true(fcntl(tempfile_fd(f), F_GETFD) & FD_CLOEXEC);
	assert_int_equal(tempfile_keep(f), -EINVAL);
	assert_int_equal(tempfile_close(&f), 0);
}

static void test_mkdir(void **state)
{
	char *path = NULL, *second = NULL;
	int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(tempfile_mkdir(&path, .dir = scratch, .prefix = "pre-", .suffix = ".d"),
			 0);
	assert_int_equal(mode_of(path), 0700);
	assert_memory_equal(basename_of(path), "pre-", 4);
	assert_string_equal(path + strlen(path) - 2, ".d");
	assert_int_equal(rmdir(path), 0);
	free(path);
	assert_int_equal(tempfile_mkdir(&path, .dir_fd = &fd, .name = "d"), 0);
	assert_string_equal(path, in_scratch("d"));
	assert_int_equal(tempfile_mkdir(&second, .dir_fd = &fd, .name = "d"), -EEXIST);
	assert_null(second);
	assert_int_equal(rmdir(path), 0);
	free(path);
	close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults_are_pythons),
		TEST(test_null_options),
		TEST(test_utf8_prefix_and_suffix),
		TEST(test_empty_prefix_and_hidden_file),
		TEST(test_names_that_are_paths),
		TEST(test_other_invalid_options),
		TEST(test_errors_told_as_themselves),
		TEST(test_exact_name),
		TEST(test_mode_whatever_the_umask),
		TEST(test_locked_while_open),
		TEST(test_stream_is_the_same_file),
		TEST(test_append),
		TEST(test_inherit),
		TEST(test_anonymous_has_no_name),
		TEST(test_mkdir),
	};

	return cmocka_run_group_tests_name("tempfile", tests, NULL, NULL);
}
