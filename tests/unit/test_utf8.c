/* UTF-8 validation against RFC 3629: against a decoder that is as simple as the RFC, over every
 * code point, every combination of bytes at which anything changes, and every way to cut a text.
 * --wrap: none. */
#include "base/utf8.h"
#include "test_support.h"

enum verdict {
	BAD,
	WHOLE,
	UNFINISHED,
};

/* RFC 3629 section 3: one form for each number of further bytes. */
static const struct form {
	uint8_t mask, lead;
	uint32_t lowest, highest;
} forms[] = {
	{0x80, 0x00, 0x0, 0x7f},
	{0xe0, 0xc0, 0x80, 0x7ff},
	{0xf0, 0xe0, 0x800, 0xffff},
	{0xf8, 0xf0, 0x10000, 0x10ffff},
};

#define SURROGATES_BEGIN 0xd800u
#define SURROGATES_END 0xdfffu

/* Whether any code point between the two may be written in this form. */
static bool range_is_possible(const struct form *form, uint32_t low, uint32_t high)
{
	low = MAX(low, form->lowest);
	high = MIN(high, form->highest);
	return low <= high && !(low >= SURROGATES_BEGIN && high <= SURROGATES_END);
}

/* Decodes what is there of one character, and asks which code points it can still become. */
static enum verdict naive_character(const uint8_t *text, size_t size, size_t *ret_length)
{
	for (size_t more = 0; more < ARRAY_SIZE(forms); more++) {
		const struct form *form = &forms[more];
		size_t there = MIN(size - 1, more), missing = 6 * (more - there);
		uint32_t value = text[0] & (uint8_t)~form->mask;

		if ((text[0] & form->mask) != form->lead)
			continue;
		for (size_t i = 1; i <= there; i++) {
			if ((text[i] & 0xc0) != 0x80)
				return BAD;
			value = value << 6 | (text[i] & 0x3f);
		}
		if (!range_is_possible(form, value << missing, ((value + 1) << missing) - 1))
			return BAD;
		*ret_length = there + 1;
		return missing > 0 ? UNFINISHED : WHOLE;
	}
	return BAD;
}

static enum verdict naive(const uint8_t *text, size_t size)
{
	enum verdict verdict = WHOLE;

	while (size > 0 && verdict == WHOLE) {
		size_t length = 0;

		verdict = naive_character(text, size, &length);
		text += length;
		size -= length;
	}
	return verdict;
}

static enum verdict verdict_of(utf8_state state)
{
	if (state == UTF8_INVALID)
		return BAD;
	return state == UTF8_WHOLE ? WHOLE : UNFINISHED;
}

static enum verdict ours(const uint8_t *text, size_t size)
{
	return verdict_of(utf8_validate(UTF8_WHOLE, text, size));
}

/* Writes a code point in the form with `more` further bytes, be it allowed or not. */
static size_t encode(uint8_t to[4], uint32_t point, size_t more)
{
	for (size_t i = more; i > 0; i--, point >>= 6)
		to[i] = (uint8_t)(0x80 | (point & 0x3f));
	to[0] = (uint8_t)(forms[more].lead | point);
	return more + 1;
}

static void test_examples(void **state)
{
	static const struct {
		const char *text;
		enum verdict verdict;
	} examples[] = {
		{"", WHOLE},
		{"A\xe2\x89\xa2\xce\x91.", WHOLE},		 /* RFC 3629 section 7 */
		{"\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", WHOLE}, /* the same */
		{"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", WHOLE}, /* the same */
		{"\xef\xbb\xbf\xf0\xa3\x8e\xb4", WHOLE},	 /* the same */
		{"\xc2\x80", WHOLE},				 /* the first of two bytes */
		{"\xdf\xbf", WHOLE},				 /* the last of two */
		{"\xe0\xa0\x80", WHOLE},			 /* the first of three */
		{"\xed\x9f\xbf", WHOLE},			 /* before the surrogates */
		{"\xee\x80\x80", WHOLE},			 /* behind them */
		{"\xef\xbf\xbf", WHOLE},			 /* the last of three */
		{"\xf0\x90\x80\x80", WHOLE},			 /* the first of four */
		{"\xf4\x8f\xbf\xbf", WHOLE},			 /* the last of all */
		{"\x80", BAD},					 /* continues nothing */
		{"\xbf", BAD},					 /* the same */
		{"\xc0", BAD},					 /* always too long a form */
		{"\xc1", BAD},					 /* the same */
		{"\xe0\x9f", BAD},				 /* the same */
		{"\xf0\x8f", BAD},				 /* the same */
		{"\xed\xa0", BAD},				 /* a surrogate */
		{"\xed\xbf", BAD},				 /* the same */
		{"\xf4\x90", BAD},				 /* beyond Unicode */
		{"\xf5", BAD},					 /* the same */
		{"\xf8", BAD},					 /* a form of five bytes */
		{"\xfc", BAD},					 /* of six */
		{"\xfe", BAD},					 /* in no form */
		{"\xff", BAD},					 /* the same */
		{"\xc2", UNFINISHED},
		{"\xe1\x80", UNFINISHED},
		{"\xf1\x80\x80", UNFINISHED},
		{"\xc2"
		 "A",
		 BAD},
		{"\xe1\x80"
		 "A",
		 BAD},
		{"\xf1\x80\x80"
		 "A",
		 BAD},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		const uint8_t *text = (const uint8_t *)examples[i].text;

		assert_int_equal(ours(text, strlen(examples[i].text)), examples[i].verdict);
		assert_int_equal(naive(text, strlen(examples[i].text)), examples[i].verdict);
	}
}

