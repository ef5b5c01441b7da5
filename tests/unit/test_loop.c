/* The event loop: sources that remove each other, timers that set each other, and the ends of a
 * run. Nothing here waits: every descriptor is ready, every timer due.
 * --wrap: none. */
#include "test_support.h"

#include "base/clock.h"
#include "base/loop.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define SOURCES 4

/* A source over an eventfd, which is ready from the start and stays so. */
struct ready {
	struct loop_source source;
	struct test *test;
	int fd;
	int calls;
};

struct test {
	struct loop *loop;
	struct ready ready[SOURCES];
	struct loop_timer timers[SOURCES];
	char order[64]; /* which timers were called */
	int rounds;
};

static struct test test;

static int setup(void **state)
{
	(void)state;
	memset(&test, 0, sizeof(test));
	for (size_t i = 0; i < SOURCES; i++) {
		test.ready[i].fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		test.ready[i].source = (struct loop_source){.data = &test.ready[i], .fd = -1};
	}
	return loop_new(&test.loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(test.loop);
	for (size_t i = 0; i < SOURCES; i++)
		close(test.ready[i].fd);
	return 0;
}

static void add(size_t i, loop_callback *callback)
{
	test.ready[i].source.callback = callback;
	assert_int_equal(loop_add(test.loop, &test.ready[i].source, test.ready[i].fd, EPOLLIN), 0);
}

static int count_and_stop(void *data)
{
	struct ready *ready = data;

	ready->calls++;
	loop_stop(test.loop);
	return 0;
}

/* Whichever comes first removes itself and all others, and makes their memory useless, as a free()
 * would. */
static int remove_all(void *data)
{
	struct ready *ready = data;

	ready->calls++;
	for (size_t i = 0; i < SOURCES; i++) {
		loop_remove(test.loop, &test.ready[i].source);
		assert_int_equal(test.ready[i].source.fd, -1);
		test.ready[i].source.callback = NULL;
	}
	return 0;
}

static int stop_by_timer(void *data)
{
	(void)data;
	loop_stop(test.loop);
	return 0;
}

static void stop_after_this_batch(void)
{
	test.timers[0] = (struct loop_timer){.callback = stop_by_timer};
	loop_timer_set(test.loop, &test.timers[0], 1);
}

static int total_calls(void)
{
	int calls = 0;

	for (size_t i = 0; i < SOURCES; i++)
		calls += test.ready[i].calls;
	return calls;
}

static void test_a_source_is_called(void **state)
{
	(void)state;
	add(0, count_and_stop);
	assert_int_equal(test.ready[0].source.fd, test.ready[0].fd);
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(test.ready[0].calls, 1);
	assert_int_equal(loop_run(test.loop), 0); /* it can be run again */
	assert_int_equal(test.ready[0].calls, 2);
}

static int count(void *data)
{
	((struct ready *)data)->calls++;
	return 0;
}

static void test_every_ready_source_is_called(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++)
		add(i, count);
	stop_after_this_batch();
	assert_int_equal(loop_run(test.loop), 0);
	for (size_t i = 0; i < SOURCES; i++)
		assert_int_equal(test.ready[i].calls, 1);
}

static void test_sources_removed_in_the_same_batch_are_not_called(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++)
		add(i, remove_all);
	stop_after_this_batch();
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(total_calls(), 1);
}

static int count_and_remove_itself(void *data)
{
	struct ready *ready = data;

	ready->calls++;
	loop_remove(test.loop, &ready->source);
	return 0;
}

static void test_a_source_that_removes_itself(void **state)
{
	(void)state;
	add(0, count_and_remove_itself);
	add(1, count);
	stop_after_this_batch();
	assert_int_equal(loop_run(test.loop), 0);
	stop_after_this_batch();
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(test.ready[0].calls, 1);
	assert_int_equal(test.ready[1].calls, 2);
}

static void test_a_source_that_was_removed_can_be_added_again(void **state)
{
	(void)state;
	add(0, count_and_stop);
	loop_remove(test.loop, &test.ready[0].source);
	loop_remove(test.loop, &test.ready[0].source);
	add(0, count_and_stop);
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(test.ready[0].calls, 1);
}

static void test_removal_of_what_was_never_added(void **state)
{
	struct loop_source source = {.fd = -1};

	(void)state;
	loop_remove(test.loop, &source);
	loop_remove(NULL, &source);
	assert_int_equal(source.fd, -1);
}

