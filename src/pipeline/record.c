/*
 * What became of the connections: in the spool, where it stands between the messages before and
 * behind it, and for whoever wants to hear of it.
 */
#include "pipeline/state.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <string.h>

static void tell(struct weir_capture *capture, const struct weir_connection *news)
{
	if (capture->options.on_connection)
		capture->options.on_connection(news, capture->options.data);
}

int record_opened(void *data, const struct source_place *place, uint64_t time_ns)
{
	struct weir_capture *capture = data;
	struct inlet *inlet = &capture->inlets[place->source];
	struct spool_event event = {
		.kind = FORMAT_CONNECTED,
		.time_ns = time_ns,
		.source = place->source,
		.connection = place->connection,
	};
	int r = spool_add_event(capture->spool, &event);

	if (r >= 0 && inlet->lost_ns > 0) {
		event.kind = FORMAT_RECONNECTED;
		event.value = clock_monotonic_ns() - inlet->lost_ns;
		r = spool_add_event(capture->spool, &event);
	}
	if (r < 0)
		return events_fail_storage(capture, r);
	inlet->lost_ns = 0;
	inlet->state = WEIR_SOURCE_CONNECTED;
	if (capture->filter)
		filter_joined(capture->filter, place->lane);
	tell(capture, &(struct weir_connection){
			      .source = place->source,
			      .url = inlet->endpoint.shown_url,
			      .connected = true,
			      .redirected_to = place->redirected_to,
			      .message = "",
		      });
	return 0;
}

static enum format_loss loss_of(const struct client_end *end)
{
	switch (end->kind) {
	case CLIENT_LOST:
		return end->error == 0 ? FORMAT_LOSS_ENDED : FORMAT_LOSS_BROKEN;
	case CLIENT_VIOLATED:
		return FORMAT_LOSS_VIOLATED;
	case CLIENT_SILENT:
		return FORMAT_LOSS_SILENT;
	case CLIENT_IDLE:
		return FORMAT_LOSS_IDLE;
	case CLIENT_CLOSE_TIMEOUT:
		return FORMAT_LOSS_UNANSWERED;
	case CLIENT_OPENING:
		return FORMAT_LOSS_OPENING;
	default:
		return FORMAT_LOSS_CLOSED;
	}
}

/* What had come of a message that is torn off now does not count; how much that was goes into the
 * event. One that began behind a limit was never asked for. */
static int drop_open_message(struct weir_capture *capture, const struct source_place *place,
			     const struct client_end *end, struct spool_event *event)
{
	bool cut = end->cut && (spool_in_message(capture->spool) || !inflow_limit_reached(capture));
	uint16_t code = end->close_code ? end->close_code : CLOSE_MISSING;

	event->flags = (uint8_t)(FORMAT_FLAG_LOSS(loss_of(end)) | (cut ? FORMAT_FLAG_CUT : 0));
	event->value = FORMAT_DISCONNECTED_VALUE(code, cut ? end->cut_bytes : 0);
	if (cut)
		capture->stats.cut_bytes += end->cut_bytes;
	drop_forget(capture, place->lane);
	return inflow_drop_open_message(capture, place->lane);
}

/* Puts the end of a connection on record. */
static int record_loss(struct weir_capture *capture, const struct source_place *place,
		       const struct source_loss *loss)
{
	struct inlet *inlet = &capture->inlets[place->source];
	struct spool_event event = {
		.kind = FORMAT_DISCONNECTED,
		.source = place->source,
		.connection = place->connection,
	};
	int r = drop_open_message(capture, place, loss->end, &event);

	if (!loss->was_open)
		return r;
	if (!source_is_open(inlet->source))
		inlet->lost_ns = clock_monotonic_ns();
	if (r >= 0)
		r = spool_add_event(capture->spool, &event);
	return r < 0 ? r : spool_commit(capture->spool);
}

/* Notes how the source stands now, and why. Without memory for it, what was noted before stays. */
static void note_state(struct inlet *inlet, const struct source_loss *loss, const char *message)
{
	char *error = *message && !loss->wanted ? strdup(message) : NULL;

	if (error) {
		free(inlet->error);
		inlet->error = error;
	}
	if (!loss->wanted && !source_is_open(inlet->source))
		inlet->state = loss->next_in_ns == SOURCE_NO_NEXT ? WEIR_SOURCE_ENDED
								  : WEIR_SOURCE_CONNECTING;
}

static void tell_loss(struct weir_capture *capture, const struct source_place *place,
		      const struct source_loss *loss)
{
	struct inlet *inlet = &capture->inlets[place->source];
	const char *url = inlet->endpoint.shown_url;
	struct fault fault = {0};

	fault_set_connection(&fault, url, loss->end);
	note_state(inlet, loss, fault.message);
	tell(capture, &(struct weir_connection){
			      .source = place->source,
			      .url = url,
			      .redirected_to = loss->end->place,
			      .wanted = loss->wanted,
			      .retries = loss->next_in_ns != SOURCE_NO_NEXT,
			      .next_in_ns = loss->next_in_ns,
			      .message = fault.message,
		      });
}

int record_lost(void *data, const struct source_place *place, const struct source_loss *loss)
{
	struct weir_capture *capture = data;
	int r = record_loss(capture, place, loss);

	capture->stats.close_code = loss->end->close_code;
	tell_loss(capture, place, loss);
	if (r < 0)
		return events_fail_storage(capture, r);
	events_watch_age(capture);
	sync_watch(capture);
	r = events_kick(capture);
	return r >= 0 && pressure_is_on(capture) ? pressure_begin(capture) : r;
}