static bool may_be_written(uint32_t point, size_t more)
{
	return range_is_possible(&forms[more], point, point);
}

static void test_every_code_point_in_every_form(void **state)
{
	uint8_t text[4];

	(void)state;
	for (size_t more = 0; more < ARRAY_SIZE(forms); more++) {
		uint32_t bits = more == 0 ? 7 : (uint32_t)(6 - more + 6 * more);

		for (uint32_t point = 0; point < UINT32_C(1) << bits; point++) {
			enum verdict verdict = ours(text, encode(text, point, more));

			if (verdict != (may_be_written(point, more) ? WHOLE : BAD))
				fail_msg("U+%04X in %zu bytes", point, more + 1);
		}
	}
}

static void assert_same(const uint8_t *text, size_t size)
{
	if (ours(text, size) != naive(text, size))
		fail_msg("%02x %02x %02x %02x, %zu bytes", text[0], text[1], text[2], text[3],
			 size);
}

static void test_every_pair_of_bytes(void **state)
{
	(void)state;
	for (unsigned pair = 0; pair <= UINT16_MAX; pair++) {
		uint8_t text[4] = {(uint8_t)(pair >> 8), (uint8_t)pair};

		assert_same(text, 1);
		assert_same(text, 2);
	}
}

static void test_every_combination_of_boundaries(void **state)
{
	static const uint8_t bytes[] = {
		0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
		0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff,
	};
	const size_t n = ARRAY_SIZE(bytes);

	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		uint8_t text[4] = {bytes[i % n], bytes[i / n % n], bytes[i / n / n % n],
				   bytes[i / n / n / n]};

		assert_same(text, 3);
		assert_same(text, 4);
	}
}

static void test_cuts_do_not_matter(void **state)
{
	static const char mixed[] =
		"a\xc2\x80z\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80q\xf0\x90\x80\x80"
		"\xf1\x80\x80\x80\xf4\x8f\xbf\xbf!";
	const uint8_t *text = (const uint8_t *)mixed;
	const size_t size = sizeof(mixed) - 1;

	(void)state;
	for (size_t a = 0; a <= size; a++) {
		for (size_t b = a; b <= size; b++) {
			utf8_state at = utf8_validate(UTF8_WHOLE, text, a);

			assert_int_equal(verdict_of(at), naive(text, a));
			at = utf8_validate(at, text + a, b - a);
			assert_int_equal(verdict_of(at), naive(text, b));
			at = utf8_validate(at, text + b, size - b);
			assert_int_equal(at, UTF8_WHOLE);
		}
	}
}

static void test_cut_characters_go_on_where_they_were(void **state)
{
	static const uint8_t leads[] = {0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
					0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(leads); i++) {
		utf8_state begun = utf8_validate(UTF8_WHOLE, &leads[i], 1);

		for (unsigned next = 0; next < 256; next++) {
			uint8_t text[] = {leads[i], (uint8_t)next};

			assert_int_equal(verdict_of(utf8_validate(begun, text + 1, 1)),
					 naive(text, 2));
		}
	}
}

static void test_invalid_stays_invalid(void **state)
{
	(void)state;
	for (unsigned next = 0; next < 256; next++) {
		uint8_t byte = (uint8_t)next;

		assert_int_equal(utf8_validate(UTF8_INVALID, &byte, 1), UTF8_INVALID);
	}
}

static void test_nothing_changes_nothing(void **state)
{
	utf8_state begun = utf8_validate(UTF8_WHOLE, (const uint8_t *)"\xe1\x80", 2);

	(void)state;
	assert_int_equal(utf8_validate(UTF8_WHOLE, NULL, 0), UTF8_WHOLE);
	assert_int_equal(utf8_validate(UTF8_INVALID, NULL, 0), UTF8_INVALID);
	assert_int_equal(utf8_validate(begun, NULL, 0), begun);
}

#define RUN_MAX 600

/* Whatever stands at one place of a run of ASCII is seen there, in every size that the code for
 * ASCII cuts runs into. */
