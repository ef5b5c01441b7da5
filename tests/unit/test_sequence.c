/* Holes in numbers, told from everything that is none.
 * --wrap: none. */
#include "test_support.h"

#include "pipeline/sequence.h"

struct step {
	uint64_t number;
	enum sequence_step step;
	uint64_t first, count; /* of a gap */
};

#define STEPS(...)                                                                                 \
	(const struct step[])                                                                      \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.step = END                                                                \
		}                                                                                  \
	}
#define END ((enum sequence_step) - 1)

static void follow(struct sequence *sequence, const struct step *steps)
{
	for (; steps->step != END; steps++) {
		struct sequence_gap gap = {7, 8};
		bool is_gap = steps->step == SEQUENCE_GAP;
		enum sequence_step step = sequence_see(sequence, steps->number, &gap);

		if (step != steps->step)
			fail_msg("%llu: %d", (unsigned long long)steps->number, step);
		assert_int_equal(gap.first, is_gap ? steps->first : 7); /* else untouched */
		assert_int_equal(gap.count, is_gap ? steps->count : 8);
	}
}

static void test_numbers_in_a_row(void **state)
{
	static const uint64_t starts[] = {0, 1, 77, INT64_MAX, UINT64_MAX, (uint64_t)INT64_MIN};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct sequence sequence = {0};

		for (uint64_t n = 0; n < 5; n++)
			follow(&sequence, STEPS({starts[i] + n, SEQUENCE_NEXT, 0, 0}));
		assert_int_equal(sequence.gaps + sequence.repeated + sequence.late + sequence.back,
				 0);
	}
}

static void test_gaps(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence, STEPS({10, SEQUENCE_NEXT, 0, 0}, {12, SEQUENCE_GAP, 11, 1},
				{13, SEQUENCE_NEXT, 0, 0}, {100, SEQUENCE_GAP, 14, 86},
				{UINT64_C(1) << 40, SEQUENCE_GAP, 101, (UINT64_C(1) << 40) - 101}));
	assert_int_equal(sequence.gaps, 3);
	assert_int_equal(sequence.missing, (UINT64_C(1) << 40) - 101 + 87);
}

static void test_where_the_numbers_end(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence,
	       STEPS({UINT64_MAX - 1, SEQUENCE_NEXT, 0, 0}, {2, SEQUENCE_GAP, UINT64_MAX, 3},
		     {3, SEQUENCE_NEXT, 0, 0}, {0, SEQUENCE_LATE, 0, 0},
		     {UINT64_MAX, SEQUENCE_LATE, 0, 0}, {2, SEQUENCE_BACK, 0, 0}));
	sequence = (struct sequence){0};
	follow(&sequence, STEPS({(uint64_t)-2, SEQUENCE_NEXT, 0, 0},
				{(uint64_t)-1, SEQUENCE_NEXT, 0, 0}, {0, SEQUENCE_NEXT, 0, 0}));
}

static void test_the_largest_jumps(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence,
	       STEPS({5, SEQUENCE_NEXT, 0, 0},
		     {5 + (uint64_t)INT64_MAX, SEQUENCE_GAP, 6, INT64_MAX - 1},
		     {6, SEQUENCE_BACK, 0, 0}, {6 + (uint64_t)INT64_MAX + 1, SEQUENCE_BACK, 0, 0}));
}

static void test_repeated(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence, STEPS({0, SEQUENCE_NEXT, 0, 0}, {0, SEQUENCE_REPEATED, 0, 0},
				{0, SEQUENCE_REPEATED, 0, 0}, {1, SEQUENCE_NEXT, 0, 0},
				{3, SEQUENCE_GAP, 2, 1}, {3, SEQUENCE_REPEATED, 0, 0}));
	assert_int_equal(sequence.repeated, 3);
	assert_int_equal(sequence.missing, 1);
}

