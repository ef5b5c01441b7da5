/*
 * What is done where there is no room on the disk: since the spool is at its cap, since the disk is
 * full, or has no more than is to stay free. Then --on-full decides. As a rule nothing is read
 * until there is room, which TCP makes the server wait for. Room comes with each acknowledgement;
 * on the disk it may come from elsewhere as well, so that a timer looks for it.
 */
#include "pipeline/state.h"

#include "base/clock.h"
#include "websocket/close.h"

#define WAIT_MIN_NS (100 * NS_PER_MS)
#define WAIT_MAX_NS NS_PER_S
#define TELL_AGAIN_NS (60 * NS_PER_S)

bool pressure_is_on(const struct weir_capture *capture)
{
	return spool_is_full(capture->spool) ||
	       (capture->intake && intake_is_waiting(capture->intake));
}

bool pressure_stalls(struct weir_capture *capture)
{
	if (!pressure_is_on(capture))
		return false;
	capture->dropping = capture->options.on_full == WEIR_FULL_DROP_NEWEST;
	return !capture->dropping;
}

/* What waits to become a message that is whole will need its room too. */
static uint64_t reserved(const struct weir_capture *capture)
{
	bool counts = capture->options.disk_max > 0 || capture->options.min_free > 0;

	return capture->intake && counts ? intake_reserved(capture->intake) : 0;
}

static size_t room_now(struct weir_capture *capture)
{
	return pressure_is_on(capture) ? 0 : spool_room(capture->spool, reserved(capture));
}

/* What the room is missing for. The files of the intake are on the same disk. */
static enum spool_lack lack(struct weir_capture *capture)
{
	enum spool_lack lack = spool_lack(capture->spool, reserved(capture));

	bool stuck = capture->intake && intake_is_waiting(capture->intake);

	return lack == SPOOL_LACKS_NOTHING && stuck ? SPOOL_LACKS_DISK : lack;
}

/* Once for a while: a disk may be full many times. */
void pressure_tell(struct weir_capture *capture)
{
	bool drops = capture->options.on_full == WEIR_FULL_DROP_NEWEST;
	uint64_t now = clock_monotonic_ns();
	struct fault fault = {0};

	if (!capture->options.on_full_disk ||
	    (capture->told_full_ns > 0 && now - capture->told_full_ns < TELL_AGAIN_NS))
		return;
	capture->told_full_ns = now;
	fault_set_full(&fault, spool_path(capture->spool), lack(capture),
		       drops ? "what comes is dropped until there is room"
			     : "nothing is read until there is room");
	capture->options.on_full_disk(fault.message, capture->options.data);
}

static int stop(struct weir_capture *capture, const char *meaning)
{
	fault_set_full(&capture->fault, spool_path(capture->spool), lack(capture), meaning);
	return events_end(capture, WEIR_END_FAILURE, CLOSE_INTERNAL);
}

/* The timer comes again, less and less often. */
static void wait_on(struct weir_capture *capture)
{
	uint64_t wait_ns = MAX(capture->room_wait_ns, WAIT_MIN_NS);

	loop_timer_set(capture->loop, &capture->room_timer,
		       clock_after(clock_monotonic_ns(), wait_ns));
	capture->room_wait_ns = MIN(wait_ns * 2, WAIT_MAX_NS);
}

/* Whether the open segment is to be sealed: only that can make room of it. While something waits,
 * it is not done for each little that was written, as long as something is being processed; and not
 * as long as something older can be dropped. */
static bool is_to_be_sealed(const struct weir_capture *capture)
{
	if (capture->options.on_full == WEIR_FULL_DROP_OLDEST)
		return false;
	return !pressure_is_on(capture) ||
	       (capture->options.to != WEIR_TO_SPOOL && delivery_is_idle(capture->delivery));
}

/* Seals what is captured. A message that is open keeps its segment from that: where nothing else
 * can make room, it is taken out again. */
static int seal(struct weir_capture *capture)
{
	enum weir_on_full on_full = capture->options.on_full;
	int r = 0;

	if (on_full == WEIR_FULL_DROP_OLDEST ||
	    (on_full == WEIR_FULL_BLOCK && capture->options.to != WEIR_TO_SPOOL &&
	     delivery_is_idle(capture->delivery)))
		r = spool_split(capture->spool);
	return r < 0 ? r : spool_seal(capture->spool);
}

/* Writes what waits, as far as there is room. */
static int try_again(struct weir_capture *capture)
{
	int r = spool_retry(capture->spool);

	if (r >= 0 && capture->intake && !spool_is_full(capture->spool))
		r = intake_resume(capture->intake);
	return r;
}

/* Whatever is captured goes on its way. */
static int hand_on(struct weir_capture *capture)
{
	uint64_t acked = spool_counters(capture->spool).acked;
	int r = delivery_kick(capture->delivery);

	return r < 0 || spool_counters(capture->spool).acked == acked ? r : try_again(capture);
}

/* Drops what is sealed, until there is room. While the syncer finds none, one at a time: it tries
 * again by itself. */
static int drop_sealed(struct weir_capture *capture)
{
	int dropped = 1, r = 0;

	while (r >= 0 && dropped > 0 && room_now(capture) == 0) {
		dropped = spool_drop_oldest(capture->spool);
		r = dropped > 0 ? try_again(capture) : dropped;
		if (spool_durable(capture->spool).full < 0)
			break;
	}
	return r;
}

