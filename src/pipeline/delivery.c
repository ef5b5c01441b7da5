/*
 * One segment is out at a time, `current`. A command gets it as a file and is waited for, a
 * callback is called, a stream is written. The stream is special in that it need not wait for the
 * seal: it follows the segment that is still being written, up to what is captured of it, so that a
 * reader sees a message when it comes and not when 64 MiB are full.
 */
#include "pipeline/delivery.h"

#include "pipeline/handout.h"
#include "process/command.h"
#include "sink/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct delivery {
	struct loop *loop;
	struct spool *spool;
	const struct weir_capture_options *options;
	delivery_progress *progress;
	void *data;
	struct segment *current;
	struct command *command;
	struct stream *stream;
	bool following; /* the stream shows the segment that is being written */
	bool showing;	/* the stream shows the current one to its end */
	bool broken;	/* the stream is gone */
};

static int acknowledge(struct delivery *delivery)
{
	return spool_ack(delivery->spool, TAKE_PTR(delivery->current));
}

/* Leaves the current segment on the disk and tells why. */
static int keep(struct delivery *delivery, int wait_status)
{
	CLEANUP(handout_done) struct handout handout;
	int r = handout_init_kept(&handout, delivery->spool, delivery->current);

	if (r >= 0 && delivery->options->on_kept)
		delivery->options->on_kept(&handout.segment, wait_status, delivery->options->data);
	spool_keep(delivery->spool, TAKE_PTR(delivery->current));
	return r;
}

/* Goes on with what is left, and tells the owner. */
static int report(struct delivery *delivery, int stream_error, int spool_error)
{
	int r = delivery_kick(delivery);

	return delivery->progress(delivery->data, stream_error, spool_error < 0 ? spool_error : r);
}

static void tell_command(const struct delivery *delivery, bool runs)
{
	if (delivery->options->on_command)
		delivery->options->on_command(runs, delivery->options->data);
}

static int on_command_ended(void *data, int wait_status)
{
	struct delivery *delivery = data;
	int r;

	command_free(TAKE_PTR(delivery->command));
	tell_command(delivery, false);
	r = wait_status == 0 ? acknowledge(delivery) : keep(delivery, wait_status);
	return report(delivery, 0, r);
}

/* Gives the current segment to the command or the callback. */
static int hand_out(struct delivery *delivery)
{
	CLEANUP(handout_done) struct handout handout;
	const struct weir_capture_options *options = delivery->options;
	int r = handout_init(&handout, delivery->spool, delivery->current);

	if (r < 0)
		return keep(delivery, r);
	if (options->to == WEIR_TO_CALLBACK) {
		r = options->on_segment(&handout.segment, options->data);
		return r == 0 ? acknowledge(delivery) : keep(delivery, r);
	}
	tell_command(delivery, true);
	r = command_start(delivery->loop, options->command, &handout.segment, on_command_ended,
			  delivery, &delivery->command);
	if (r >= 0)
		return 0;
	tell_command(delivery, false);
	return keep(delivery, r);
}

/* Makes the next segment the current one, if there is one. Those of an earlier run are checked
 * first: nobody should process what is damaged and then have it deleted. */
static int take_next(struct delivery *delivery)
{
	int r = 0;

	while (r >= 0 && (delivery->current = spool_take(delivery->spool))) {
		r = delivery->current->view_error;
		if (r >= 0 && delivery->current->counted)
			return 0;
		if (r >= 0)
			r = spool_check(delivery->spool, delivery->current);
		if (r >= 0)
			return 0;
		r = keep(delivery, r);
	}
	return r;
}

/* Takes segments until one is out, or none is left. */
static int deliver_segments(struct delivery *delivery)
{
	int error = 0;

	while (!delivery->current) {
		int r = take_next(delivery);

		if (r >= 0 && !delivery->current)
			break;
		if (r >= 0 && delivery->current->messages == 0)
			r = acknowledge(delivery);
		else if (r >= 0)
			r = hand_out(delivery);
		error = error < 0 ? error : MIN(r, 0);
	}
	return error;
}

