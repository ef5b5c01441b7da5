/*
 * What comes from the sources goes into the spool: messages up to the limits of the capture, and
 * what became of the connections, as events. One source that is lost is no reason for another one
 * to stop; the capture runs dry when all of them have ended.
 */
#include "pipeline/state.h"

#include "websocket/close.h"
#include "websocket/session.h"

#include <errno.h>

_Static_assert(SPOOL_ROOM_MIN >= SESSION_ROOM_MIN, "a session can go on with any room there is");

static size_t on_room(void *data)
{
	return pressure_room(data);
}

bool inflow_limit_reached(const struct weir_capture *capture)
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
		capture->open_bytes += batch->pieces[i].size;
		if (!batch->pieces[i].last)
			continue;
		capture->open_bytes = 0;
		capture->seen_messages++;
		if (inflow_limit_reached(capture))
			batch->count = i + 1;
	}
}

/* Takes pieces of which no message is mixed with another. */
static int append(void *data, struct message_batch *batch)
{
	struct weir_capture *capture = data;
	int r;

	if (capture->phase != RUNNING ||
	    (inflow_limit_reached(capture) && !spool_in_message(capture->spool)))
		return 0;
	apply_limits(capture, batch);
	r = spool_has_loss(capture->spool) ? spool_record_loss(capture->spool) : 0;
	if (r >= 0)
		r = spool_append(capture->spool, batch);
	return r < 0 ? events_fail_storage(capture, r) : 0;
}

/* Puts a hole in the server's numbers on record. */
static int add_gap(void *data, const struct message_batch *batch, uint64_t missing)
{
	struct weir_capture *capture = data;
	struct spool_event event = {
		.kind = FORMAT_GAP,
		.flags = FORMAT_FLAG_SEQUENCE,
		.source = batch->source,
		.connection = batch->connection,
		.value = missing,
		.time_ns = batch->time_ns,
	};
	int r;

	if (capture->phase != RUNNING || inflow_limit_reached(capture))
		return 0;
	r = spool_add_event(capture->spool, &event);
	return r < 0 ? events_fail_storage(capture, r) : 0;
}

int inflow_drop_open_message(struct weir_capture *capture, uint16_t lane)
{
	if (capture->intake) {
		intake_drop(capture->intake, lane);
		return 0;
	}
	capture->seen_bytes -= capture->open_bytes;
	capture->open_bytes = 0;
	return spool_drop_open_message(capture->spool);
}

static int take(struct weir_capture *capture, struct message_batch *batch)
{
	int r = drop_from(capture, batch);

	if (r >= 0 && batch->count == 0)
		return 0;
	if (r >= 0 && !capture->intake)
		return append(capture, batch);
	if (r >= 0 && capture->phase == RUNNING)
		r = intake_take(capture->intake, batch);
	return r < 0 ? events_fail_storage(capture, r) : 0;
}

static int on_pieces(void *data, struct message_batch *batch)
{
	int r = take(data, batch);

	return r < 0 || !pressure_stalls(data) ? r : SESSION_STALLED;
}

int inflow_flush(void *data)
{
	struct weir_capture *capture = data;
	int r = spool_commit(capture->spool);

	if (r < 0)
		return events_fail_storage(capture, r);
	events_watch_age(capture);
	sync_watch(capture);
	r = events_kick(capture);
	if (r >= 0 && pressure_is_on(capture))
		return pressure_begin(capture);
	if (r >= 0 && !spool_in_message(capture->spool) && inflow_limit_reached(capture))
		r = events_end(capture, WEIR_END_LIMIT, CLOSE_NORMAL);
	return r;
}

static int on_prepare(void *data, uint16_t source)
{
	struct weir_capture *capture = data;
	struct inlet *inlet = &capture->inlets[source];

	return token_fetch(&inlet->token, capture->loop, &inlet->endpoint.options, inlet->source);
}

static int on_ended(void *data, uint16_t source, const struct client_end *end)
{
	struct weir_capture *capture = data;

	if (capture->phase == RUNNING || end->kind == CLIENT_VIOLATED)
		fault_set_connection(&capture->fault, capture->inlets[source].endpoint.shown_url,
				     end);
	return --capture->inlets_running == 0 ? events_ran_dry(capture) : 0;
}

static const struct source_handler handler = {
	.prepare = on_prepare,
	.opened = record_opened,
	.room = on_room,
	.pieces = on_pieces,
	.flush = inflow_flush,
	.lost = record_lost,
	.ended = on_ended,
};

/* What cannot be right is a fault. */
static int make_filter(struct weir_capture *capture)
{
	struct filter_options options = {
		.unique = capture->options.unique,
		.unique_key = capture->options.unique_key,
		.sequence = capture->options.sequence,
		.sources = capture->options.source_count,
	};
	int r;

	if (!options.unique && !options.unique_key && !options.sequence)
		return 0;
	r = filter_new(&options, &capture->filter);
	if (r > 0)
		fault_set(&capture->fault, WEIR_USAGE,
			  "%s takes a JSON pointer, as /data/id: each name behind a slash",
			  r == FILTER_SEQUENCE ? "--sequence" : "--unique-key");
	return MIN(r, 0);
}

