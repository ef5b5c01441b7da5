/*
 * One source, one spool, one delivery, in one thread:
 *
 *	client ──pieces──▶ spool ──sealed segments──▶ delivery
 *
 * The functions below are the places where one module's news become another one's work. They hold
 * what belongs to none of them: the limits, the timers, and what an end means.
 */
#include "pipeline/state.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <string.h>

#define SEAL_RETRY_NS (100 * NS_PER_MS)

/* Ends the capture of messages; the rest follows from the end of the connection. */
static int stop(struct weir_capture *capture, enum weir_end end, uint16_t close_code)
{
	if (capture->phase != RUNNING)
		return 0;
	capture->phase = STOPPING;
	capture->stats.end = end;
	return client_close(capture->client, close_code, NULL);
}

static int fail_storage(struct weir_capture *capture, int error)
{
	fault_set_storage(&capture->fault, spool_path(capture->spool), error);
	return stop(capture, WEIR_END_FAILURE, CLOSE_INTERNAL);
}

/* When everything is handed on, there is nothing left to run for. */
static void finish_when_idle(struct weir_capture *capture)
{
	if (capture->phase == ENDING && delivery_is_idle(capture->delivery))
		loop_stop(capture->loop);
}

/* Lets the delivery look for work. What fails there is a matter of the disk. */
int events_kick(struct weir_capture *capture)
{
	int r = delivery_kick(capture->delivery);

	return r < 0 ? fail_storage(capture, r) : 0;
}

int events_progress(void *data, int stream_error, int spool_error)
{
	struct weir_capture *capture = data;
	int r = 0;

	if (stream_error < 0) {
		fault_set(&capture->fault, WEIR_KEPT,
			  "cannot write to standard output: %s; what was not handed on is kept in "
			  "the spool %s",
			  strerror(-stream_error), spool_path(capture->spool));
		r = stop(capture, WEIR_END_READER, CLOSE_NORMAL);
	}
	if (r >= 0 && spool_error < 0)
		r = fail_storage(capture, spool_error);
	if (r < 0)
		return r;
	finish_when_idle(capture);
	return capture->client ? client_resume(capture->client) : 0;
}

static int on_opened(void *data)
{
	struct weir_capture *capture = data;
	int r = spool_add_event(capture->spool, &(struct spool_event){.kind = FORMAT_CONNECTED});

	capture->stats.connected = true;
	return r < 0 ? fail_storage(capture, r) : 0;
}

/* The spool is at its cap. Whatever is captured can only make room once it is sealed. */
static size_t make_room(struct weir_capture *capture)
{
	int r = spool_in_message(capture->spool) ? 0 : spool_seal(capture->spool);
	size_t room;

	if (r >= 0)
		r = delivery_kick(capture->delivery);
	if (r < 0) {
		fail_storage(capture, r);
		return SIZE_MAX;
	}
	room = spool_room(capture->spool);
	if (room > 0 || !delivery_is_idle(capture->delivery))
		return room;
	fault_set(&capture->fault, WEIR_STORAGE,
		  "the spool %s is at its --disk-max and nothing that it holds will be processed; "
		  "raise --disk-max, or process what is there",
		  spool_path(capture->spool));
	stop(capture, WEIR_END_FAILURE, CLOSE_INTERNAL);
	return SIZE_MAX;
}

static size_t on_room(void *data)
{
	struct weir_capture *capture = data;
	size_t room = spool_room(capture->spool);

	if (room == 0)
		room = make_room(capture);
	capture->stats.blocked = room == 0;
	return room;
}

static bool limit_reached(const struct weir_capture *capture)
{
	const struct weir_capture_options *options = &capture->options;

	return (options->messages_max > 0 && capture->seen_messages >= options->messages_max) ||
	       (options->bytes_max > 0 && capture->seen_bytes >= options->bytes_max);
}

/* Cuts a batch behind the message that reaches a limit. */
static void apply_limits(struct weir_capture *capture, struct message_batch *batch)
{
	if (capture->options.messages_max == 0 && capture->options.bytes_max == 0)
		return;
	for (size_t i = 0; i < batch->count; i++) {
		capture->seen_bytes += batch->pieces[i].size;
		if (!batch->pieces[i].last)
			continue;
		capture->seen_messages++;
		if (limit_reached(capture))
			batch->count = i + 1;
	}
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct weir_capture *capture = data;
	int r;

	if (capture->phase != RUNNING ||
	    (limit_reached(capture) && !spool_in_message(capture->spool)))
		return 0;
	apply_limits(capture, batch);
	r = spool_append(capture->spool, batch);
	return r < 0 ? fail_storage(capture, r) : 0;
}

