/* In place of a fuzzer: gives a target each file of its corpus once, as a test. What a fuzzer has
 * found stays in the corpus, and so does not come back unseen.
 *
 * usage: replay FILE… */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after those */

#include "base/macro.h"

#define INPUT_MAX MIB(1)

static char **files; /* ends with NULL */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
	CLEANUP_FREE uint8_t *data = malloc(INPUT_MAX);
	CLEANUP_FREE uint8_t *exact = NULL;
	CLEANUP_FILE FILE *file = fopen(path, "re");
	size_t size;

	assert_non_null(data);
	assert_non_null(file);
	size = fread(data, 1, INPUT_MAX, file);
	assert_false(ferror(file));
	exact = realloc(TAKE_PTR(data), size > 0 ? size : 1);
	assert_non_null(exact);
	assert_int_equal(LLVMFuzzerTestOneInput(exact, size), 0);
}

static void test_corpus(void **state)
{
	(void)state;
	assert_non_null(*files);
	for (char **file = files; *file; file++)
		replay(*file);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};

	files = argv + (argc > 0 ? 1 : 0);
	return cmocka_run_group_tests_name("corpus", tests, NULL, NULL);
}