/* What is older than the open segment goes, and then that. */
static int drop_oldest(struct weir_capture *capture)
{
	int r = drop_sealed(capture);

	if (r < 0 || room_now(capture) > 0)
		return r;
	r = seal(capture);
	if (r >= 0)
		r = hand_on(capture);
	return r < 0 ? r : drop_sealed(capture);
}

static int make_room(struct weir_capture *capture)
{
	int r = is_to_be_sealed(capture) ? seal(capture) : 0;

	if (r >= 0)
		r = hand_on(capture);
	if (r >= 0 && capture->options.on_full == WEIR_FULL_DROP_OLDEST)
		r = drop_oldest(capture);
	return r;
}

/* There is none, and what can be done is done. */
static int do_without(struct weir_capture *capture)
{
	enum spool_lack missing = lack(capture);
	bool at_cap = missing == SPOOL_LACKS_CAP || missing == SPOOL_LACKS_DESCRIPTORS;

	if (capture->options.on_full == WEIR_FULL_STOP && missing != SPOOL_LACKS_NOTHING)
		return stop(capture, "--on-full is stop");
	if (at_cap && capture->options.on_full != WEIR_FULL_DROP_NEWEST &&
	    delivery_is_idle(capture->delivery) && !spool_is_syncing(capture->spool))
		return stop(capture, "nothing that it holds will be processed");
	capture->stats.blocked = capture->options.on_full != WEIR_FULL_DROP_NEWEST;
	if (!at_cap) {
		if (missing != SPOOL_LACKS_NOTHING)
			pressure_tell(capture);
		if (capture->room_timer.due_ns == 0)
			wait_on(capture);
	}
	return 0;
}

/* Looks for room. Whoever stalled meanwhile is told by the timer, at once, when there is some. */
static int look_for_room(struct weir_capture *capture)
{
	bool was_on = pressure_is_on(capture);
	int r;

	if (capture->looking || capture->phase != RUNNING)
		return 0;
	capture->looking = true;
	r = make_room(capture);
	capture->looking = false;
	if (r < 0)
		return events_fail_storage(capture, r);
	capture->pressed |= was_on || pressure_is_on(capture);
	if (room_now(capture) == 0)
		return do_without(capture);
	if (was_on)
		loop_timer_set(capture->loop, &capture->room_timer, clock_monotonic_ns());
	return 0;
}

int pressure_begin(struct weir_capture *capture)
{
	capture->pressed = true;
	return capture->room_timer.due_ns > 0 ? 0 : look_for_room(capture);
}

/* All that waited is written. */
static int go_on(struct weir_capture *capture)
{
	int r = capture->pressed ? inflow_flush(capture) : 0;

	if (r < 0 || pressure_is_on(capture))
		return r;
	loop_timer_clear(capture->loop, &capture->room_timer);
	capture->stats.blocked = false;
	if (capture->pressed && capture->phase == RUNNING && capture->inlets_running == 0)
		return events_ran_dry(capture);
	capture->pressed = false;
	if (room_now(capture) > 0)
		capture->room_wait_ns = 0;
	return inflow_resume(capture);
}

int pressure_relieve(void *data)
{
	struct weir_capture *capture = data;
	int r = 0;

	if (pressure_is_on(capture)) {
		capture->looking = true;
		r = try_again(capture);
		capture->looking = false;
	}
	if (r < 0)
		return events_fail_storage(capture, r);
	if (!pressure_is_on(capture))
		return go_on(capture);
	r = look_for_room(capture);
	/* To drop what comes is to read it, also after something else was waited for. */
	return r < 0 || !capture->drop_lanes ? r : inflow_resume(capture);
}

/* New messages that wait are dropped like those that came later. */
static void drop_waiting(struct weir_capture *capture)
{
	struct loss loss = {.messages = 0};

	if (capture->intake)
		intake_count_waiting(capture->intake, &loss);
	spool_note_waiting(capture->spool);
	spool_note_loss(capture->spool, &loss);
}

int pressure_end(struct weir_capture *capture)
{
	int r;

	if (pressure_is_on(capture) && capture->options.on_full == WEIR_FULL_DROP_NEWEST)
		drop_waiting(capture);
	loop_timer_clear(capture->loop, &capture->room_timer);
	capture->stats.blocked = capture->dropping = false;
	if (capture->intake)
		intake_give_up(capture->intake);
	r = spool_give_up(capture->spool);
	return r < 0 ? r : spool_record_last_loss(capture->spool);
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
	int r;

	if (spool_must_wait(capture->spool))
		return 0;
	room = room_now(capture);
	if (room == 0) {
		r = pressure_is_on(capture) ? pressure_begin(capture) : look_for_room(capture);
		if (r < 0)
			fail(capture, r);
		room = room_now(capture);
	}
	if (capture->phase != RUNNING)
		return SIZE_MAX;
	capture->dropping = room == 0 && capture->options.on_full == WEIR_FULL_DROP_NEWEST;
	capture->stats.blocked = room == 0 && !capture->dropping;
	return capture->dropping ? SIZE_MAX : room;
}