static void watch_age(struct weir_capture *capture)
{
	uint64_t since = spool_open_since_ns(capture->spool);

	if (capture->options.segment_age_ns > 0 && capture->age_timer.due_ns == 0 && since > 0)
		loop_timer_set(capture->loop, &capture->age_timer,
			       since + capture->options.segment_age_ns);
}

static int on_flush(void *data)
{
	struct weir_capture *capture = data;
	int r = spool_commit(capture->spool);

	if (r < 0)
		return fail_storage(capture, r);
	watch_age(capture);
	r = events_kick(capture);
	if (r >= 0 && !spool_in_message(capture->spool) && limit_reached(capture))
		r = stop(capture, WEIR_END_LIMIT, CLOSE_NORMAL);
	return r;
}

int events_age(void *data)
{
	struct weir_capture *capture = data;
	uint64_t since = spool_open_since_ns(capture->spool);
	uint64_t now = clock_monotonic_ns();
	int r;

	if (since > 0 && since + capture->options.segment_age_ns <= now) {
		if (spool_in_message(capture->spool)) {
			loop_timer_set(capture->loop, &capture->age_timer, now + SEAL_RETRY_NS);
			return 0;
		}
		r = spool_seal(capture->spool);
		if (r < 0)
			return fail_storage(capture, r);
		return events_kick(capture);
	}
	watch_age(capture);
	return 0;
}

/* Whether the end tore a message off. One that began behind a limit was never asked for. */
static bool was_cut(const struct weir_capture *capture, const struct client_end *end)
{
	return end->cut && (spool_in_message(capture->spool) || !limit_reached(capture));
}

/* Puts the end of the connection on record, and seals. */
static int record_end(struct weir_capture *capture, const struct client_end *end)
{
	uint16_t code = end->close_code ? end->close_code : CLOSE_MISSING;
	uint8_t flags = was_cut(capture, end) ? FORMAT_FLAG_CUT : 0;
	struct spool_event event = {
		.kind = FORMAT_DISCONNECTED,
		.flags = flags,
		.value = FORMAT_DISCONNECTED_VALUE(code, flags ? end->cut_bytes : 0),
	};
	int r;

	capture->stats.cut_bytes = flags ? end->cut_bytes : 0;
	r = spool_drop_open_message(capture->spool);
	if (r >= 0 && capture->stats.connected)
		r = spool_add_event(capture->spool, &event);
	return r < 0 ? r : spool_seal(capture->spool);
}

static int on_ended(void *data, const struct client_end *end)
{
	struct weir_capture *capture = data;
	int r = record_end(capture, end);

	if (r < 0)
		fault_set_storage(&capture->fault, spool_path(capture->spool), r);
	if (capture->phase == RUNNING || end->kind == CLIENT_VIOLATED)
		fault_set_connection(&capture->fault, capture->shown_url, end);
	if (capture->phase == RUNNING)
		capture->stats.end = WEIR_END_SERVER;
	capture->stats.connected = false;
	capture->stats.blocked = false;
	capture->stats.close_code = end->close_code;
	capture->phase = ENDING;
	loop_timer_clear(capture->loop, &capture->age_timer);
	r = events_kick(capture);
	finish_when_idle(capture);
	return r;
}

const struct client_handler events_of_client = {
	.opened = on_opened,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
	.ended = on_ended,
};

int events_duration(void *data)
{
	return stop(data, WEIR_END_LIMIT, CLOSE_NORMAL);
}

int events_tick(void *data)
{
	struct weir_capture *capture = data;
	struct weir_stats stats = weir_capture_stats(capture);

	capture->options.on_tick(&stats, capture->options.data);
	loop_timer_set(capture->loop, &capture->tick_timer,
		       clock_monotonic_ns() + capture->options.tick_ns);
	return 0;
}

int events_stop(void *data)
{
	struct weir_capture *capture = data;
	uint64_t calls = 0;

	if (read(capture->stop_fd, &calls, sizeof(calls)) != (ssize_t)sizeof(calls))
		return 0;
	capture->stops += calls;
	if (capture->stops == 1)
		return stop(capture, WEIR_END_STOP, CLOSE_NORMAL);
	capture->aborted = true;
	capture->stats.end = WEIR_END_STOP;
	delivery_abort(capture->delivery);
	loop_stop(capture->loop);
	return 0;
}