static void test_back(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence,
	       STEPS({4294967295, SEQUENCE_NEXT, 0, 0}, {0, SEQUENCE_BACK, 0, 0},
		     {1, SEQUENCE_NEXT, 0, 0}, {3, SEQUENCE_GAP, 2, 1}, {1, SEQUENCE_BACK, 0, 0},
		     {2, SEQUENCE_NEXT, 0, 0}, {3, SEQUENCE_NEXT, 0, 0}, {5, SEQUENCE_GAP, 4, 1}));
	assert_int_equal(sequence.back, 2);
	assert_int_equal(sequence.gaps, 2);
}

static void test_late(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence,
	       STEPS({1, SEQUENCE_NEXT, 0, 0}, {5, SEQUENCE_GAP, 2, 3}, {2, SEQUENCE_LATE, 0, 0},
		     {6, SEQUENCE_NEXT, 0, 0}, {4, SEQUENCE_LATE, 0, 0}, {7, SEQUENCE_NEXT, 0, 0},
		     {5, SEQUENCE_BACK, 0, 0}, {3, SEQUENCE_BACK, 0, 0}));
	assert_int_equal(sequence.late, 2);
}

/* A number that is wrong once must not make the right ones late for ever. */
static void test_too_large_a_gap_to_be_late(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	follow(&sequence, STEPS({0, SEQUENCE_NEXT, 0, 0},
				{SEQUENCE_LATE_MAX + 1, SEQUENCE_GAP, 1, SEQUENCE_LATE_MAX},
				{SEQUENCE_LATE_MAX, SEQUENCE_LATE, 0, 0}, {1, SEQUENCE_LATE, 0, 0},
				{0, SEQUENCE_BACK, 0, 0},
				{SEQUENCE_LATE_MAX + 2, SEQUENCE_GAP, 1, SEQUENCE_LATE_MAX + 1},
				{1, SEQUENCE_BACK, 0, 0}, {2, SEQUENCE_NEXT, 0, 0}));
}

static void test_messages_without_a_number(void **state)
{
	struct sequence sequence = {0};

	(void)state;
	sequence_see_none(&sequence);
	follow(&sequence, STEPS({9, SEQUENCE_NEXT, 0, 0}));
	sequence_see_none(&sequence);
	follow(&sequence, STEPS({10, SEQUENCE_NEXT, 0, 0}));
	assert_int_equal(sequence.without, 2);
	assert_int_equal(sequence.gaps, 0);
}

/* A feed that loses and repeats at random, and its own account of that. */
static void test_a_random_feed(void **state)
{
	uint64_t random = 9, number = UINT64_MAX - 5000, missing = 0, gaps = 0, repeated = 0;
	struct sequence sequence = {0};

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		uint64_t lost =
			i == 0 || random_below(&random, 5) > 0 ? 0 : 1 + random_below(&random, 9);
		struct sequence_gap gap = {0};
		enum sequence_step step;

		number += lost;
		step = sequence_see(&sequence, number, &gap);
		assert_int_equal(step, lost > 0 ? SEQUENCE_GAP : SEQUENCE_NEXT);
		assert_int_equal(gap.first, lost > 0 ? number - lost : 0);
		assert_int_equal(gap.count, lost);
		missing += lost;
		gaps += lost > 0;
		if (random_below(&random, 7) == 0) {
			assert_int_equal(sequence_see(&sequence, number, &gap), SEQUENCE_REPEATED);
			repeated++;
		}
		number++;
	}
	assert_int_equal(sequence.missing, missing);
	assert_int_equal(sequence.gaps, gaps);
	assert_int_equal(sequence.repeated, repeated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_in_a_row),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_where_the_numbers_end),
		cmocka_unit_test(test_the_largest_jumps),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_too_large_a_gap_to_be_late),
		cmocka_unit_test(test_messages_without_a_number),
		cmocka_unit_test(test_a_random_feed),
	};

	return cmocka_run_group_tests_name("sequence", tests, NULL, NULL);
}
