/*
 * One source, one spool, one delivery, in one thread:
 *
 *	client ──pieces──▶ spool ──sealed segments──▶ delivery
 *
 * The functions below are the places where one module's news become another one's work. They hold
 * what belongs to none of them: the limits, the timers, and what an end means.
 *
 *   RUNNING   messages are captured
 *   STOPPING  enough was captured, or it failed: the WebSocket is being closed
 *   ENDING    there is no connection any more; what is sealed is being handed on
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/loop.h"
#include "base/macro.h"
#include "pipeline/delivery.h"
#include "pipeline/fault.h"
#include "pipeline/options.h"
#include "spool/spool.h"
#include "websocket/client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define CLOSE_NORMAL 1000
#define CLOSE_INTERNAL 1011
#define CLOSE_MISSING 1006 /* never sent: stands for an end without Close, RFC 6455 section 7.1.5 */
#define SEAL_RETRY_NS (100 * NS_PER_MS)

enum phase {
	RUNNING,
	STOPPING,
	ENDING,
};

struct weir_capture {
	struct weir_capture_options options;
	struct fault fault;
	struct url url;
	char *shown_url;
	struct loop *loop;
	struct spool *spool;
	struct delivery *delivery;
	struct client *client;
	enum phase phase;
	bool aborted, removed;
	int stop_fd;
	struct loop_source stop_source;
	struct loop_timer age_timer, tick_timer, duration_timer;
	uint64_t started_ns;
	uint64_t seen_messages, seen_bytes; /* taken for the spool, for the limits */
	struct weir_stats stats;	    /* what no module counts */
};

/* Ends the capture of messages; the rest follows from the end of the connection. */
static int stop(struct weir_capture *capture, uint16_t close_code)
{
	if (capture->phase != RUNNING)
		return 0;
	capture->phase = STOPPING;
	return client_close(capture->client, close_code);
}

static int fail_storage(struct weir_capture *capture, int error)
{
	fault_set_storage(&capture->fault, spool_path(capture->spool), error);
	return stop(capture, CLOSE_INTERNAL);
}

/* When everything is handed on, there is nothing left to run for. */
static void finish_when_idle(struct weir_capture *capture)
{
	if (capture->phase == ENDING && delivery_is_idle(capture->delivery))
		loop_stop(capture->loop);
}

/* Lets the delivery look for work. What fails there is a matter of the disk. */
static int kick(struct weir_capture *capture)
{
	int r = delivery_kick(capture->delivery);

	return r < 0 ? fail_storage(capture, r) : 0;
}

static int on_progress(void *data, int error)
{
	struct weir_capture *capture = data;
	int r;

	if (error < 0) {
		fault_set(&capture->fault, WEIR_KEPT,
			  "cannot write to standard output: %s; what was not handed on is kept in "
			  "the spool %s",
			  strerror(-error), spool_path(capture->spool));
		r = stop(capture, CLOSE_NORMAL);
		if (r < 0)
			return r;
	}
	finish_when_idle(capture);
	return capture->client ? client_resume(capture->client) : 0;
}

static int on_opened(void *data)
{
	struct weir_capture *capture = data;
	int r = spool_add_event(capture->spool, FORMAT_CONNECTED, 0, 0, 0);

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
	stop(capture, CLOSE_INTERNAL);
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

static int on_pieces(void *data, struct message_batch *batch, uint8_t *scratch)
{
	struct weir_capture *capture = data;
	int r;

	if (capture->phase != RUNNING || limit_reached(capture))
		return 0;
	apply_limits(capture, batch);
	r = spool_append(capture->spool, batch, scratch);
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
	r = kick(capture);
	if (r >= 0 && !spool_in_message(capture->spool) && limit_reached(capture))
		r = stop(capture, CLOSE_NORMAL);
	return r;
}

static int on_age(void *data)
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
		return kick(capture);
	}
	watch_age(capture);
	return 0;
}

/* Puts the end of the connection on record, and seals. */
static int record_end(struct weir_capture *capture, const struct client_end *end)
{
	uint16_t code = end->close_code ? end->close_code : CLOSE_MISSING;
	int r = spool_drop_open_message(capture->spool);

	if (r >= 0 && capture->stats.connected)
		r = spool_add_event(capture->spool, FORMAT_DISCONNECTED,
				    end->cut ? FORMAT_FLAG_CUT : 0, 0,
				    FORMAT_DISCONNECTED_VALUE(code, end->cut_bytes));
	return r < 0 ? r : spool_seal(capture->spool);
}

