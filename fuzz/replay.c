/* In place of a fuzzer: gives a target each file of its corpus once, as a test. What a fuzzer has
 * found stays in the corpus, and so does not come back unseen.
 *
 * usage: replay DIRECTORY */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after those */

#include "base/macro.h"

#define INPUT_MAX MIB(1)

static const char *directory;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(int dir_fd, const char *name)
{
	CLEANUP_FREE uint8_t *data = malloc(INPUT_MAX);
	CLEANUP_FREE uint8_t *exact = NULL;
	CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	assert_non_null(data);
	assert_true(fd >= 0);
	size = read(fd, data, INPUT_MAX);
	assert_true(size >= 0);
	exact = realloc(TAKE_PTR(data), size > 0 ? (size_t)size : 1);
	assert_non_null(exact);
	assert_int_equal(LLVMFuzzerTestOneInput(exact, (size_t)size), 0);
}

static void test_corpus(void **state)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		replay(dirfd(dir), entry->d_name);
		count++;
	}
	closedir(dir);
	assert_true(count > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};

	directory = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests_name("corpus", tests, NULL, NULL);
}
