/* The directory for temporary files, disk usage, and the random names.
 * --wrap: write (fails in the probe of a candidate). */
#include "test_tempfile_support.h"

#include "tempfile/name.h"

#include <pthread.h>
#include <sys/statvfs.h>

/* So many probes, from the first on, find a full disk. */
static int full_disks;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (full_disks > 0) {
		full_disks--;
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, data, size);
}

static int setup(void **state)
{
	unsetenv("TMPDIR");
	unsetenv("TEMP");
	unsetenv("TMP");
	full_disks = 0;
	tempfile_set_tempdir(NULL);
	return setup_scratch(state);
}

static void make_dir(const char *name)
{
	assert_int_equal(mkdir(in_scratch(name), 0700), 0);
}

static void remove_dir(const char *name)
{
	assert_int_equal(rmdir(in_scratch(name)), 0);
}

static void assert_found(const char *path)
{
	tempfile_set_tempdir(NULL);
	assert_string_equal(tempfile_gettempdir(), path);
}

static void test_default_is_tmp(void **state)
{
	(void)state;
	assert_found("/tmp");
}

static void test_order_of_the_environment(void **state)
{
	(void)state;
	make_dir("1");
	make_dir("2");
	make_dir("3");
	setenv("TMP", in_scratch("3"), 1);
	assert_found(in_scratch("3"));
	setenv("TEMP", in_scratch("2"), 1);
	assert_found(in_scratch("2"));
	setenv("TMPDIR", in_scratch("1"), 1);
	assert_found(in_scratch("1"));
	setenv("TMPDIR", "", 1);
	assert_found(in_scratch("2"));
	remove_dir("1");
	remove_dir("2");
	remove_dir("3");
}

static void test_unusable_candidates_are_skipped(void **state)
{
	(void)state;
	make_dir("3");
	write_file(in_scratch("file"), "");
	setenv("TMP", in_scratch("3"), 1);
	setenv("TEMP", in_scratch("file"), 1);
	setenv("TMPDIR", "/proc", 1); /* nothing can be made there, not even by root */
	assert_found(in_scratch("3"));
	setenv("TMPDIR", in_scratch("missing"), 1);
	assert_found(in_scratch("3"));
	assert_int_equal(unlink(in_scratch("file")), 0);
	remove_dir("3");
}

static void test_full_disks_are_skipped(void **state)
{
	(void)state;
	make_dir("1");
	setenv("TMPDIR", in_scratch("1"), 1);
	full_disks = 1;
	assert_found("/tmp");
	full_disks = 2;
	assert_found("/var/tmp");
	assert_int_equal(count_entries(in_scratch("1")), 0);
	remove_dir("1");
}

static void test_working_directory_is_the_last(void **state)
{
	char *old = getcwd(NULL, 0);

	(void)state;
	assert_int_equal(chdir(scratch), 0);
	full_disks = access("/usr/tmp", W_OK) == 0 ? 3 : 2;
	assert_found(scratch);
	assert_int_equal(chdir(old), 0);
	free(old);
}

static void test_none_at_all(void **state)
{
	struct tempfile *f = NULL;

	(void)state;
	full_disks = 100;
	assert_null(tempfile_gettempdir());
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(tempfile_open(&f), -ENOSPC);
	assert_null(f);
	full_disks = 0;
	assert_found("/tmp");
}

static void test_relative_candidate_becomes_absolute(void **state)
{
	char *old = getcwd(NULL, 0);

	(void)state;
	make_dir("1");
	assert_int_equal(chdir(scratch), 0);
	setenv("TMPDIR", "1/.", 1);
	assert_found(in_scratch("1"));
	assert_int_equal(chdir(old), 0);
	free(old);
	remove_dir("1");
}

static void test_found_once_then_remembered(void **state)
{
	const char *first = tempfile_gettempdir();

	(void)state;
	setenv("TMPDIR", scratch, 1);
	assert_ptr_equal(tempfile_gettempdir(), first);
}

static void test_override(void **state)
{
	struct tempfile *f = NULL;
	const char *before = tempfile_gettempdir();
	const char *after;

	(void)state;
	assert_int_equal(tempfile_set_tempdir(scratch), 0);
	after = tempfile_gettempdir();
	assert_string_equal(after, scratch);
	assert_string_equal(before, "/tmp"); /* still there */
	assert_int_equal(tempfile_open(&f), 0);
	assert_memory_equal(tempfile_path(f), scratch, strlen(scratch));
	assert_int_equal(tempfile_close(&f), 0);
	assert_int_equal(tempfile_set_tempdir(""), -ENOENT);
	assert_ptr_equal(tempfile_gettempdir(), after);
	assert_int_equal(tempfile_set_tempdir(NULL), 0);
	assert_ptr_equal(tempfile_gettempdir(), before); /* each directory is kept once */
}

