/*
 * The public face of a capture: it is opened, run once, asked about and freed. What happens while
 * it runs is in events.c.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "pipeline/options.h"
#include "pipeline/state.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static const enum spool_sync spool_sync_of[] = {
	[WEIR_SYNC_NONE] = SPOOL_SYNC_NONE,	    [WEIR_SYNC_BYTES] = SPOOL_SYNC_BYTES,
	[WEIR_SYNC_INTERVAL] = SPOOL_SYNC_INTERVAL, [WEIR_SYNC_SEAL] = SPOOL_SYNC_SEAL,
	[WEIR_SYNC_EVERY] = SPOOL_SYNC_EVERY,
};

static void on_recovered(void *data, const struct recover_news *news)
{
	struct weir_capture *capture = data;
	char text[FAULT_MESSAGE_SIZE];

	if (!capture->options.on_recovered)
		return;
	fault_describe_found(text, capture->options.spool, news);
	capture->options.on_recovered(text, capture->options.data);
}

static uint64_t beside(void *data)
{
	const struct weir_capture *capture = data;

	return capture->intake ? intake_held(capture->intake) : 0;
}

static int set_up(struct weir_capture *capture)
{
	struct spool_options spool = {
		.path = capture->options.spool,
		.dir = capture->options.dir,
		.prefix = capture->options.prefix,
		.suffix = capture->options.suffix,
		.ephemeral = capture->options.ephemeral,
		.segment_bytes = capture->options.segment_bytes,
		.segment_messages = capture->options.segment_messages,
		.disk_max = capture->options.disk_max,
		.min_free = capture->options.min_free,
		.may_drop = capture->options.on_full == WEIR_FULL_DROP_OLDEST,
		.may_lose = capture->options.on_full == WEIR_FULL_DROP_NEWEST,
		.sync = spool_sync_of[capture->options.sync],
		.sync_bytes = capture->options.sync_bytes,
		.take_early = capture->options.to == WEIR_TO_STREAM,
		.on_recovered = on_recovered,
		.beside = beside,
		.data = capture,
		.shares = capture->shares,
		.pack_level = (int)capture->options.compress_level,
		.pack_all = capture->options.to == WEIR_TO_SPOOL,
	};
	int r = spool_open(&spool, &capture->spool);

	if (r < 0) {
		fault_set_spool(&capture->fault, &capture->options, r);
		return 0;
	}
	r = loop_new(&capture->loop);
	if (r >= 0)
		r = sync_begin(capture);
	if (r >= 0)
		r = packing_begin(capture);
	if (r >= 0)
		r = delivery_new(capture->loop, capture->spool, &capture->options, events_progress,
				 capture, &capture->delivery);
	if (r < 0)
		return r;
	capture->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (capture->stop_fd < 0)
		return -errno;
	return loop_add(capture->loop, &capture->stop_source, capture->stop_fd, EPOLLIN);
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
	capture->stop_source =
		(struct loop_source){.callback = events_stop, .data = capture, .fd = -1};
	capture->sync_source.fd = capture->pack_source.fd = -1;
	capture->age_timer = (struct loop_timer){.callback = events_age, .data = capture};
	capture->room_timer = (struct loop_timer){.callback = pressure_relieve, .data = capture};
	capture->tick_timer = (struct loop_timer){.callback = events_tick, .data = capture};
	capture->duration_timer = (struct loop_timer){.callback = events_duration, .data = capture};
	r = capture->fault.outcome == WEIR_DONE ? inflow_init(capture) : 0;
	if (r >= 0 && capture->fault.outcome == WEIR_DONE)
		r = set_up(capture);
	if (r < 0)
		fault_set(&capture->fault, WEIR_STORAGE, "cannot begin: %s", strerror(-r));
	if (capture->fault.outcome != WEIR_DONE)
		capture->stats.end = WEIR_END_FAILURE;
	return capture->fault.outcome;
}

/* Begins to connect, and sets the timers. */
static int start(struct weir_capture *capture)
{
	int r;

	capture->started_ns = clock_monotonic_ns();
	if (capture->options.on_tick)
		loop_timer_set(capture->loop, &capture->tick_timer,
			       clock_after(capture->started_ns, capture->options.tick_ns));
	if (capture->options.duration_ns > 0)
		loop_timer_set(capture->loop, &capture->duration_timer,
			       clock_after(capture->started_ns, capture->options.duration_ns));
	r = inflow_start(capture);
	return r < 0 ? r : events_kick(capture);
}

