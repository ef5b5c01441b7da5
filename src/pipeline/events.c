/*
 * The places where one module's news become another one's work. They hold what belongs to none of
 * them: the timers, and what an end means. What comes from the sources is in inflow.c.
 */
#include "pipeline/state.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <string.h>

#define SEAL_RETRY_NS (100 * NS_PER_MS)

int events_end(struct weir_capture *capture, enum weir_end end, uint16_t close_code)
{
	int r;

	if (capture->phase != RUNNING)
		return 0;
	capture->phase = STOPPING;
	capture->stats.end = end;
	r = pressure_end(capture);
	if (r >= 0)
		r = inflow_close(capture, close_code);
	if (r >= 0 && capture->phase == STOPPING && capture->inlets_running == 0)
		r = events_ran_dry(capture);
	return r;
}

int events_fail_storage(struct weir_capture *capture, int error)
{
	fault_set_storage(&capture->fault, &capture->options, spool_path(capture->spool), error);
	return events_end(capture, WEIR_END_FAILURE, CLOSE_INTERNAL);
}

/* When everything is handed on, and durable if it is to be, there is nothing left to run for. */
static void finish_when_idle(struct weir_capture *capture)
{
	if (capture->phase == ENDING && delivery_is_idle(capture->delivery) &&
	    sync_is_settled(capture))
		loop_stop(capture->loop);
}

/* Writes and seals what came last. 1: there is no room for it, and it has to wait. */
static int seal_last(struct weir_capture *capture)
{
	int r = pressure_is_on(capture) ? 0 : spool_seal(capture->spool);

	return r >= 0 && pressure_stalls(capture) ? 1 : r;
}

/* The same when nothing can wait any more. Where there is no room for the last events, they are not
 * on record; and without them, what was captured needs none to be sealed. */
static int seal_now(struct weir_capture *capture)
{
	int r = pressure_end(capture);

	if (r >= 0)
		r = spool_seal(capture->spool);
	if (r >= 0 && spool_is_full(capture->spool)) {
		r = spool_give_up(capture->spool);
		if (r >= 0)
			r = spool_seal(capture->spool);
	}
	return r < 0 ? r : spool_full_error(capture->spool);
}

int events_ran_dry(struct weir_capture *capture)
{
	int r = capture->phase == RUNNING ? seal_last(capture) : 0;

	if (r > 0)
		return pressure_begin(capture);
	if (r >= 0)
		r = seal_now(capture);
	if (r < 0)
		fault_set_storage(&capture->fault, &capture->options, spool_path(capture->spool),
				  r);
	if (capture->phase == RUNNING)
		capture->stats.end = WEIR_END_SERVER;
	capture->stats.blocked = false;
	capture->phase = ENDING;
	loop_timer_clear(capture->loop, &capture->age_timer);
	r = events_kick(capture);
	finish_when_idle(capture);
	return r;
}

/* Lets the delivery look for work. What fails there is a matter of the disk. */
int events_kick(struct weir_capture *capture)
{
	int r = delivery_kick(capture->delivery);

	return r < 0 ? events_fail_storage(capture, r) : 0;
}

int events_go_on(struct weir_capture *capture)
{
	int r = events_kick(capture);

	if (r < 0)
		return r;
	finish_when_idle(capture);
	return pressure_relieve(capture);
}

int events_progress(void *data, int stream_error, int spool_error)
{
	struct weir_capture *capture = data;
	int r = 0;

	if (stream_error < 0) {
		struct fault_rest rest = fault_rest(&capture->options, spool_path(capture->spool));

		fault_set(&capture->fault, WEIR_KEPT,
			  "cannot write to standard output: %s; what was not handed on %s%s",
			  strerror(-stream_error), rest.fate, rest.place);
		r = events_end(capture, WEIR_END_READER, CLOSE_NORMAL);
	}
	if (r >= 0 && spool_error < 0)
		r = events_fail_storage(capture, spool_error);
	if (r < 0)
		return r;
	finish_when_idle(capture);
	return pressure_relieve(capture);
}

void events_watch_age(struct weir_capture *capture)
{
	uint64_t since = spool_open_since_ns(capture->spool);

	if (capture->options.segment_age_ns > 0 && capture->age_timer.due_ns == 0 && since > 0)
		loop_timer_set(capture->loop, &capture->age_timer,
			       clock_after(since, capture->options.segment_age_ns));
}

int events_age(void *data)
{
	struct weir_capture *capture = data;
	uint64_t since = spool_open_since_ns(capture->spool);
	uint64_t now = clock_monotonic_ns();
	int r;

	if (since > 0 && clock_after(since, capture->options.segment_age_ns) <= now) {
		if (spool_in_message(capture->spool)) {
			loop_timer_set(capture->loop, &capture->age_timer, now + SEAL_RETRY_NS);
			return 0;
		}
		r = spool_seal(capture->spool);
		if (r < 0)
			return events_fail_storage(capture, r);
		r = events_kick(capture);
		return r >= 0 && pressure_is_on(capture) ? pressure_begin(capture) : r;
	}
	events_watch_age(capture);
	return 0;
}

int events_duration(void *data)
{
	return events_end(data, WEIR_END_LIMIT, CLOSE_NORMAL);
}

int events_tick(void *data)
{
	struct weir_capture *capture = data;
	struct weir_stats stats = weir_capture_stats(capture);

	capture->options.on_tick(&stats, capture->options.data);
	loop_timer_set(capture->loop, &capture->tick_timer,
		       clock_after(clock_monotonic_ns(), capture->options.tick_ns));
	return 0;
}

int events_stop(void *data)
{
	struct weir_capture *capture = data;
	uint64_t calls = 0;
	int r;

	if (read(capture->stop_fd, &calls, sizeof(calls)) != (ssize_t)sizeof(calls))
		return 0;
	capture->stops += calls;
	if (capture->stops == 1) {
		r = events_end(capture, WEIR_END_STOP, CLOSE_NORMAL);
		finish_when_idle(capture); /* which may have waited for room alone */
		return r;
	}
	capture->aborted = true;
	capture->stats.end = WEIR_END_STOP;
	inflow_abort(capture);
	delivery_abort(capture->delivery);
	loop_stop(capture->loop);
	return 0;
}