static void *keep_getting(void *data)
{
	(void)data;
	for (int i = 0; i < 20000; i++)
		assert_non_null(tempfile_gettempdir());
	return NULL;
}

/* Who asks at the same time must not bring back what was forgotten. */
static void test_forgotten_while_others_ask(void **state)
{
	pthread_t thread;

	(void)state;
	setenv("TMPDIR", scratch, 1);
	assert_int_equal(tempfile_set_tempdir(NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, keep_getting, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(tempfile_set_tempdir("/nowhere"), 0);
		assert_int_equal(tempfile_set_tempdir(NULL), 0);
		assert_string_equal(tempfile_gettempdir(), scratch);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	unsetenv("TMPDIR");
}

static void test_prefix(void **state)
{
	(void)state;
	assert_string_equal(tempfile_gettempprefix(), "tmp");
}

static void test_disk_usage(void **state)
{
	struct tempfile_usage usage = {.total = 0};
	struct statvfs fs;

	(void)state;
	assert_int_equal(tempfile_disk_usage(scratch, &usage), 0);
	assert_int_equal(statvfs(scratch, &fs), 0);
	assert_true(usage.total == (uint64_t)fs.f_blocks * fs.f_frsize);
	assert_true(usage.used <= usage.total && usage.free <= usage.total - usage.used);
	assert_true(usage.total > 0);
	assert_int_equal(tempfile_disk_usage(in_scratch("missing"), &usage), -ENOENT);
}

enum {
	NAMES = 100000
};

static int compare_names(const void *a, const void *b)
{
	return memcmp(a, b, TEMP_NAME_RANDOM);
}

static void test_names(void **state)
{
	char(*names)[TEMP_NAME_RANDOM] = calloc(NAMES, sizeof(*names));
	unsigned seen[256] = {0};

	(void)state;
	assert_non_null(names);
	for (size_t i = 0; i < NAMES; i++) {
		assert_int_equal(temp_name_randomize(names[i], TEMP_NAME_RANDOM), 0);
		for (size_t j = 0; j < TEMP_NAME_RANDOM; j++)
			seen[(unsigned char)names[i][j]]++;
	}
	qsort(names, NAMES, sizeof(*names), compare_names);
	for (size_t i = 1; i < NAMES; i++)
		assert_memory_not_equal(names[i - 1], names[i], TEMP_NAME_RANDOM);
	free(names);

	/* Each of the 37 characters 32432 times, give or take 178: eight times that is never. */
	for (unsigned c = 0; c < 256; c++) {
		bool allowed = c && strchr("abcdefghijklmnopqrstuvwxyz0123456789_", (int)c);

		assert_in_range(seen[c], allowed ? 31000 : 0, allowed ? 33900 : 0);
	}
}

static int write_name(void *data)
{
	char name[TEMP_NAME_RANDOM];

	if (temp_name_randomize(name, TEMP_NAME_RANDOM) < 0)
		return 1;
	return write(*(int *)data, name, sizeof(name)) == (ssize_t)sizeof(name) ? 0 : 2;
}

static void test_names_differ_after_fork(void **state)
{
	char of_child[TEMP_NAME_RANDOM], of_parent[TEMP_NAME_RANDOM];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_child(write_name, &ends[1]);
	assert_int_equal(read(ends[0], of_child, sizeof(of_child)), sizeof(of_child));
	assert_int_equal(temp_name_randomize(of_parent, TEMP_NAME_RANDOM), 0);
	assert_memory_not_equal(of_child, of_parent, TEMP_NAME_RANDOM);
	close(ends[0]);
	close(ends[1]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_default_is_tmp),
		TEST(test_order_of_the_environment),
		TEST(test_unusable_candidates_are_skipped),
		TEST(test_full_disks_are_skipped),
		TEST(test_working_directory_is_the_last),
		TEST(test_none_at_all),
		TEST(test_relative_candidate_becomes_absolute),
		TEST(test_found_once_then_remembered),
		TEST(test_override),
		TEST(test_forgotten_while_others_ask),
		TEST(test_prefix),
		TEST(test_disk_usage),
		TEST(test_names),
		TEST(test_names_differ_after_fork),
	};

	return cmocka_run_group_tests_name("tempfile_directory", tests, NULL, NULL);
}