static void test_a_change_of_events(void **state)
{
	uint64_t one;

	(void)state;
	assert_int_equal(read(test.ready[0].fd, &one, sizeof(one)), sizeof(one));
	add(0, count); /* not readable any more */
	stop_after_this_batch();
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(test.ready[0].calls, 0);
	assert_int_equal(loop_change(test.loop, &test.ready[0].source, EPOLLOUT), 0);
	stop_after_this_batch();
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(test.ready[0].calls, 1);
}

static void test_what_cannot_be_watched(void **state)
{
	struct loop_source source = {.callback = count, .fd = -1};
	int fd = memfd_create("regular", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(loop_add(test.loop, &source, fd, EPOLLOUT), -EPERM);
	assert_int_equal(source.fd, -1);
	close(fd);
	assert_int_equal(loop_add(test.loop, &source, fd, EPOLLOUT), -EBADF);
	assert_int_equal(source.fd, -1);
	assert_int_equal(loop_change(test.loop, &source, EPOLLOUT), -EBADF);
}

static int count_and_fail(void *data)
{
	((struct ready *)data)->calls++;
	return -ENOSPC;
}

static void test_an_error_ends_the_run(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++)
		add(i, count_and_fail);
	assert_int_equal(loop_run(test.loop), -ENOSPC);
	assert_int_equal(total_calls(), 1);
}

static void test_stop_leaves_the_rest_of_the_batch(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOURCES; i++)
		add(i, count_and_stop);
	assert_int_equal(loop_run(test.loop), 0);
	assert_int_equal(total_calls(), 1);
}

/* Timers note the letter that they stand for. */
static void note(const struct loop_timer *timer)
{
	const char letter[] = {(char)('a' + (timer - test.timers)), '\0'};

	strcat(test.order, letter);
}

static int note_timer(void *data)
{
	note(data);
	return 0;
}

static int note_timer_and_stop(void *data)
{
	note(data);
	loop_stop(test.loop);
	return 0;
}

static void set(size_t i, loop_callback *callback, uint64_t due_ns)
{
	test.timers[i].callback = callback;
	test.timers[i].data = &test.timers[i];
	loop_timer_set(test.loop, &test.timers[i], due_ns);
}

static void test_timers_run_in_the_order_of_their_times(void **state)
{
	(void)state;
	set(0, note_timer, 30);
	set(1, note_timer, 10);
	set(3, note_timer_and_stop, 40);
	set(2, note_timer, 20);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "bcad");
	for (size_t i = 0; i < SOURCES; i++)
		assert_int_equal(test.timers[i].due_ns, 0);
}

static void test_timers_of_the_same_time_run_as_they_were_set(void **state)
{
	(void)state;
	set(2, note_timer, 10);
	set(0, note_timer, 10);
	set(1, note_timer, 10);
	set(3, note_timer_and_stop, 10);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "cabd");
}

static void test_a_timer_that_is_set_again_moves(void **state)
{
	(void)state;
	set(0, note_timer, 10);
	set(1, note_timer, 20);
	set(0, note_timer, 30);
	set(3, note_timer_and_stop, 40);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "bad");
}

static void test_a_timer_that_was_cleared_does_not_run(void **state)
{
	(void)state;
	set(0, note_timer, 10);
	set(1, note_timer, 20);
	set(3, note_timer_and_stop, 30);
	loop_timer_clear(test.loop, &test.timers[1]);
	loop_timer_clear(test.loop, &test.timers[1]);
	loop_timer_clear(test.loop, &test.timers[2]); /* never set */
	loop_timer_clear(NULL, &test.timers[2]);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "ad");
}

/* Three times, then it lets the last timer run. */
static int note_timer_and_set_again(void *data)
{
	struct loop_timer *timer = data;

	note(timer);
	assert_int_equal(timer->due_ns, 0);
	loop_timer_set(test.loop, timer, ++test.rounds < 3 ? 5 : UINT64_MAX);
	return 0;
}

static void test_a_timer_that_sets_itself_again(void **state)
{
	(void)state;
	set(0, note_timer_and_set_again, 10);
	set(3, note_timer_and_stop, 10);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "aaad");
	assert_int_equal(test.timers[0].due_ns, UINT64_MAX);
	loop_timer_clear(test.loop, &test.timers[0]);
}

