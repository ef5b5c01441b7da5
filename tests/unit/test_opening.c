/* What is said first on a connection: scripts, carried out by a loop on a session.
 * --wrap: none. */
#include "test_session_support.h"

#include "base/clock.h"
#include "websocket/opening.h"

#define PENDING 12345

struct start {
	struct user user;
	struct loop *loop;
	struct script *script;
	struct opening opening;
	int told; /* by the timer */
};

static const struct session_options plain = {0};

static int on_progress(void *data, int result)
{
	struct start *start = data;

	start->told = result;
	loop_stop(start->loop);
	return 0;
}

static void start_begin(struct start *start, const char *text)
{
	struct script_error error;

	*start = (struct start){.told = PENDING};
	user_begin(&start->user, &plain);
	user_open(&start->user, "");
	assert_int_equal(loop_new(&start->loop), 0);
	assert_int_equal(script_new(&start->script), 0);
	assert_int_equal(script_add_text(start->script, text, strlen(text), NULL, &error), 0);
	start->opening = (struct opening){
		.loop = start->loop,
		.session = start->user.session,
		.progress = on_progress,
		.data = start,
	};
}

static void start_end(struct start *start)
{
	opening_done(&start->opening);
	opening_done(&start->opening);
	script_free(start->script);
	loop_free(start->loop);
	user_end(&start->user);
}

/* Several messages in one batch. */
static int see(struct start *start, const char *const *texts, size_t count)
{
	struct message_batch batch = {.count = count};

	for (size_t i = 0; i < count; i++)
		batch.pieces[i] = (struct message_piece){
			.data = (uint8_t *)(uintptr_t)texts[i],
			.size = strlen(texts[i]),
			.kind = MESSAGE_TEXT,
			.first = true,
			.last = true,
		};
	return opening_see(&start->opening, &batch);
}

static int see_one(struct start *start, const char *text)
{
	return see(start, &text, 1);
}

static void test_only_sends(void **state)
{
	struct start start;

	(void)state;
	start_begin(&start, "send one\nsend-binary \"two\"\n");
	assert_int_equal(opening_begin(&start.opening, start.script), OPENING_DONE);
	assert_said(&start.user, "text one\nbinary two\n");
	assert_int_equal(see_one(&start, "whatever"), 0);
	start_end(&start);
}

static void test_log_in_then_subscribe(void **state)
{
	static const char *const texts[] = {"noise", "id=42;", "more", "ready", "ready"};
	struct start start;

	(void)state;
	start_begin(&start, "send login\nexpect 10s /id=(?<id>\\d+)/\nsend sub ${id}\n"
			    "expect 10s \"ready\"\n");
	assert_int_equal(opening_begin(&start.opening, start.script), 0);
	assert_said(&start.user, "text login\n");
	assert_int_equal(see_one(&start, "id=?"), 0);
	assert_int_equal(see(&start, texts, ARRAY_SIZE(texts)), OPENING_DONE);
	assert_said(&start.user, "text sub 42\n");
	start_end(&start);
}

static void test_an_answer_that_does_not_come(void **state)
{
	char text[SCRIPT_TEXT_SIZE];
	struct start start;

	(void)state;
	start_begin(&start, "send login\nexpect 5ms \"ok\"\n");
	assert_int_equal(opening_begin(&start.opening, start.script), 0);
	assert_int_equal(see_one(&start, "no"), 0);
	assert_int_equal(loop_run(start.loop), 0);
	assert_int_equal(start.told, -ETIMEDOUT);
	opening_describe(&start.opening, text);
	assert_non_null(strstr(text, "line 2"));
	start_end(&start);
}

static int on_end(void *data)
{
	struct start *start = data;

	loop_stop(start->loop);
	return 0;
}

/* While nothing is read, only steps that wait for nobody go on. */
static void test_rest(void **state)
{
	struct start start;
	struct loop_timer end = {.callback = on_end, .data = &start};

	(void)state;
	start_begin(&start, "wait 1ms\nexpect 1ms \"ready\"\n");
	assert_int_equal(opening_begin(&start.opening, start.script), 0);
	start.opening.resting = true;
	assert_int_equal(loop_run(start.loop), 0);
	assert_int_equal(start.told, 0);
	for (int i = 0; i < 3; i++) {
		loop_timer_set(start.loop, &end, clock_monotonic_ns() + 5 * NS_PER_MS);
		assert_int_equal(loop_run(start.loop), 0);
		assert_int_equal(start.told, 0);
		loop_timer_clear(start.loop, &end);
	}
	start.opening.resting = false;
	while (start.told == 0)
		assert_int_equal(loop_run(start.loop), 0);
	assert_int_equal(start.told, -ETIMEDOUT);
	start_end(&start);
}

static void test_waiting(void **state)
{
	struct start start;

	(void)state;
	start_begin(&start, "wait 1ms\nsend late\n");
	assert_int_equal(opening_begin(&start.opening, start.script), 0);
	assert_said(&start.user, "");
	assert_int_equal(loop_run(start.loop), 0);
	assert_int_equal(start.told, OPENING_DONE);
	assert_said(&start.user, "text late\n");
	start_end(&start);
}

/* The time of what is over does not count any more. */
static void test_an_answer_in_time(void **state)
{
	struct start start;

	(void)state;
	start_begin(&start, "expect 20ms \"a\"\nexpect 10s \"b\"\n");
	assert_int_equal(opening_begin(&start.opening, start.script), 0);
	assert_int_equal(see_one(&start, "a"), 0);
	assert_true(start.opening.timer.due_ns > clock_monotonic_ns() + NS_PER_S);
	assert_int_equal(see_one(&start, "b"), OPENING_DONE);
	assert_int_equal(start.opening.timer.due_ns, 0);
	start_end(&start);
}

static void test_nothing_is_called_behind_the_end(void **state)
{
	struct start start;

	(void)state;
	start_begin(&start, "expect 1ms \"a\"\n");
	assert_int_equal(opening_begin(&start.opening, start.script), 0);
	opening_done(&start.opening);
	assert_int_equal(start.opening.timer.due_ns, 0);
	start_end(&start);
}

static void test_a_session_that_does_not_take_it(void **state)
{
	struct start start;

	(void)state;
	start_begin(&start, "send late\n");
	assert_int_equal(session_close(start.user.session, 1000, NULL, 0), 0);
	assert_int_equal(opening_begin(&start.opening, start.script), -ENOTCONN);
	start_end(&start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_sends),
		cmocka_unit_test(test_log_in_then_subscribe),
		cmocka_unit_test(test_an_answer_that_does_not_come),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_an_answer_in_time),
		cmocka_unit_test(test_nothing_is_called_behind_the_end),
		cmocka_unit_test(test_a_session_that_does_not_take_it),
	};

	return cmocka_run_group_tests_name("opening", tests, NULL, NULL);
}
