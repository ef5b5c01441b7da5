/* The waits between attempts to connect.
 * --wrap: none. */
#include "base/clock.h"
#include "test_support.h"
#include "websocket/backoff.h"

#define FIRST NS_PER_S
#define CAP (60 * NS_PER_S)

static struct backoff start(uint64_t attempts_max, uint64_t give_up_ns)
{
	struct backoff backoff;

	backoff_init(&backoff, &(struct backoff_options){
				       .first_ns = FIRST,
				       .max_ns = CAP,
				       .attempts_max = attempts_max,
				       .give_up_ns = give_up_ns,
			       });
	return backoff;
}

static void test_doubles_up_to_the_cap(void **state)
{
	struct backoff backoff = start(0, 0);
	uint64_t bound = FIRST;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint64_t wait = backoff_fail(&backoff, 5, UINT64_MAX, 0);

		assert_true(wait < bound && wait >= bound - 2);
		bound = MIN(2 * bound, (uint64_t)CAP);
	}
}

static void test_is_drawn_from_zero_on(void **state)
{
	struct backoff backoff = start(0, 0);
	uint64_t random = 1, sum = 0;

	(void)state;
	assert_int_equal(backoff_fail(&backoff, 5, 0, 0), 0);
	backoff.waits = 50;
	for (int i = 0; i < 10000; i++)
		sum += backoff_fail(&backoff, 5, random_next(&random), 0) / 10000;
	assert_in_range(sum, CAP * 48 / 100, CAP * 52 / 100);
}

static void test_reset(void **state)
{
	struct backoff backoff = start(0, 0);

	(void)state;
	for (int i = 0; i < 10; i++)
		backoff_fail(&backoff, 5, 0, 0);
	backoff_reset(&backoff);
	assert_true(backoff_fail(&backoff, 5, UINT64_MAX, 0) < FIRST);
}

/* A server that greets and closes is no good one, however often it does so. */
static void test_greeted_and_closed(void **state)
{
	struct backoff backoff = start(3, 0);
	uint64_t bound = FIRST;

	(void)state;
	for (int i = 0; i < 200; i++) {
		uint64_t wait;

		backoff_succeed(&backoff);
		backoff_lived(&backoff, BACKOFF_GOOD_NS - 1);
		wait = backoff_fail(&backoff, 5, UINT64_MAX, 0);
		assert_true(wait < bound && wait >= bound - 2);
		bound = MIN(2 * bound, (uint64_t)CAP);
	}
}

static void test_lived(void **state)
{
	struct backoff backoff = start(0, 0);

	(void)state;
	for (int i = 0; i < 10; i++)
		backoff_fail(&backoff, 5, 0, 0);
	backoff_lived(&backoff, UINT64_MAX); /* and brought nothing */
	assert_true(backoff_fail(&backoff, 5, UINT64_MAX, 0) > FIRST);
	backoff_succeed(&backoff);
	backoff_lived(&backoff, BACKOFF_GOOD_NS);
	assert_true(backoff_fail(&backoff, 5, UINT64_MAX, 0) < FIRST);
	backoff.options.max_ns = 5 * FIRST;
	backoff_succeed(&backoff);
	backoff_lived(&backoff, 5 * FIRST);
	assert_true(backoff_fail(&backoff, 5, UINT64_MAX, 0) < FIRST);
}

static void test_asked_for_longer(void **state)
{
	struct backoff backoff = start(0, 0);

	(void)state;
	assert_int_equal(backoff_fail(&backoff, 5, 0, 3 * CAP), 3 * CAP);
	assert_true(backoff_fail(&backoff, 5, UINT64_MAX, 1) > FIRST);
}

static void test_attempts(void **state)
{
	struct backoff backoff = start(3, 0);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(backoff_fail(&backoff, 5, 0, 0), 0);
	assert_int_equal(backoff_fail(&backoff, 5, 0, 0), BACKOFF_GIVE_UP);
	backoff_reset(&backoff);
	assert_int_equal(backoff_fail(&backoff, 5, 0, 0), 0);
}

/* The time runs from the first failure, and a wait that would end behind it is not begun. */
static void test_time(void **state)
{
	struct backoff backoff = start(0, 10);

	(void)state;
	assert_int_equal(backoff_fail(&backoff, 100, 0, 0), 0);
	assert_int_equal(backoff_fail(&backoff, 110, 0, 0), 0);
	assert_int_equal(backoff_fail(&backoff, 105, 0, 6), BACKOFF_GIVE_UP);
	assert_int_equal(backoff_fail(&backoff, 111, 0, 0), BACKOFF_GIVE_UP);
	backoff_reset(&backoff);
	assert_int_equal(backoff_fail(&backoff, 200, 0, 10), 10);
}

/* Bounds near the end of the numbers do not wrap. */
static void test_extremes(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, &(struct backoff_options){.first_ns = 3, .max_ns = UINT64_MAX});
	for (int i = 0; i < 100; i++)
		assert_true(backoff_fail(&backoff, 5, UINT64_MAX, 0) >= 2);
	backoff_init(&backoff, &(struct backoff_options){.first_ns = 9, .max_ns = 4});
	assert_int_equal(backoff_fail(&backoff, 5, UINT64_MAX, 0), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_up_to_the_cap),
		cmocka_unit_test(test_is_drawn_from_zero_on),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_greeted_and_closed),
		cmocka_unit_test(test_lived),
		cmocka_unit_test(test_asked_for_longer),
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
