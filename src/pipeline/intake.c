/*
 * The spool takes one message after the other. Where several connections are open at once, one may
 * be in the middle of a message when another one brings the whole of its own, and must not have to
 * wait for it: a server that stops in mid-message would stop them all. So what is not whole yet
 * waits here, small ones in memory and large ones in a temporary file, each in its lane. Nearly all
 * messages are whole when they come, and pass by.
 *
 * Where the disk is full, one of two things may stop in the middle: a message on its way from its
 * file to the spool, which goes on from there later, or a piece on its way into a file. What is
 * behind it in the batch waits until then.
 */
#include "pipeline/intake.h"

#include "base/io.h"
#include "pipeline/lane.h"
#include "spool/waiting.h"

#include <errno.h>

#define LANE_COST KIB(16) /* in the spool: an index entry, and blocks that files end within */
#define CHUNK KIB(256)	  /* in which it is read back */

/* The message that is on its way out of its file. */
struct outgoing {
	struct lane *lane; /* NULL: there is none */
	uint64_t done;	   /* bytes of it */
	uint32_t crc;	   /* of these */
	struct message_batch batch;
};

struct intake {
	struct intake_options options;
	uint8_t *chunk;
	struct outgoing outgoing;
	struct waiting waiting; /* what is behind that, or behind a piece that found no room */
	bool stuck;		/* until there is room */
	struct lane lanes[];
};

int intake_new(const struct intake_options *options, struct intake **ret_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake) + options->lanes * sizeof(struct lane));

	if (!intake)
		return -ENOMEM;
	intake->options = *options;
	for (size_t i = 0; i < options->lanes; i++)
		lane_init(&intake->lanes[i]);
	*ret_intake = intake;
	return 0;
}

void intake_free(struct intake *intake)
{
	if (!intake)
		return;
	for (size_t i = 0; i < intake->options.lanes; i++)
		lane_done(&intake->lanes[i]);
	waiting_clear(&intake->waiting);
	free(intake->chunk);
	free(intake);
}

/* Hands one piece on, in memory that is used again. */
static int hand_on(struct intake *intake, struct message_batch *batch,
		   const struct message_piece *piece)
{
	int r;

	batch->pieces[0] = *piece;
	batch->count = 1;
	r = intake->options.append(intake->options.data, batch);
	return r < 0 ? r : intake->options.flush(intake->options.data);
}

/* Reads the next chunk of a message that waits in a file. */
static int read_chunk(struct intake *intake, const struct lane *lane, uint64_t offset,
		      struct message_piece *piece)
{
	piece->data = intake->chunk;
	piece->size = CHUNK;
	return lane_read(lane, offset, piece);
}

/* Goes through a file twice where there is a filter, which needs all of the message. 1: dropped. */
static int filter_file(struct intake *intake, const struct lane *lane,
		       const struct message_batch *batch)
{
	struct filter *filter = intake->options.filter;
	struct message_piece piece = {0};
	int r = 0;

	if (!filter)
		return 0;
	filter_begin_large(filter);
	for (uint64_t offset = 0; r >= 0 && offset < lane->size; offset += piece.size) {
		r = read_chunk(intake, lane, offset, &piece);
		if (r >= 0)
			filter_see_large(filter, piece.data, piece.size);
	}
	return r < 0 ? r : filter_end_large(filter, batch, lane->kind);
}

/* Goes on with the message that is on its way out, as far as there is room. */
static int hand_on_file(struct intake *intake)
{
	struct outgoing *outgoing = &intake->outgoing;
	struct lane *lane = outgoing->lane;
	int r = 0;

	while (r >= 0 && outgoing->done < lane->size &&
	       !intake->options.is_full(intake->options.data)) {
		struct message_piece piece = {.kind = lane->kind, .crc = outgoing->crc};

		r = read_chunk(intake, lane, outgoing->done, &piece);
		if (r >= 0)
			r = hand_on(intake, &outgoing->batch, &piece);
		outgoing->done += piece.size;
		outgoing->crc = piece.crc;
		lane_give_back(lane, outgoing->done);
	}
	if (r >= 0 && outgoing->done < lane->size)
		return 0; /* intake_resume() */
	lane_forget(lane);
	outgoing->lane = NULL;
	return r;
}

