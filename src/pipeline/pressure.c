/*
 * What is done where there is no room on the disk: since the spool is at its cap, or since the disk
 * is full. Then --on-full decides. As a rule nothing is read until there is room, which TCP makes
 * the server wait for. Room comes with each acknowledgement; on a full disk it may come from
 * elsewhere as well, so that a timer looks for it.
 */
#include "pipeline/state.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <errno.h>

#define WAIT_MIN_NS (100 * NS_PER_MS)
#define WAIT_MAX_NS NS_PER_S
#define TELL_AGAIN_NS (60 * NS_PER_S)

bool pressure_is_on(const struct weir_capture *capture)
{
	return spool_is_full(capture->spool) ||
	       (capture->intake && intake_is_waiting(capture->intake));
}

/* What the disk said. The files of the intake are on the same one. */
static int disk_error(const struct weir_capture *capture)
{
	int error = spool_full_error(capture->spool);

	return error < 0 ? error : -ENOSPC;
}

/* Once for a while: a disk may be full many times. */
static void tell(struct weir_capture *capture)
{
	uint64_t now = clock_monotonic_ns();
	struct fault fault = {0};

	if (!capture->options.on_full_disk ||
	    (capture->told_full_ns > 0 && now - capture->told_full_ns < TELL_AGAIN_NS))
		return;
	capture->told_full_ns = now;
	fault_set_full(&fault, spool_path(capture->spool), disk_error(capture),
		       "nothing is read until there is some");
	capture->options.on_full_disk(fault.message, capture->options.data);
}

static int stop(struct weir_capture *capture, int error, const char *meaning)
{
	fault_set_full(&capture->fault, spool_path(capture->spool), error, meaning);
	return events_end(capture, WEIR_END_FAILURE, CLOSE_INTERNAL);
}

/* The timer comes again, less and less often. */
static void wait_on(struct weir_capture *capture)
{
	if (capture->phase != RUNNING)
		return;
	loop_timer_set(capture->loop, &capture->room_timer,
		       clock_after(clock_monotonic_ns(), capture->room_wait_ns));
	capture->room_wait_ns = MIN(capture->room_wait_ns * 2, WAIT_MAX_NS);
}

/* What is captured can make room only when it is sealed. Nothing is done while something is being
 * processed, since it may be enough that this ends, or where nothing ever is. */
static int seal(struct weir_capture *capture)
{
	uint64_t acked = spool_counters(capture->spool).acked;
	int r;

	if (capture->options.to == WEIR_TO_SPOOL || !delivery_is_idle(capture->delivery))
		return 0;
	r = spool_seal(capture->spool);
	if (r >= 0)
		r = delivery_kick(capture->delivery);
	if (r < 0)
		return events_fail_storage(capture, r);
	if (spool_counters(capture->spool).acked > acked) /* there may be room at once */
		loop_timer_set(capture->loop, &capture->room_timer, clock_monotonic_ns());
	return 0;
}

int pressure_begin(struct weir_capture *capture)
{
	if (capture->phase != RUNNING || capture->room_timer.due_ns > 0)
		return 0;
	if (capture->options.on_full == WEIR_FULL_STOP)
		return stop(capture, disk_error(capture), "--on-full is stop");
	tell(capture);
	capture->stats.blocked = true;
	capture->room_wait_ns = WAIT_MIN_NS;
	wait_on(capture);
	return seal(capture);
}

/* Writes what waits, as far as there is room. */
static int try_again(struct weir_capture *capture)
{
	int r = spool_retry(capture->spool);

	if (r >= 0 && capture->intake && !spool_is_full(capture->spool))
		r = intake_resume(capture->intake);
	return r < 0 ? events_fail_storage(capture, r) : 0;
}

/* All that waited is written. */
static int go_on(struct weir_capture *capture)
{
	int r = inflow_flush(capture);

	if (r < 0 || pressure_is_on(capture))
		return r;
	loop_timer_clear(capture->loop, &capture->room_timer);
	capture->stats.blocked = false;
	if (capture->phase == RUNNING && capture->inlets_running == 0)
		return events_ran_dry(capture);
	return inflow_resume(capture);
}

int pressure_relieve(void *data)
{
	struct weir_capture *capture = data;
	int r;

	if (!pressure_is_on(capture))
		return inflow_resume(capture);
	r = try_again(capture);
	if (r < 0)
		return r;
	if (!pressure_is_on(capture))
		return go_on(capture);
	wait_on(capture);
	return seal(capture);
}

int pressure_end(struct weir_capture *capture)
{
	loop_timer_clear(capture->loop, &capture->room_timer);
	capture->stats.blocked = false;
	if (capture->intake)
		intake_give_up(capture->intake);
	return spool_give_up(capture->spool);
}

/* What waits to become a message that is whole will need its room too. */
static size_t room_in_spool(const struct weir_capture *capture)
{
	uint64_t reserved = 0;

	if (capture->intake && capture->options.disk_max > 0)
		reserved = intake_reserved(capture->intake);
	return pressure_is_on(capture) ? 0 : spool_room(capture->spool, reserved);
}

/* The spool is at its cap. If nothing is being processed, no room can come. */
static int make_room(struct weir_capture *capture, size_t *room)
{
	int r = spool_in_message(capture->spool) ? 0 : spool_seal(capture->spool);

	if (r >= 0)
		r = delivery_kick(capture->delivery);
	if (r < 0)
		return events_fail_storage(capture, r);
	*room = room_in_spool(capture);
	if (*room > 0 || pressure_is_on(capture))
		return 0;
	if (capture->options.on_full == WEIR_FULL_STOP)
		return stop(capture, 0, "--on-full is stop");
	if (delivery_is_idle(capture->delivery) && !spool_is_syncing(capture->spool))
		return stop(capture, 0, "nothing that it holds will be processed");
	return 0;
}

/* Whoever asks for room cannot take an error. */
static void fail(struct weir_capture *capture, int error)
{
	capture->room_error = error;
	loop_stop(capture->loop);
}

size_t pressure_room(struct weir_capture *capture)
{
	size_t room;
	int r = 0;

	if (spool_must_wait(capture->spool))
		return 0;
	room = room_in_spool(capture);
	if (room == 0 && !pressure_is_on(capture))
		r = make_room(capture, &room);
	if (r >= 0 && pressure_is_on(capture))
		r = pressure_begin(capture);
	if (r < 0)
		fail(capture, r);
	if (capture->phase != RUNNING)
		return SIZE_MAX;
	capture->stats.blocked = room == 0;
	return room;
}