static void check_one_place(uint8_t *text, size_t size, size_t at)
{
	text[at] = 0xff;
	assert_int_equal(ours(text, size), BAD);
	text[at] = 0x80;
	assert_int_equal(ours(text, size), BAD);
	text[at] = 0xc3;
	assert_int_equal(ours(text, size), at + 1 == size ? UNFINISHED : BAD);
	if (at + 1 < size) {
		text[at + 1] = 0xa9;
		assert_int_equal(ours(text, size), WHOLE);
		text[at + 1] = 'b';
	}
	text[at] = 'a';
}

static void test_one_byte_in_a_run_of_ascii(void **state)
{
	(void)state;
	for (size_t size = 0; size <= RUN_MAX; size++) {
		CLEANUP_FREE uint8_t *text = malloc(size + 1);

		assert_non_null(text);
		memset(text, 'a', size);
		text[size] = 0xff; /* one more than it may look at */
		assert_int_equal(ours(text, size), WHOLE);
		for (size_t at = 0; at < size; at++) {
			text[at] = 0xff;
			if (ours(text, size) != BAD)
				fail_msg("%zu of %zu", at, size);
			text[at] = 'a';
		}
	}
}

static void test_characters_in_a_run_of_ascii(void **state)
{
	static const size_t sizes[] = {1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 511, 512, 513, 545, 600};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		CLEANUP_FREE uint8_t *text = malloc(sizes[i]); /* for AddressSanitizer */

		assert_non_null(text);
		memset(text, 'a', sizes[i]);
		for (size_t at = 0; at < sizes[i]; at++)
			check_one_place(text, sizes[i], at);
	}
}

/* Mostly valid text of all lengths of characters, seldom a byte that is wrong. */
static size_t random_text(uint64_t *random, uint8_t *to, size_t size)
{
	size_t used = 0;

	while (used + 4 <= size) {
		size_t more = random_below(random, 8) < 5 ? 0 : random_below(random, 4);
		uint32_t range = forms[more].highest - forms[more].lowest + 1;
		uint32_t point = forms[more].lowest + (uint32_t)random_below(random, range);

		if (random_below(random, 500) == 0)
			to[used++] = (uint8_t)random_next(random);
		else
			used += encode(to + used, point, more);
	}
	return used;
}

static enum verdict in_pieces(uint64_t *random, const uint8_t *text, size_t size)
{
	utf8_state state = UTF8_WHOLE;

	for (size_t at = 0; at < size;) {
		size_t part = MIN(1 + random_below(random, 700), size - at);

		state = utf8_validate(state, text + at, part);
		at += part;
	}
	return verdict_of(state);
}

static void test_random_texts(void **state)
{
	uint64_t random = 3629;
	size_t seen[3] = {0};
	uint8_t text[3000];

	(void)state;
	for (size_t i = 0; i < 4000; i++) {
		size_t size =
			random_text(&random, text, 4 + random_below(&random, sizeof(text) - 4));
		enum verdict verdict = naive(text, size);

		seen[verdict]++;
		assert_int_equal(ours(text, size), verdict);
		assert_int_equal(in_pieces(&random, text, size), verdict);
	}
	assert_true(seen[BAD] > 100 && seen[WHOLE] > 100); /* or this would test nothing */
}

static void test_characters(void **state)
{
	static const struct {
		const char *text;
		size_t size, character;
	} texts[] = {
		{"", 0, 0},
		{"a", 1, 1},
		{"abc", 3, 1},
		{"\0a", 2, 1},
		{"\xc3\xa9x", 3, 2},
		{"\xc3", 1, 0},
		{"\xc3x", 2, 0},
		{"\xe2\x82\xac", 3, 3},
		{"\xe2\x82", 2, 0},
		{"\xf0\x9f\x98\x80", 4, 4},
		{"\xf0\x9f\x98\x80", 3, 0},
		{"\x80", 1, 0},
		{"\xff", 1, 0},
		{"\xed\xa0\x80", 3, 0},
		{"\xc0\x80", 2, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP_FREE uint8_t *text = exact_copy(texts[i].text, texts[i].size);

		if (utf8_character(text, texts[i].size) != texts[i].character)
			fail_msg("text %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_every_code_point_in_every_form),
		cmocka_unit_test(test_every_pair_of_bytes),
		cmocka_unit_test(test_every_combination_of_boundaries),
		cmocka_unit_test(test_cuts_do_not_matter),
		cmocka_unit_test(test_cut_characters_go_on_where_they_were),
		cmocka_unit_test(test_invalid_stays_invalid),
		cmocka_unit_test(test_nothing_changes_nothing),
		cmocka_unit_test(test_one_byte_in_a_run_of_ascii),
		cmocka_unit_test(test_characters_in_a_run_of_ascii),
		cmocka_unit_test(test_random_texts),
		cmocka_unit_test(test_characters),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