/* A message that waited in a file is whole. */
static int begin_file(struct intake *intake, struct lane *lane, const struct message_batch *batch)
{
	int r;

	if (!intake->chunk)
		intake->chunk = malloc(CHUNK);
	if (!intake->chunk)
		return -ENOMEM;
	r = filter_file(intake, lane, batch);
	if (r != 0) {
		lane_forget(lane);
		return MIN(r, 0);
	}
	intake->outgoing = (struct outgoing){.lane = lane, .batch = *batch};
	return hand_on_file(intake);
}

/* Whether a whole message is to go on; what is missing before it is told. 1: it is. */
static int is_wanted(struct intake *intake, const struct message_batch *batch,
		     const struct message_piece *piece, uint64_t *ret_missing)
{
	struct filter_verdict verdict = {0};
	int r = 0;

	if (intake->options.filter)
		r = filter_see(intake->options.filter, batch, piece->kind, piece->data, piece->size,
			       &verdict);
	if (r < 0)
		return r;
	*ret_missing = verdict.missing;
	return !verdict.drop;
}

static int hand_on_memory(struct intake *intake, struct lane *lane, struct message_batch *batch)
{
	struct message_piece piece = {
		.data = (uint8_t *)lane->memory.data,
		.size = lane->memory.size,
		.crc = lane->crc,
		.kind = lane->kind,
		.first = true,
		.last = true,
	};
	uint64_t missing;
	int r = is_wanted(intake, batch, &piece, &missing);

	if (r <= 0)
		return r;
	if (missing > 0)
		r = intake->options.gap(intake->options.data, batch, missing);
	return r < 0 ? r : hand_on(intake, batch, &piece);
}

/* The message of the lane is whole. */
static int finish(struct intake *intake, struct lane *lane, const struct message_batch *of)
{
	struct message_batch batch = {
		.time_ns = of->time_ns,
		.source = of->source,
		.connection = of->connection,
		.lane = of->lane,
		.kernel_time = of->kernel_time,
	};
	int r;

	if (lane->file)
		return begin_file(intake, lane, &batch);
	r = hand_on_memory(intake, lane, &batch);
	lane_forget(lane);
	return r;
}

static bool is_whole(const struct message_piece *piece)
{
	return piece->first && piece->last;
}

static int append_row(struct intake *intake, struct message_batch *row)
{
	int r = row->count > 0 ? intake->options.append(intake->options.data, row) : 0;

	row->count = 0;
	return r;
}

/* Hands the whole messages on that stand in a row from `at`. */
static int pass_row(struct intake *intake, const struct message_batch *batch, size_t *at)
{
	struct message_batch row = {
		.time_ns = batch->time_ns,
		.source = batch->source,
		.connection = batch->connection,
		.lane = batch->lane,
		.kernel_time = batch->kernel_time,
	};
	uint64_t missing;

	for (; *at < batch->count && is_whole(&batch->pieces[*at]); ++*at) {
		int r = is_wanted(intake, batch, &batch->pieces[*at], &missing);

		if (r > 0 && missing > 0) {
			r = append_row(intake, &row);
			if (r >= 0)
				r = intake->options.gap(intake->options.data, batch, missing);
			r = r < 0 ? r : 1;
		}
		if (r < 0)
			return r;
		if (r > 0)
			row.pieces[row.count++] = batch->pieces[*at];
	}
	return append_row(intake, &row);
}

static bool all_are_whole(const struct message_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		if (!is_whole(&batch->pieces[i]))
			return false;
	return true;
}

/* Takes a row of whole messages, or one piece, from number `*at`. A piece for which there is no
 * room (io_is_full()) is not taken. */
static int take_some(struct intake *intake, struct message_batch *batch, size_t *at)
{
	struct lane *lane = &intake->lanes[batch->lane];
	const struct message_piece *piece = &batch->pieces[*at];
	int r;

	if (is_whole(piece))
		return pass_row(intake, batch, at);
	r = lane_keep(lane, intake->options.dir_fd, piece);
	if (r < 0)
		return r;
	++*at;
	return piece->last ? finish(intake, lane, batch) : 0;
}