static int note_timer_and_clear_the_next(void *data)
{
	note(data);
	loop_timer_clear(test.loop, &test.timers[1]);
	return 0;
}

static void test_a_timer_that_clears_another_one_that_is_due(void **state)
{
	(void)state;
	set(0, note_timer_and_clear_the_next, 10);
	set(1, note_timer, 20);
	set(3, note_timer_and_stop, 30);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "ad");
}

static int fail_by_timer(void *data)
{
	note(data);
	return -EIO;
}

static void test_the_error_of_a_timer_ends_the_run(void **state)
{
	(void)state;
	set(0, fail_by_timer, 10);
	set(1, note_timer, 20);
	assert_int_equal(loop_run(test.loop), -EIO);
	assert_string_equal(test.order, "a");
	loop_timer_clear(test.loop, &test.timers[1]);
}

static void test_stop_leaves_the_timers_that_are_due(void **state)
{
	(void)state;
	set(0, note_timer_and_stop, 10);
	set(1, note_timer, 20);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "a");
	loop_timer_clear(test.loop, &test.timers[1]);
}

static void test_a_timer_in_the_past_is_set(void **state)
{
	(void)state;
	set(0, note_timer_and_stop, 0);
	assert_true(test.timers[0].due_ns > 0);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "a");
}

/* It has to be waited for a millisecond, and is not called before. */
static int check_that_it_is_due(void *data)
{
	assert_true(clock_monotonic_ns() >= *(uint64_t *)data);
	loop_stop(test.loop);
	return 0;
}

static void test_no_timer_is_early(void **state)
{
	uint64_t due_ns = clock_monotonic_ns() + NS_PER_MS;

	(void)state;
	test.timers[0] = (struct loop_timer){.callback = check_that_it_is_due, .data = &due_ns};
	loop_timer_set(test.loop, &test.timers[0], due_ns);
	assert_int_equal(loop_run(test.loop), 0);
}

/* As a disk that is slow. Meanwhile the time of a timer comes, and before it, what it waits for. */
static int take_long(void *data)
{
	const uint64_t one = 1;

	count_and_remove_itself(data);
	assert_int_equal(write(test.ready[1].fd, &one, sizeof(one)), sizeof(one));
	set(0, note_timer_and_stop, clock_monotonic_ns());
	while (clock_monotonic_ns() <= test.timers[0].due_ns)
		;
	return 0;
}

static int clear_the_timer_and_stop(void *data)
{
	(void)data;
	loop_timer_clear(test.loop, &test.timers[0]);
	loop_stop(test.loop);
	return 0;
}

static void test_no_time_is_over_before_what_came_in_it_was_seen(void **state)
{
	uint64_t one;

	(void)state;
	assert_int_equal(read(test.ready[1].fd, &one, sizeof(one)), sizeof(one));
	add(0, take_long);
	add(1, clear_the_timer_and_stop);
	assert_int_equal(loop_run(test.loop), 0);
	assert_string_equal(test.order, "");
}

static void test_nothing_can_be_freed(void **state)
{
	(void)state;
	loop_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_source_is_called),
		TEST(test_every_ready_source_is_called),
		TEST(test_sources_removed_in_the_same_batch_are_not_called),
		TEST(test_a_source_that_removes_itself),
		TEST(test_a_source_that_was_removed_can_be_added_again),
		TEST(test_removal_of_what_was_never_added),
		TEST(test_a_change_of_events),
		TEST(test_what_cannot_be_watched),
		TEST(test_an_error_ends_the_run),
		TEST(test_stop_leaves_the_rest_of_the_batch),
		TEST(test_timers_run_in_the_order_of_their_times),
		TEST(test_timers_of_the_same_time_run_as_they_were_set),
		TEST(test_a_timer_that_is_set_again_moves),
		TEST(test_a_timer_that_was_cleared_does_not_run),
		TEST(test_a_timer_that_sets_itself_again),
		TEST(test_a_timer_that_clears_another_one_that_is_due),
		TEST(test_the_error_of_a_timer_ends_the_run),
		TEST(test_stop_leaves_the_timers_that_are_due),
		TEST(test_a_timer_in_the_past_is_set),
		TEST(test_no_timer_is_early),
		TEST(test_no_time_is_over_before_what_came_in_it_was_seen),
		TEST(test_nothing_can_be_freed),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