/* Lets the stream begin with a segment; NULL: with the one that is being written. */
static int begin(struct delivery *delivery, const struct segment *segment)
{
	int fd;
	int r = spool_open_data(delivery->spool, segment, &fd);

	if (r >= 0)
		stream_begin(delivery->stream, fd);
	return r;
}

/* The current segment is sealed: all of its file is to go out. */
static int show_current(struct delivery *delivery)
{
	const struct segment *segment = delivery->current;
	int r = 0;

	if (delivery->showing)
		return 0;
	if (!delivery->following)
		r = begin(delivery, segment);
	if (r < 0)
		return r;
	delivery->showing = true;
	return stream_extend(delivery->stream, segment_data_size(segment));
}

/* Shows the stream as much as is captured of the segment that is being written. */
static int follow(struct delivery *delivery)
{
	struct spool_view view;
	int r = 0;

	if (spool_has_waiting(delivery->spool) || !spool_view_open(delivery->spool, &view) ||
	    view.data_size == 0)
		return 0;
	if (!delivery->following)
		r = begin(delivery, NULL);
	if (r < 0)
		return r;
	delivery->following = true;
	return stream_extend(delivery->stream, view.data_size);
}

/* The current segment could not even be shown to the stream: it stays, and so does what follows, or
 * there would be a hole in what was handed on. */
static int keep_unstreamed(struct delivery *delivery, int error)
{
	delivery->broken = true;
	keep(delivery, error);
	return error;
}

static int deliver_stream(struct delivery *delivery)
{
	int error = 0;

	for (;;) {
		int r = delivery->current ? 0 : take_next(delivery);

		error = error < 0 ? error : MIN(r, 0);
		if (r < 0)
			continue; /* it was kept: the next one */
		if (!delivery->current) {
			r = follow(delivery);
			return error < 0 ? error : r;
		}
		r = show_current(delivery);
		if (r < 0)
			return keep_unstreamed(delivery, r);
		if (!stream_is_done(delivery->stream))
			return error;
		delivery->following = delivery->showing = false;
		stream_end(delivery->stream);
		r = acknowledge(delivery);
		error = error < 0 ? error : MIN(r, 0);
	}
}

/* The stream is gone: what is sealed, and what will be, stays. */
static int keep_all(struct delivery *delivery)
{
	if (delivery->current)
		spool_keep(delivery->spool, TAKE_PTR(delivery->current));
	spool_keep_waiting(delivery->spool);
	return 0;
}

int delivery_kick(struct delivery *delivery)
{
	switch (delivery->options->to) {
	case WEIR_TO_SPOOL:
		return 0;
	case WEIR_TO_STREAM:
		return delivery->broken ? keep_all(delivery) : deliver_stream(delivery);
	default:
		return deliver_segments(delivery);
	}
}

static int on_stream_idle(void *data, int error)
{
	struct delivery *delivery = data;

	delivery->broken |= error < 0;
	return report(delivery, error, 0);
}

int delivery_new(struct loop *loop, struct spool *spool, const struct weir_capture_options *options,
		 delivery_progress *progress, void *data, struct delivery **ret_delivery)
{
	CLEANUP(delivery_free) struct delivery *delivery = calloc(1, sizeof(*delivery));
	int r = 0;

	if (!delivery)
		return -ENOMEM;
	*delivery = (struct delivery){
		.loop = loop,
		.spool = spool,
		.options = options,
		.progress = progress,
		.data = data,
	};
	if (options->to == WEIR_TO_STREAM)
		r = stream_new(loop, options->stream_fd, on_stream_idle, delivery,
			       &delivery->stream);
	if (r < 0)
		return r;
	*ret_delivery = TAKE_PTR(delivery);
	return 0;
}

void delivery_free(struct delivery *delivery)
{
	if (!delivery)
		return;
	command_free(delivery->command);
	stream_free(delivery->stream);
	segment_free(delivery->current);
	free(delivery);
}

bool delivery_is_idle(const struct delivery *delivery)
{
	if (delivery->current || spool_is_packing(delivery->spool))
		return false;
	return !delivery->stream || delivery->broken || stream_is_done(delivery->stream);
}

void delivery_abort(struct delivery *delivery)
{
	command_signal(delivery->command, SIGTERM);
}