static void note_stuck(struct intake *intake)
{
	intake->stuck = intake->outgoing.lane || intake->waiting.first;
}

int intake_take(struct intake *intake, struct message_batch *batch)
{
	size_t at = 0;
	int r = 0;

	if (!intake->options.filter && all_are_whole(batch))
		return intake->options.append(intake->options.data, batch);
	while (r >= 0 && at < batch->count && !intake->outgoing.lane)
		r = take_some(intake, batch, &at);
	if (r < 0 && !io_is_full(r))
		return r;
	r = waiting_add(&intake->waiting, batch, at);
	note_stuck(intake);
	return r;
}

bool intake_is_waiting(const struct intake *intake)
{
	return intake->stuck;
}

/* Takes the first piece of what waits, whose memory is free after that. */
static int take_waiting(struct intake *intake)
{
	struct message_batch batch;
	size_t at = 0;
	int r;

	waiting_batch(intake->waiting.first, &batch);
	r = take_some(intake, &batch, &at);
	if (r >= 0)
		r = intake->options.flush(intake->options.data);
	if (at > 0 && intake->waiting.first) /* or it was given up by one of these */
		waiting_pop(&intake->waiting);
	return r;
}

int intake_resume(struct intake *intake)
{
	const struct intake_options *options = &intake->options;
	int r;

	intake->stuck = false;
	r = intake->outgoing.lane ? hand_on_file(intake) : 0;
	while (r >= 0 && !intake->outgoing.lane && intake->waiting.first &&
	       !options->is_full(options->data))
		r = take_waiting(intake);
	note_stuck(intake);
	return io_is_full(r) ? 0 : r;
}

void intake_count_waiting(const struct intake *intake, struct loss *sum)
{
	const struct outgoing *outgoing = &intake->outgoing;
	const struct waiting_item *first = intake->waiting.first;
	uint64_t before = sum->messages;

	waiting_count(&intake->waiting, sum);
	if (first && !first->piece.first && sum->messages > before) /* the rest is in its lane */
		sum->bytes += intake->lanes[first->lane].size;
	if (outgoing->lane)
		loss_add(sum, &(struct loss){
				      .messages = 1,
				      .bytes = outgoing->lane->size,
				      .first_ns = outgoing->batch.time_ns,
				      .last_ns = outgoing->batch.time_ns,
				      .source = outgoing->batch.source,
			      });
}

void intake_give_up(struct intake *intake)
{
	if (intake->outgoing.lane)
		lane_forget(intake->outgoing.lane);
	intake->outgoing.lane = NULL;
	waiting_clear(&intake->waiting);
	intake->stuck = false;
}

void intake_drop(struct intake *intake, uint16_t lane)
{
	struct waiting *waiting = &intake->waiting;

	/* All that waits came by one lane. What is on its way out of a file is whole, and so is
	 * what has its end among that. */
	if (waiting->first && waiting->first->lane == lane &&
	    (!waiting_in_message(waiting) || waiting_drop_open_message(waiting)))
		return;
	if (intake->outgoing.lane != &intake->lanes[lane])
		lane_forget(&intake->lanes[lane]);
}

uint64_t intake_held(const struct intake *intake)
{
	uint64_t held = 0;

	for (size_t i = 0; i < intake->options.lanes; i++)
		held += lane_held(&intake->lanes[i]);
	return held;
}

/* A file gives back its space as it is read, by chunks, if it can. */
uint64_t intake_reserved(const struct intake *intake)
{
	uint64_t reserved = 0;

	for (size_t i = 0; i < intake->options.lanes; i++) {
		const struct lane *lane = &intake->lanes[i];
		bool gives_back = lane->file && lane->gives_back;

		if (lane->size > 0)
			reserved += LANE_COST + (gives_back ? MIN(lane->size, CHUNK) : lane->size);
	}
	return reserved;
}
