/*
 * The spool takes one message after the other. Where several connections are open at once, one may
 * be in the middle of a message when another one brings the whole of its own, and must not have to
 * wait for it: a server that stops in mid-message would stop them all. So what is not whole yet
 * waits here, small ones in memory and large ones in a temporary file, each in its lane. Nearly all
 * messages are whole when they come, and pass by.
 */
#include "pipeline/intake.h"

#include "base/buffer.h"
#include "base/scan.h"

#include <errno.h>
#include <string.h>
#include <tempfile.h>

#define LANE_MEMORY POINTER_MESSAGE_MAX /* a larger message waits in a file */
#define LANE_KEEPS KIB(64)
#define LANE_COST KIB(16) /* in the spool: an index entry, and blocks that files end within */
#define CHUNK KIB(256)	  /* in which it is read back */

struct lane {
	struct buffer memory;
	struct tempfile *file;
	uint64_t size;
	uint32_t crc;
	uint8_t kind;
};

struct intake {
	struct intake_options options;
	uint8_t *chunk;
	struct lane lanes[];
};

int intake_new(const struct intake_options *options, struct intake **ret_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake) + options->lanes * sizeof(struct lane));

	if (!intake)
		return -ENOMEM;
	intake->options = *options;
	for (size_t i = 0; i < options->lanes; i++)
		buffer_init(&intake->lanes[i].memory, LANE_MEMORY);
	*ret_intake = intake;
	return 0;
}

static void forget(struct lane *lane)
{
	lane->memory.size = 0;
	if (lane->memory.room > LANE_KEEPS) /* one large message should not cost memory for ever */
		buffer_done(&lane->memory);
	tempfile_close(&lane->file);
	lane->size = 0;
}

void intake_free(struct intake *intake)
{
	if (!intake)
		return;
	for (size_t i = 0; i < intake->options.lanes; i++) {
		forget(&intake->lanes[i]);
		buffer_done(&intake->lanes[i].memory);
	}
	free(intake->chunk);
	free(intake);
}

/* Moves what waits in memory to a file. */
static int spill(struct intake *intake, struct lane *lane)
{
	int r = tempfile_open_anonymous(&lane->file, .dir_fd = &intake->options.dir_fd);

	if (r >= 0)
		r = tempfile_write(lane->file, lane->memory.data, lane->memory.size);
	lane->memory.size = 0;
	return r;
}

static int keep_piece(struct intake *intake, struct lane *lane, const struct message_piece *piece)
{
	int r = 0;

	if (piece->first)
		forget(lane);
	lane->kind = piece->kind;
	lane->crc = piece->crc;
	if (!lane->file && lane->memory.size + piece->size > LANE_MEMORY)
		r = spill(intake, lane);
	if (r >= 0)
		r = lane->file ? tempfile_write(lane->file, piece->data, piece->size)
			       : buffer_append(&lane->memory, piece->data, piece->size);
	if (r >= 0)
		lane->size += piece->size;
	return r;
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
	size_t want = (size_t)MIN(lane->size - offset, (uint64_t)CHUNK);
	ssize_t n = pread(tempfile_fd(lane->file), intake->chunk, want, (off_t)offset);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	piece->data = intake->chunk;
	piece->size = (size_t)n;
	piece->crc = scan_bytes(piece->crc, piece->data, piece->size).crc;
	piece->first = offset == 0;
	piece->last = offset + piece->size == lane->size;
	if (piece->last && piece->crc != lane->crc)
		return -EIO; /* the disk gave back what was not written */
	return 0;
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

/* Hands a message on that waited in a file. */
static int hand_on_file(struct intake *intake, struct lane *lane, struct message_batch *batch)
{
	struct message_piece piece = {.kind = lane->kind};
	int r;

	if (!intake->chunk)
		intake->chunk = malloc(CHUNK);
	if (!intake->chunk)
		return -ENOMEM;
	r = filter_file(intake, lane, batch);
	if (r != 0)
		return MIN(r, 0);
	for (uint64_t offset = 0; r >= 0 && offset < lane->size; offset += piece.size) {
		r = read_chunk(intake, lane, offset, &piece);
		if (r >= 0)
			r = hand_on(intake, batch, &piece);
	}
	return r;
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
	int r = lane->file ? hand_on_file(intake, lane, &batch)
			   : hand_on_memory(intake, lane, &batch);

	forget(lane);
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

int intake_take(struct intake *intake, struct message_batch *batch)
{
	struct lane *lane = &intake->lanes[batch->lane];
	int r = 0;

	if (!intake->options.filter && all_are_whole(batch))
		return intake->options.append(intake->options.data, batch);
	for (size_t at = 0; r >= 0 && at < batch->count;) {
		const struct message_piece *piece = &batch->pieces[at];

		if (is_whole(piece)) {
			r = pass_row(intake, batch, &at);
			continue;
		}
		r = keep_piece(intake, lane, piece);
		if (r >= 0 && piece->last)
			r = finish(intake, lane, batch);
		at++;
	}
	return r;
}

void intake_drop(struct intake *intake, uint16_t lane)
{
	forget(&intake->lanes[lane]);
}

uint64_t intake_reserved(const struct intake *intake)
{
	uint64_t reserved = 0;

	for (size_t i = 0; i < intake->options.lanes; i++) {
		const struct lane *lane = &intake->lanes[i];

		if (lane->size > 0)
			reserved += lane->size * (lane->file ? 2 : 1) + LANE_COST;
	}
	return reserved;
}
