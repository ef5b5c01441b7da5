/*
 * --on-full drop-newest: while there is no room, what comes is read, as always, and dropped here,
 * message by message. One that is half taken when there is no room for the rest is dropped as well.
 * What is dropped is counted, and the spool puts it on record when something is written again.
 */
#include "pipeline/state.h"

#include <errno.h>

/* What came of the message that a lane is in the middle of. */
struct drop_lane {
	bool dropping;
	uint64_t bytes;
};

int drop_begin(struct weir_capture *capture)
{
	size_t lanes = capture->options.source_count * SOURCE_LANES;

	if (capture->options.on_full != WEIR_FULL_DROP_NEWEST)
		return 0;
	capture->drop_lanes = calloc(lanes, sizeof(*capture->drop_lanes));
	return capture->drop_lanes ? 0 : -ENOMEM;
}

void drop_done(struct weir_capture *capture)
{
	free(capture->drop_lanes);
}

void drop_forget(struct weir_capture *capture, uint16_t lane)
{
	if (capture->drop_lanes)
		capture->drop_lanes[lane] = (struct drop_lane){0};
}

/* The message is dropped as a whole. */
static void note(struct weir_capture *capture, const struct message_batch *batch, uint64_t bytes)
{
	spool_note_loss(capture->spool, &(struct loss){
						.messages = 1,
						.bytes = bytes,
						.first_ns = batch->time_ns,
						.last_ns = batch->time_ns,
						.source = batch->source,
					});
	if (capture->filter)
		filter_skipped(capture->filter, batch);
}

/* Whether a piece is dropped. */
static int drop_piece(struct weir_capture *capture, const struct message_batch *batch,
		      const struct message_piece *piece)
{
	struct drop_lane *lane = &capture->drop_lanes[batch->lane];
	int r = 0;

	if (piece->first) {
		lane->dropping = capture->dropping;
		lane->bytes = 0;
	} else if (capture->dropping && !lane->dropping) {
		lane->dropping = true;
		r = inflow_drop_open_message(capture, batch->lane);
	}
	lane->bytes += piece->size;
	if (r >= 0 && lane->dropping && piece->last)
		note(capture, batch, lane->bytes);
	return r < 0 ? r : lane->dropping;
}

int drop_from(struct weir_capture *capture, struct message_batch *batch)
{
	size_t kept = 0;

	if (!capture->drop_lanes || capture->phase != RUNNING)
		return 0;
	/* Behind the limits nothing is wanted, and nothing is missing. */
	if (inflow_limit_reached(capture) && !spool_in_message(capture->spool))
		batch->count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		int r = drop_piece(capture, batch, &batch->pieces[i]);

		if (r < 0)
			return r;
		if (r == 0)
			batch->pieces[kept++] = batch->pieces[i];
	}
	batch->count = kept;
	return 0;
}
