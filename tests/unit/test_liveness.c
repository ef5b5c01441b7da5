/* Pings, time-outs and heartbeats, by a clock that the test turns.
 * --wrap: none. */
#include "test_support.h"

#include "base/clock.h"
#include "websocket/liveness.h"

#define START 1000

static struct liveness start(struct liveness_options options)
{
	struct liveness liveness;

	liveness_begin(&liveness, &options, START);
	return liveness;
}

static void expect(struct liveness *liveness, uint64_t now, enum liveness_action action)
{
	assert_int_equal(liveness_act(liveness, now), action);
}

static void test_nothing_is_asked_for(void **state)
{
	struct liveness liveness = start((struct liveness_options){0});

	(void)state;
	assert_int_equal(liveness_due_ns(&liveness), 0);
	expect(&liveness, UINT64_MAX - 1, LIVENESS_WAIT);
}

static void test_ping_after_silence(void **state)
{
	struct liveness liveness = start((struct liveness_options){.ping_interval_ns = 20});

	(void)state;
	assert_int_equal(liveness_due_ns(&liveness), START + 20);
	expect(&liveness, START + 19, LIVENESS_WAIT);
	liveness_heard(&liveness, START + 19, false);
	assert_int_equal(liveness_due_ns(&liveness), START + 39);
	expect(&liveness, START + 38, LIVENESS_WAIT);
	expect(&liveness, START + 39, LIVENESS_PING);
	expect(&liveness, START + 39, LIVENESS_WAIT);
	/* Without a time-out for the answer there is nothing more to do. */
	assert_int_equal(liveness_due_ns(&liveness), 0);
}

static void test_pong_in_time(void **state)
{
	struct liveness liveness =
		start((struct liveness_options){.ping_interval_ns = 20, .pong_timeout_ns = 5});

	(void)state;
	expect(&liveness, START + 20, LIVENESS_PING);
	assert_int_equal(liveness_due_ns(&liveness), START + 25);
	expect(&liveness, START + 24, LIVENESS_WAIT);
	liveness_heard(&liveness, START + 24, false);
	expect(&liveness, START + 25, LIVENESS_WAIT);
	expect(&liveness, START + 44, LIVENESS_PING);
}

static void test_no_pong(void **state)
{
	struct liveness liveness =
		start((struct liveness_options){.ping_interval_ns = 20, .pong_timeout_ns = 5});

	(void)state;
	expect(&liveness, START + 21, LIVENESS_PING);
	expect(&liveness, START + 26, LIVENESS_SILENT);
}

/* Pongs are no messages. */
static void test_idle(void **state)
{
	struct liveness liveness = start((struct liveness_options){.idle_timeout_ns = 50});

	(void)state;
	liveness_heard(&liveness, START + 40, false);
	assert_int_equal(liveness_due_ns(&liveness), START + 50);
	liveness_heard(&liveness, START + 45, true);
	expect(&liveness, START + 50, LIVENESS_WAIT);
	expect(&liveness, START + 95, LIVENESS_IDLE);
}

static void test_beat_whatever_comes(void **state)
{
	struct liveness liveness = start((struct liveness_options){.beat_interval_ns = 10});

	(void)state;
	liveness_heard(&liveness, START + 9, true);
	expect(&liveness, START + 10, LIVENESS_BEAT);
	expect(&liveness, START + 10, LIVENESS_WAIT);
	assert_int_equal(liveness_due_ns(&liveness), START + 20);
	expect(&liveness, START + 35, LIVENESS_BEAT);
	assert_int_equal(liveness_due_ns(&liveness), START + 45);
}

/* While nothing was read, nothing could be heard. */
static void test_rest(void **state)
{
	struct liveness liveness = start((struct liveness_options){
		.ping_interval_ns = 20, .pong_timeout_ns = 5, .idle_timeout_ns = 30});

	(void)state;
	expect(&liveness, START + 20, LIVENESS_PING);
	liveness_rest(&liveness, START + 1000);
	expect(&liveness, START + 1000, LIVENESS_WAIT);
	assert_int_equal(liveness_due_ns(&liveness), START + 1020);
}

/* Each of them longer than any clock counts. */
static void test_times_without_an_end(void **state)
{
	const uint64_t longest = UINT64_MAX - 1;
	struct liveness liveness = start((struct liveness_options){
		.ping_interval_ns = longest,
		.pong_timeout_ns = longest,
		.idle_timeout_ns = longest,
		.beat_interval_ns = longest,
	});

	(void)state;
	assert_int_equal(clock_after(START, longest), UINT64_MAX);
	assert_int_equal(clock_after(START, UINT64_MAX - START), UINT64_MAX);
	assert_int_equal(clock_after(START, UINT64_MAX - START - 1), UINT64_MAX - 1);
	assert_int_equal(clock_after(START, 1), START + 1);
	assert_int_equal(liveness_due_ns(&liveness), 0);
	expect(&liveness, START, LIVENESS_WAIT);
	expect(&liveness, UINT64_MAX - 1, LIVENESS_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_asked_for),
		cmocka_unit_test(test_ping_after_silence),
		cmocka_unit_test(test_pong_in_time),
		cmocka_unit_test(test_no_pong),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_beat_whatever_comes),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_times_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
