/* What a server says, made fit for a terminal.
 * --wrap: none. */
#include "test_support.h"

#include "base/printable.h"

static const struct {
	const char *name, *text;
	size_t size;
	const char *shown;
} texts[] = {
	{"nothing", "", 0, ""},
	{"plain", "go away", 7, "go away"},
	{"two and three bytes", "\xc3\xa9\xe2\x82\xac", 5, "\xc3\xa9\xe2\x82\xac"},
	{"escape", "\033[2J", 4, "?[2J"},
	{"NUL, newline, DEL", "a\0b\nc\x7f", 6, "a?b?c?"},
	{"the other control characters",
	 "\xc2\x9b"
	 "31m\xc2\xa0",
	 7, "?31m\xc2\xa0"},
	{"no UTF-8", "\xff\xc3(\x80", 4,
	 "?"
	 "?(?"},
	{"cut inside a character", "ab\xe2\x82", 4, "ab??"},
};

static void test_what_is_shown(void **state)
{
	char to[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP_FREE char *text = exact_copy(texts[i].text, texts[i].size);

		printable_copy(to, sizeof(to), text, texts[i].size);
		if (strcmp(to, texts[i].shown) != 0)
			fail_msg("%s: \"%s\"", texts[i].name, to);
	}
}

/* Between two characters, with room for the NUL. */
static void test_what_is_too_long_is_cut(void **state)
{
	static const char text[] = "ab\xe2\x82\xac"
				   "c";
	static const char *const cut[] = {"", "a", "ab", "ab", "ab", "ab\xe2\x82\xac"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		CLEANUP_FREE char *to = malloc(i + 1); /* for AddressSanitizer */

		assert_non_null(to);
		printable_copy(to, i + 1, text, strlen(text));
		assert_string_equal(to, cut[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_shown),
		cmocka_unit_test(test_what_is_too_long_is_cut),
	};

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
