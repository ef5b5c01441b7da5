/*
 * ISA-L does the work: more than twice as fast as zlib where messages are of some kilobytes, and
 * slower where they are of less than some hundred bytes, since it makes larger tables for each
 * block.
 *
 * What a message is, see inflate_zlib.c. Here the state of ISA-L can be looked at: between blocks
 * it waits for a header, and holds no bit of one. It decodes ahead of the room that it is given,
 * into memory of its own, which is the window as well.
 */
#include "websocket/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <string.h>

struct inflater {
	bool no_context_takeover;
	bool full; /* the room was used up inside of a block: there may be more output */
	struct inflate_state state;
};

int inflater_new(bool no_context_takeover, struct inflater **ret_inflater)
{
	struct inflater *inflater = calloc(1, sizeof(*inflater));

	if (!inflater)
		return -ENOMEM;
	inflater->no_context_takeover = no_context_takeover;
	isal_inflate_init(&inflater->state);
	*ret_inflater = inflater;
	return 0;
}

void inflater_free(struct inflater *inflater)
{
	free(inflater);
}

void inflater_reset(struct inflater *inflater, bool no_context_takeover)
{
	isal_inflate_reset(&inflater->state);
	inflater->no_context_takeover = no_context_takeover;
	inflater->full = false;
}

static bool has_more(const struct inflate_state *state)
{
	return state->tmp_out_valid != state->tmp_out_processed;
}

static bool between_blocks(const struct inflate_state *state)
{
	return (state->block_state == ISAL_BLOCK_NEW_HDR || state->block_state == ISAL_BLOCK_HDR) &&
	       state->tmp_in_size == 0 && state->read_in_length == 0 && !has_more(state);
}

/* Behind a final block, whole bytes of what follows may have been read already. ISA-L keeps the
 * window in its own memory, but if it wrote past that. */
static int begin_anew(struct inflate_state *state, size_t made)
{
	int32_t rest = state->read_in_length % 8;

	state->read_in >>= rest;
	state->read_in_length -= rest;
	state->bfinal = 0;
	state->block_state = ISAL_BLOCK_NEW_HDR;
	if (made < ISAL_DEF_HIST_SIZE)
		return 0;
	return isal_inflate_set_dict(state, state->next_out - ISAL_DEF_HIST_SIZE,
				     ISAL_DEF_HIST_SIZE);
}

/* Runs ISA-L once, which stops behind a final block. */
static int step(struct inflater *inflater, struct inflater_span *span)
{
	struct inflate_state *state = &inflater->state;
	uint32_t size = (uint32_t)MIN(span->size, (size_t)INT32_MAX);
	uint32_t room = (uint32_t)MIN(span->room, (size_t)INT32_MAX);
	int r;

	memcpy(&state->next_in, &span->from, sizeof(span->from)); /* its type lacks a const */
	state->avail_in = size;
	state->next_out = span->to;
	state->avail_out = room;
	r = isal_inflate(state);
	if (r != ISAL_DECOMP_OK)
		return -EBADMSG; /* its counts are not reliable then */
	span->from += size - state->avail_in;
	span->size -= size - state->avail_in;
	span->to += room - state->avail_out;
	span->room -= room - state->avail_out;
	if (state->block_state == ISAL_BLOCK_FINISH)
		r = begin_anew(state, room - state->avail_out);
	return r == ISAL_DECOMP_OK ? 0 : -EBADMSG;
}

/* Whole bytes that were read ahead behind a final block are shown by the next step. */
static bool is_ahead(const struct inflater *inflater)
{
	return inflater->state.block_state == ISAL_BLOCK_NEW_HDR &&
	       inflater->state.read_in_length >= 8;
}

int inflater_run(struct inflater *inflater, struct inflater_span *span)
{
	int r = 0;

	while (r == 0 && span->room > 0 &&
	       (span->size > 0 || inflater->full || is_ahead(inflater))) {
		r = step(inflater, span);
		inflater->full = span->room == 0 && !between_blocks(&inflater->state);
	}
	return r;
}

static int put_back_the_tail(struct inflater *inflater, uint8_t *to)
{
	static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
	struct inflater_span span = {.from = tail, .size = sizeof(tail), .to = to};
	int r = step(inflater, &span);

	if (r < 0)
		return r;
	return span.size == 0 && between_blocks(&inflater->state) ? 0 : -EBADMSG;
}

int inflater_end(struct inflater *inflater, struct inflater_span *span)
{
	int r = inflater_run(inflater, span);

	if (r < 0)
		return r;
	if (span->size > 0 || inflater->full)
		return 0;
	if (!between_blocks(&inflater->state))
		r = put_back_the_tail(inflater, span->to);
	if (r < 0)
		return r;
	if (inflater->no_context_takeover)
		isal_inflate_reset(&inflater->state);
	return 1;
}