int inflow_init(struct weir_capture *capture)
{
	const struct weir_capture_options *options = &capture->options;
	int r = 0;

	capture->inlets = calloc(options->source_count, sizeof(*capture->inlets));
	if (!capture->inlets)
		return -ENOMEM;
	if (options->source_count > 1) { /* a single one has all that the spool counts */
		capture->shares = calloc(options->source_count, sizeof(*capture->shares));
		if (!capture->shares)
			return -ENOMEM;
	}
	for (size_t i = 0; r >= 0 && i < options->source_count; i++)
		r = endpoint_init(&capture->inlets[i].endpoint, &options->sources[i],
				  &capture->fault);
	return r < 0 ? r : make_filter(capture);
}

/* Several connections may be open at once. */
static bool is_mixed(const struct weir_capture *capture)
{
	return capture->options.source_count > 1 ||
	       capture->inlets[0].endpoint.options.connection_age_ns > 0;
}

static bool is_full(void *data)
{
	struct weir_capture *capture = data;

	return spool_is_full(capture->spool);
}

static int start_intake(struct weir_capture *capture)
{
	struct intake_options options = {
		.lanes = capture->options.source_count * SOURCE_LANES,
		.dir_fd = spool_dir_fd(capture->spool),
		.filter = capture->filter,
		.append = append,
		.gap = add_gap,
		.flush = inflow_flush,
		.is_full = is_full,
		.data = capture,
	};

	return capture->filter || is_mixed(capture) ? intake_new(&options, &capture->intake) : 0;
}

int inflow_start(struct weir_capture *capture)
{
	int r = start_intake(capture);

	if (r >= 0)
		r = drop_begin(capture);
	for (size_t i = 0; r >= 0 && i < capture->options.source_count; i++) {
		struct inlet *inlet = &capture->inlets[i];
		struct source_options options = endpoint_source_options(&inlet->endpoint);

		options.number = (uint16_t)i;
		options.connections = &capture->connections;
		options.handler = &handler;
		options.data = capture;
		r = source_new(capture->loop, &options, &inlet->source);
		capture->inlets_running += r >= 0;
	}
	return r;
}

int inflow_close(struct weir_capture *capture, uint16_t close_code)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < capture->options.source_count; i++) {
		struct inlet *inlet = &capture->inlets[i];

		token_stop(&inlet->token);
		if (inlet->source)
			r = source_close(inlet->source, close_code, NULL);
	}
	return r;
}

void inflow_abort(struct weir_capture *capture)
{
	for (size_t i = 0; i < capture->options.source_count; i++)
		token_done(&capture->inlets[i].token);
}

int inflow_resume(struct weir_capture *capture)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < capture->options.source_count; i++)
		if (capture->inlets[i].source)
			r = source_resume(capture->inlets[i].source);
	return r;
}

void inflow_count(const struct weir_capture *capture, struct weir_stats *stats)
{
	if (capture->filter) {
		struct filter_counters counters = filter_counters(capture->filter);

		stats->duplicates = counters.duplicates;
		stats->gaps = counters.gaps;
		stats->missing = counters.missing;
		stats->keyed = counters.keyed;
		stats->keyless = counters.keyless;
		stats->numbered = counters.numbered;
		stats->numberless = counters.numberless;
	}
	for (size_t i = 0; capture->inlets && i < capture->options.source_count; i++) {
		struct source_counters counters;

		if (!capture->inlets[i].source)
			continue;
		counters = source_counters(capture->inlets[i].source);
		stats->wire_bytes += counters.wire_bytes;
		stats->connections += counters.opened;
		stats->failures += counters.failed;
		stats->connected += source_is_open(capture->inlets[i].source);
	}
}

struct weir_source_stats inflow_source_stats(const struct weir_capture *capture, size_t source)
{
	const struct inlet *inlet = &capture->inlets[source];
	struct weir_source_stats stats = {
		.url = inlet->endpoint.shown_url ? inlet->endpoint.shown_url : "",
		.state = inlet->state,
		.error = inlet->error ? inlet->error : "",
	};

	if (inlet->source) {
		struct source_counters counters = source_counters(inlet->source);

		stats.connections = counters.opened;
		stats.failures = counters.failed;
	}
	if (capture->shares) {
		stats.messages = capture->shares[source].messages;
		stats.bytes = capture->shares[source].bytes;
	} else if (capture->spool) {
		struct spool_counters counters = spool_counters(capture->spool);

		stats.messages = counters.messages;
		stats.bytes = counters.bytes;
	}
	return stats;
}

void inflow_done(struct weir_capture *capture)
{
	for (size_t i = 0; capture->inlets && i < capture->options.source_count; i++) {
		token_done(&capture->inlets[i].token);
		source_free(capture->inlets[i].source);
		endpoint_done(&capture->inlets[i].endpoint);
		free(capture->inlets[i].error);
	}
	drop_done(capture);
	intake_free(capture->intake);
	filter_free(capture->filter);
	free(capture->inlets);
	free(capture->shares);
}