static int on_ended(void *data, const struct client_end *end)
{
	struct weir_capture *capture = data;
	bool wanted = capture->phase == STOPPING && end->kind != CLIENT_VIOLATED;
	int r = record_end(capture, end);

	if (r < 0)
		fault_set_storage(&capture->fault, spool_path(capture->spool), r);
	if (!wanted)
		fault_set_connection(&capture->fault, capture->shown_url, end);
	capture->stats.connected = false;
	capture->stats.ended_by_server = !wanted;
	capture->stats.blocked = false;
	capture->stats.close_code = end->close_code;
	capture->stats.cut_bytes = end->cut_bytes;
	capture->phase = ENDING;
	loop_timer_clear(capture->loop, &capture->age_timer);
	r = kick(capture);
	finish_when_idle(capture);
	return r;
}

static const struct client_handler handler = {
	.opened = on_opened,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
	.ended = on_ended,
};

static int on_duration(void *data)
{
	return stop(data, CLOSE_NORMAL);
}

static int on_tick(void *data)
{
	struct weir_capture *capture = data;
	struct weir_stats stats = weir_capture_stats(capture);

	capture->options.on_tick(&stats, capture->options.data);
	loop_timer_set(capture->loop, &capture->tick_timer,
		       clock_monotonic_ns() + capture->options.tick_ns);
	return 0;
}

static int on_stop(void *data)
{
	struct weir_capture *capture = data;
	uint64_t calls = 0;

	if (read(capture->stop_fd, &calls, sizeof(calls)) != (ssize_t)sizeof(calls))
		return 0;
	if (calls > 1 || capture->phase != RUNNING || capture->aborted) {
		capture->aborted = true;
		delivery_abort(capture->delivery);
		loop_stop(capture->loop);
		return 0;
	}
	return stop(capture, CLOSE_NORMAL);
}

static int set_up(struct weir_capture *capture)
{
	struct spool_options spool = {
		.path = capture->options.spool,
		.dir = capture->options.dir,
		.prefix = capture->options.prefix,
		.suffix = capture->options.suffix,
		.segment_bytes = capture->options.segment_bytes,
		.segment_messages = capture->options.segment_messages,
		.disk_max = capture->options.disk_max,
	};
	int r = spool_open(&spool, &capture->spool);

	if (r < 0) {
		fault_set_spool(&capture->fault, &capture->options, r);
		return 0;
	}
	r = loop_new(&capture->loop);
	if (r >= 0)
		r = delivery_new(capture->loop, capture->spool, &capture->options, on_progress,
				 capture, &capture->delivery);
	if (r < 0)
		return r;
	capture->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (capture->stop_fd < 0)
		return -errno;
	return loop_add(capture->loop, &capture->stop_source, capture->stop_fd, EPOLLIN);
}

/* Reads the URL, and makes the form of it that may be shown. */
static int set_url(struct weir_capture *capture)
{
	int r = url_parse(capture->options.url, &capture->url);

	if (r < 0)
		return r;
	if (r > 0) {
		fault_set(&capture->fault, WEIR_USAGE, "the URL %s", url_error_text((enum url_error)r));
		return 0;
	}
	if (asprintf(&capture->shown_url, "ws://%s%.*s", capture->url.host_header,
		     (int)strcspn(capture->url.target, "?"), capture->url.target) < 0) {
		capture->shown_url = NULL;
		return -ENOMEM;
	}
	return 0;
}

enum weir_outcome weir_capture_new(const struct weir_capture_options *options,
				   struct weir_capture **ret_capture)
{
	struct weir_capture *capture = calloc(1, sizeof(*capture));
	int r;

	*ret_capture = capture;
	if (!capture)
		return WEIR_STORAGE;
	capture->options = options_complete(options, &capture->fault);
	capture->stop_fd = -1;
	capture->stop_source = (struct loop_source){.callback = on_stop, .data = capture, .fd = -1};
	capture->age_timer = (struct loop_timer){.callback = on_age, .data = capture};
	capture->tick_timer = (struct loop_timer){.callback = on_tick, .data = capture};
	capture->duration_timer = (struct loop_timer){.callback = on_duration, .data = capture};
	r = set_url(capture);
	if (r >= 0 && capture->fault.outcome == WEIR_DONE)
		r = set_up(capture);
	if (r < 0)
		fault_set(&capture->fault, WEIR_STORAGE, "cannot begin: %s", strerror(-r));
	return capture->fault.outcome;
}

