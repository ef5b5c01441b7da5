/*
 * The frame decoder stops where payload of a compressed message begins. What it holds is unpacked,
 * and the decoder goes on behind it; pieces of both come out in one batch, in their order.
 */
#include "websocket/inbox.h"

#include "base/macro.h"
#include "websocket/unpack.h"

#include <errno.h>

int inbox_init(struct inbox *inbox, const struct inbox_options *options)
{
	struct frame_options frames = {
		.packed = options->compression->deflate,
		.message_max = options->message_max,
		.fragments_max = options->fragments_max,
	};
	struct unpack_options unpack = {
		.no_context_takeover = options->compression->server_no_context_takeover,
		.message_max = options->message_max,
		.ratio_max = options->ratio_max,
	};

	*inbox = (struct inbox){0};
	frame_decoder_init(&inbox->decoder, &frames);
	return frames.packed ? unpacker_new(&unpack, &inbox->unpacker) : 0;
}

void inbox_done(struct inbox *inbox)
{
	unpacker_free(inbox->unpacker);
	*inbox = (struct inbox){0};
}

void inbox_refill(struct inbox *inbox, size_t budget)
{
	if (inbox->unpacker)
		unpack_reset(inbox->unpacker, budget);
}

void inbox_reset(struct inbox *inbox, uint8_t *free, size_t budget)
{
	frame_decoder_compact(&inbox->decoder, free);
	inbox_refill(inbox, budget);
}

void inbox_drop(struct inbox *inbox)
{
	inbox->dropping = true;
}

static enum frame_violation unpack_violation(int error)
{
	switch (error) {
	case -EBADMSG:
		return FRAME_NOT_DEFLATED;
	case -EILSEQ:
		return FRAME_NOT_UTF8;
	case -EFBIG:
		return FRAME_MESSAGE_TOO_LARGE;
	case -ERANGE:
		return FRAME_RATIO_TOO_LARGE;
	default:
		return 0;
	}
}

/* Unpacks what is there of the compressed message that the decoder stopped at. 1: go on. */
static int unpack(struct inbox *inbox, const uint8_t *data, size_t size,
		  struct message_batch *batch, struct inbox_result *result)
{
	struct frame_decoder *decoder = &inbox->decoder;
	size_t there = (size_t)MIN((uint64_t)size, decoder->left), used = 0;
	bool last = there == decoder->left && decoder->final;
	int r;

	if (!inbox->unpacking)
		unpack_begin(inbox->unpacker, (enum message_kind)decoder->kind);
	inbox->unpacking = true;
	r = unpack_run(inbox->unpacker, data, there, last, batch, &used);
	result->violation = unpack_violation(r);
	if (result->violation) {
		result->stop = INBOX_VIOLATION;
		return 0;
	}
	if (r < 0)
		return r;
	result->used += used;
	frame_take_packed(decoder, used);
	inbox->full = r == UNPACK_FULL;
	if (inbox->full) {
		result->stop = INBOX_MEMORY_FULL;
		return 0;
	}
	if (decoder->left == 0)
		inbox->unpacking = !frame_end_packed(decoder);
	return 1;
}

static void skip(struct inbox *inbox, size_t size, struct inbox_result *result)
{
	struct frame_decoder *decoder = &inbox->decoder;
	size_t there = (size_t)MIN((uint64_t)size, decoder->left);

	result->used += there;
	frame_take_packed(decoder, there);
	if (decoder->left == 0)
		frame_end_packed(decoder);
}

/* What the decoder says, where it is not that there is something to unpack. */
static void stop(const struct frame_result *frames, struct inbox_result *result)
{
	static const enum inbox_stop stops[] = {
		[FRAME_NEED_MORE] = INBOX_NEED_MORE,
		[FRAME_BATCH_FULL] = INBOX_BATCH_FULL,
		[FRAME_CONTROL] = INBOX_CONTROL,
		[FRAME_VIOLATION] = INBOX_VIOLATION,
	};

	result->stop = stops[frames->stop];
	result->control = frames->control;
	result->violation = frames->violation;
}

int inbox_decode(struct inbox *inbox, uint8_t *data, size_t size, struct message_batch *batch,
		 struct inbox_result *ret_result)
{
	struct inbox_result result = {0};
	struct frame_result frames;
	int more;

	do {
		frame_decode(&inbox->decoder, data + result.used, size - result.used, batch,
			     &frames);
		result.used += frames.used;
		if (frames.stop == FRAME_PACKED && inbox->dropping) {
			skip(inbox, size - result.used, &result);
			more = 1;
		} else if (frames.stop == FRAME_PACKED ||
			   (frames.stop == FRAME_NEED_MORE && inbox->full && !inbox->dropping)) {
			more = unpack(inbox, data + result.used, size - result.used, batch,
				      &result);
		} else {
			stop(&frames, &result);
			more = 0;
		}
	} while (more > 0);
	if (more < 0)
		return more;
	*ret_result = result;
	return 0;
}

bool inbox_in_message(const struct inbox *inbox)
{
	return inbox->decoder.kind != 0;
}

uint64_t inbox_message_size(const struct inbox *inbox)
{
	/* Of a compressed message whose payload is still to come, the decoder says 0. */
	return inbox->unpacking ? unpack_message_size(inbox->unpacker)
				: inbox->decoder.message_size;
}