static void conclude(struct weir_capture *capture, int error)
{
	struct fault_rest rest = fault_rest(&capture->options, spool_path(capture->spool));
	uint64_t kept = spool_counters(capture->spool).kept;
	int undeleted = spool_unlink_rest(capture->spool);

	if (undeleted < 0)
		fault_set_storage(&capture->fault, &capture->options, spool_path(capture->spool),
				  undeleted);
	if (error < 0)
		fault_set(&capture->fault, WEIR_STORAGE,
			  "the capture cannot go on: %s; what was not processed %s%s",
			  strerror(-error), rest.fate, rest.place);
	if (kept > 0)
		fault_set(&capture->fault, WEIR_KEPT, "%llu segment%s not processed; what %s %s%s",
			  (unsigned long long)kept, kept == 1 ? " was" : "s were",
			  kept == 1 ? "it holds" : "they hold", rest.fate, rest.place);
	if (capture->aborted)
		fault_set(&capture->fault, WEIR_ABORTED,
			  "stopped at once; what was captured and not processed %s%s", rest.fate,
			  rest.place);
	if (capture->fault.outcome >= WEIR_USAGE && capture->fault.outcome != WEIR_ABORTED)
		capture->stats.end = WEIR_END_FAILURE;
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
	if (r >= 0)
		r = capture->room_error;
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
	struct sync_mark durable;

	if (stats.elapsed_ns == 0 && capture->started_ns > 0)
		stats.elapsed_ns = clock_monotonic_ns() - capture->started_ns;
	inflow_count(capture, &stats);
	if (!capture->spool)
		return stats;
	counters = spool_counters(capture->spool);
	stats.messages = counters.messages;
	stats.bytes = counters.bytes;
	stats.segments = counters.sealed;
	stats.acked = counters.acked;
	stats.kept = counters.kept;
	/* What is not sealed any more is left as well. */
	stats.backlog_segments = counters.backlog + (capture->aborted && counters.open);
	stats.dropped_messages = counters.dropped_messages;
	stats.dropped_bytes = counters.dropped_bytes;
	stats.lost_events = counters.lost_events;
	stats.disk_bytes = counters.held_bytes;
	stats.disk_peak_bytes = counters.peak_bytes;
	stats.compresses = capture->options.compress_level > 0;
	stats.compressed = counters.packed;
	stats.compress_failed = counters.pack_failures;
	stats.synced = capture->options.sync != WEIR_SYNC_NONE;
	durable = spool_durable(capture->spool).durable;
	stats.durable_messages = durable.messages;
	stats.durable_bytes = durable.bytes;
	return stats;
}

struct weir_source_stats weir_capture_source_stats(const struct weir_capture *capture,
						   size_t source)
{
	if (!capture->inlets || source >= capture->options.source_count)
		return (struct weir_source_stats){.url = "", .error = ""};
	return inflow_source_stats(capture, source);
}

const char *weir_capture_message(const struct weir_capture *capture)
{
	return capture ? capture->fault.message : "out of memory";
}

const char *weir_capture_spool(const struct weir_capture *capture)
{
	return capture->spool ? spool_path(capture->spool) : NULL;
}

bool weir_capture_spool_exists(const struct weir_capture *capture)
{
	return capture->spool && !capture->removed && !capture->options.ephemeral;
}

const char *weir_capture_url(const struct weir_capture *capture, size_t source)
{
	return weir_capture_source_stats(capture, source).url;
}

void weir_capture_free(struct weir_capture *capture)
{
	if (!capture)
		return;
	inflow_done(capture);
	delivery_free(capture->delivery);
	if (capture->loop)
		loop_remove(capture->loop, &capture->stop_source);
	loop_remove(capture->loop, &capture->sync_source);
	close_fdp(&capture->stop_fd);
	if (capture->spool && !capture->removed)
		spool_remove(capture->spool);
	spool_free(capture->spool);
	loop_free(capture->loop);
	free(capture);
}
