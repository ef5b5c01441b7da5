/* Pings and heartbeats of a session, carried out by a loop: with times of a few milliseconds, and
 * no test of how long anything takes.
 * --wrap: none. */
#include "test_session_support.h"

#include "base/clock.h"
#include "websocket/keepalive.h"

#define MS UINT64_C(1000000)

struct life {
	struct user user;
	struct loop *loop;
	struct keepalive keepalive;
	struct loop_timer end; /* of the test, in case that nothing happens */
	unsigned pings, beats;
	unsigned until; /* so many of both */
	enum liveness_action last;
};

static const struct session_options plain = {0};

static int on_news(void *data, enum liveness_action action)
{
	struct life *life = data;

	life->last = action;
	life->pings += action == LIVENESS_PING;
	life->beats += action == LIVENESS_BEAT;
	if (action == LIVENESS_SILENT || action == LIVENESS_IDLE ||
	    life->pings + life->beats == life->until)
		loop_stop(life->loop);
	return 0;
}

static int on_end(void *data)
{
	struct life *life = data;

	loop_stop(life->loop);
	return 0;
}

static void life_begin(struct life *life, const struct liveness_options *options)
{
	*life = (struct life){0};
	user_begin(&life->user, &plain);
	user_open(&life->user, "");
	assert_int_equal(loop_new(&life->loop), 0);
	life->end = (struct loop_timer){.callback = on_end, .data = life};
	life->keepalive = (struct keepalive){
		.loop = life->loop,
		.session = life->user.session,
		.beat = "still here",
		.news = on_news,
		.data = life,
	};
	keepalive_begin(&life->keepalive, options);
}

static void life_run(struct life *life, uint64_t at_most_ns)
{
	loop_timer_set(life->loop, &life->end, clock_monotonic_ns() + at_most_ns);
	assert_int_equal(loop_run(life->loop), 0);
	loop_timer_clear(life->loop, &life->end);
}

static void life_end(struct life *life)
{
	keepalive_end(&life->keepalive);
	keepalive_end(&life->keepalive);
	loop_free(life->loop);
	user_end(&life->user);
}

static void test_nothing_is_asked_for(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life, &(struct liveness_options){0});
	life_run(&life, 5 * MS);
	assert_said(&life.user, "");
	life_end(&life);
}

static void test_a_silent_server(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life,
		   &(struct liveness_options){.ping_interval_ns = MS, .pong_timeout_ns = MS});
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.last, LIVENESS_SILENT);
	assert_int_equal(life.pings, 1);
	assert_said(&life.user, "ping\n");
	life_end(&life);
}

/* Without a time-out for the answer, the next Ping still comes when something was heard. */
static void test_pings_that_may_wait_for_ever(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life, &(struct liveness_options){.ping_interval_ns = MS});
	life.until = 1;
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.pings, 1);
	life_run(&life, 10 * MS);
	assert_int_equal(life.pings, 1); /* nothing came since */
	keepalive_heard(&life.keepalive);
	life.until = 2;
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.pings, 2);
	life_end(&life);
}

/* Nor does a long one hold the next Ping up, once the answer is in. */
static void test_pings_with_a_long_time_for_the_answer(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life, &(struct liveness_options){.ping_interval_ns = MS,
						     .pong_timeout_ns = 3600 * NS_PER_S});
	life.until = 1;
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.pings, 1);
	keepalive_heard(&life.keepalive);
	life.until = 2;
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.pings, 2);
	life_end(&life);
}

static void test_an_idle_server(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life, &(struct liveness_options){.idle_timeout_ns = 3 * MS});
	keepalive_heard_message(&life.keepalive);
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.last, LIVENESS_IDLE);
	assert_said(&life.user, "");
	life_end(&life);
}

static void test_heartbeats(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life, &(struct liveness_options){.beat_interval_ns = MS});
	life.until = 3;
	life_run(&life, 10 * NS_PER_S);
	assert_said(&life.user, "text still here\ntext still here\ntext still here\n");
	life_end(&life);
}

/* While nothing is read, nothing can be heard: heartbeats go on, and nobody is dead. */
static void test_rest(void **state)
{
	struct life life;

	(void)state;
	life_begin(&life, &(struct liveness_options){.ping_interval_ns = 3 * MS,
						     .pong_timeout_ns = MS,
						     .idle_timeout_ns = 4 * MS,
						     .beat_interval_ns = MS});
	keepalive_rest(&life.keepalive, true);
	life.until = 20;
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(life.beats, 20);
	keepalive_rest(&life.keepalive, false);
	life.until = UINT32_MAX;
	life_run(&life, 10 * NS_PER_S);
	assert_true(life.last == LIVENESS_SILENT || life.last == LIVENESS_IDLE);
	life_end(&life);
}

/* So much waits that a Ping would tell nothing new; that is no error. */
static void test_an_output_that_is_full(void **state)
{
	CLEANUP_FREE char *large = calloc(1, OUTPUT_MAX);
	struct life life;

	(void)state;
	assert_non_null(large);
	life_begin(&life,
		   &(struct liveness_options){.ping_interval_ns = MS, .beat_interval_ns = MS});
	assert_int_equal(session_send(life.user.session, MESSAGE_BINARY, large, OUTPUT_MAX - 14),
			 0);
	life.until = 3;
	life_run(&life, 10 * NS_PER_S);
	assert_int_equal(session_output(life.user.session)->size, OUTPUT_MAX);
	life_end(&life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_asked_for),
		cmocka_unit_test(test_a_silent_server),
		cmocka_unit_test(test_pings_that_may_wait_for_ever),
		cmocka_unit_test(test_pings_with_a_long_time_for_the_answer),
		cmocka_unit_test(test_an_idle_server),
		cmocka_unit_test(test_heartbeats),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_an_output_that_is_full),
	};

	return cmocka_run_group_tests_name("keepalive", tests, NULL, NULL);
}