/* Begins to connect, and sets the timers. */
static int start(struct weir_capture *capture)
{
	struct client_options client = {
		.url = &capture->url,
		.headers = capture->options.headers,
		.header_count = capture->options.header_count,
		.sends = capture->options.sends,
		.send_count = capture->options.send_count,
		.connect_timeout_ns = capture->options.connect_timeout_ns,
		.handler = &handler,
		.data = capture,
	};
	int r;

	capture->started_ns = clock_monotonic_ns();
	if (capture->options.on_tick)
		loop_timer_set(capture->loop, &capture->tick_timer,
			       capture->started_ns + capture->options.tick_ns);
	if (capture->options.duration_ns > 0)
		loop_timer_set(capture->loop, &capture->duration_timer,
			       capture->started_ns + capture->options.duration_ns);
	r = client_new(capture->loop, &client, &capture->client);
	return r < 0 ? r : kick(capture);
}

static void conclude(struct weir_capture *capture, int error)
{
	uint64_t kept = spool_counters(capture->spool).kept;

	if (error < 0)
		fault_set_storage(&capture->fault, spool_path(capture->spool), error);
	if (kept > 0)
		fault_set(&capture->fault, WEIR_KEPT,
			  "%llu segment%s not processed; what is left is kept in the spool %s",
			  (unsigned long long)kept, kept == 1 ? " was" : "s were",
			  spool_path(capture->spool));
	if (capture->aborted)
		fault_set(&capture->fault, WEIR_ABORTED,
			  "stopped at once; what was captured and not processed is left in the "
			  "spool %s",
			  spool_path(capture->spool));
	capture->stats.elapsed_ns = clock_monotonic_ns() - capture->started_ns;
	capture->removed = spool_remove(capture->spool) >= 0 && !capture->options.spool &&
			   access(spool_path(capture->spool), F_OK) < 0;
}

enum weir_outcome weir_capture_run(struct weir_capture *capture)
{
	int r;

	if (capture->fault.outcome != WEIR_DONE)
		return capture->fault.outcome;
	r = start(capture);
	if (r >= 0)
		r = loop_run(capture->loop);
	conclude(capture, r);
	return capture->fault.outcome;
}

void weir_capture_stop(struct weir_capture *capture)
{
	uint64_t one = 1;
	int saved = errno;

	if (write(capture->stop_fd, &one, sizeof(one)) < 0)
		errno = saved; /* the counter is full: it was told often enough */
}

struct weir_stats weir_capture_stats(const struct weir_capture *capture)
{
	struct weir_stats stats = capture->stats;
	struct spool_counters counters;

	if (stats.elapsed_ns == 0 && capture->started_ns > 0)
		stats.elapsed_ns = clock_monotonic_ns() - capture->started_ns;
	if (capture->client)
		stats.wire_bytes = client_counters(capture->client).wire_bytes;
	if (!capture->spool)
		return stats;
	counters = spool_counters(capture->spool);
	stats.messages = counters.messages;
	stats.bytes = counters.bytes;
	stats.segments = counters.sealed;
	stats.acked = counters.acked;
	stats.kept = counters.kept;
	stats.backlog_segments = counters.backlog;
	stats.disk_bytes = counters.held_bytes;
	stats.disk_peak_bytes = counters.peak_bytes;
	return stats;
}

const char *weir_capture_message(const struct weir_capture *capture)
{
	return capture->fault.message;
}

const char *weir_capture_spool(const struct weir_capture *capture)
{
	return capture->spool ? spool_path(capture->spool) : NULL;
}

bool weir_capture_spool_exists(const struct weir_capture *capture)
{
	return capture->spool && !capture->removed;
}

const char *weir_capture_url(const struct weir_capture *capture)
{
	return capture->shown_url ? capture->shown_url : "";
}

void weir_capture_free(struct weir_capture *capture)
{
	if (!capture)
		return;
	client_free(capture->client);
	delivery_free(capture->delivery);
	if (capture->loop)
		loop_remove(capture->loop, &capture->stop_source);
	close_fdp(&capture->stop_fd);
	if (capture->spool && !capture->removed)
		spool_remove(capture->spool);
	spool_free(capture->spool);
	loop_free(capture->loop);
	url_done(&capture->url);
	free(capture->shown_url);
	free(capture);
}
