/*
 * What a message holds is made in memory of our own, in which the messages of one flush stand one
 * behind the other with a spare byte between them, as the decoder leaves the uncompressed ones in
 * the receive buffer. A message of any size goes through it in pieces, so that a few bytes which
 * stand for gigabytes cost time and disk, both of which are limited, but no memory.
 */
#include "websocket/unpack.h"

#include "base/scan.h"
#include "base/utf8.h"
#include "websocket/inflate.h"

#include <errno.h>

#define MEMORY_SIZE KIB(256)	  /* stays in the processor's cache */
#define RATIO_FREE_BYTES KIB(256) /* a message of less than this may have any ratio */

struct unpacker {
	struct unpack_options options;
	struct inflater *inflater;
	enum message_kind kind;
	bool begun; /* a piece of the message was made */
	utf8_state text;
	uint32_t crc;
	uint64_t packed_size, size; /* of the message so far */
	size_t budget, fill;
	uint8_t memory[MEMORY_SIZE];
};

int unpacker_new(const struct unpack_options *options, struct unpacker **ret_unpacker)
{
	CLEANUP(unpacker_free) struct unpacker *unpacker = malloc(sizeof(*unpacker));
	int r;

	if (!unpacker)
		return -ENOMEM;
	unpacker->options = *options;
	unpacker->inflater = NULL;
	unpacker->budget = unpacker->fill = 0;
	if (options->message_max == 0)
		unpacker->options.message_max = UINT64_MAX;
	unpack_begin(unpacker, MESSAGE_BINARY);
	r = inflater_new(options->no_context_takeover, &unpacker->inflater);
	if (r < 0)
		return r;
	*ret_unpacker = TAKE_PTR(unpacker);
	return 0;
}

void unpacker_free(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	inflater_free(unpacker->inflater);
	free(unpacker);
}

void unpack_reset(struct unpacker *unpacker, size_t budget)
{
	unpacker->budget = MIN(budget, sizeof(unpacker->memory));
	unpacker->fill = 0;
}

void unpack_begin(struct unpacker *unpacker, enum message_kind kind)
{
	unpacker->kind = kind;
	unpacker->begun = false;
	unpacker->text = UTF8_WHOLE;
	unpacker->crc = 0;
	unpacker->packed_size = unpacker->size = 0;
}

uint64_t unpack_message_size(const struct unpacker *unpacker)
{
	return unpacker->size;
}

/* Whether there may be `made` more bytes. */
static int check_limits(const struct unpacker *unpacker, size_t made)
{
	uint64_t size = unpacker->size + made, ratio = unpacker->options.ratio_max;

	if (size > unpacker->options.message_max)
		return -EFBIG;
	if (ratio == 0 || size <= RATIO_FREE_BYTES)
		return 0;
	return size / ratio > unpacker->packed_size ? -ERANGE : 0;
}

/* Inflates as far as there is room. 1: and all that was given is out. */
static int inflate_some(struct unpacker *unpacker, const uint8_t *from, size_t size, bool last,
			size_t *ret_used, size_t *ret_made)
{
	struct inflater_span span = {
		.from = from,
		.size = size,
		.to = unpacker->memory + unpacker->fill,
		.room = unpacker->budget - unpacker->fill - 1, /* one is the spare byte */
	};
	size_t room = span.room;
	int r = last ? inflater_end(unpacker->inflater, &span)
		     : inflater_run(unpacker->inflater, &span);

	if (r < 0)
		return r;
	*ret_used = size - span.size;
	*ret_made = room - span.room;
	return last ? r : span.room > 0;
}

/* Makes a piece of what was just inflated. */
static int add_piece(struct unpacker *unpacker, size_t size, bool last, struct message_batch *batch)
{
	uint8_t *data = unpacker->memory + unpacker->fill;
	struct scan scan = scan_bytes(unpacker->crc, data, size);

	if (unpacker->kind == MESSAGE_TEXT) {
		if (!scan.ascii || unpacker->text != UTF8_WHOLE)
			unpacker->text = utf8_validate(unpacker->text, data, size);
		if (unpacker->text == UTF8_INVALID || (last && unpacker->text != UTF8_WHOLE))
			return -EILSEQ;
	}
	batch->pieces[batch->count++] = (struct message_piece){
		.data = data,
		.size = size,
		.crc = scan.crc,
		.kind = (uint8_t)unpacker->kind,
		.first = !unpacker->begun,
		.last = last,
		.spare = last,
	};
	unpacker->begun = true;
	unpacker->crc = scan.crc;
	unpacker->fill += size + last;
	unpacker->size += size;
	return 0;
}

int unpack_run(struct unpacker *unpacker, const uint8_t *from, size_t size, bool last,
	       struct message_batch *batch, size_t *ret_used)
{
	size_t made;
	int done, r;

	if (unpacker->budget - unpacker->fill < 2) {
		*ret_used = 0;
		return UNPACK_FULL;
	}
	done = inflate_some(unpacker, from, size, last, ret_used, &made);
	if (done < 0)
		return done;
	unpacker->packed_size += *ret_used;
	r = check_limits(unpacker, made);
	if (r >= 0 && (made > 0 || (done && last)))
		r = add_piece(unpacker, made, done && last, batch);
	if (r < 0)
		return r;
	return done ? 0 : UNPACK_FULL;
}
