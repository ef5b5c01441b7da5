/*
 * Any stream of frames, cut anywhere. What is decoded must be what a second decoder makes of it,
 * one so simple that it can be checked by reading: it has the whole stream at once, takes one frame
 * after the other, and looks up the rules of RFC 6455 section 5 in the order of the text.
 *
 * The first byte of the input says how small the pieces are in which the stream is shown.
 */
#include "base/crc32c.h"
#include "base/macro.h"
#include "websocket/close.h"

#include <stdbool.h>
#include <string.h>

#define INPUT_MAX KIB(64)
#define EVENTS_MAX (2 * INPUT_MAX)

/* What was found: payload bytes, ends of messages, and control frames, in order. */
struct found {
	uint16_t events[EVENTS_MAX];
	size_t count;
	size_t whole; /* events up to the end of the last whole message or control frame */
	enum frame_violation violation;
};

enum {
	BEGIN = 0x100, /* and the kind */
	END = 0x200,
	CONTROL = 0x300, /* and the opcode */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct found *found, unsigned event)
{
	if (found->count == EVENTS_MAX)
		abort();
	found->events[found->count++] = (uint16_t)event;
}

static void add_bytes(struct found *found, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		add(found, data[i]);
}

/* The second decoder. */
struct plain {
	const uint8_t *at, *end;
	uint8_t kind; /* of the open message */
	utf8_state text;
	bool control, final;
	uint8_t opcode;
	uint64_t length;
};

static uint64_t big_endian(const uint8_t *from, size_t size)
{
	uint64_t value = 0;

	while (size-- > 0)
		value = value * 256 + *from++;
	return value;
}

static enum frame_violation plain_rules(const struct plain *plain, uint8_t first, uint8_t second)
{
	if (first & 0x70)
		return FRAME_RESERVED_BITS;
	if (second & 0x80)
		return FRAME_MASKED;
	if ((plain->opcode > 2 && plain->opcode < 8) || plain->opcode > 10)
		return FRAME_RESERVED_OPCODE;
	if (plain->control && !plain->final)
		return FRAME_CONTROL_FRAGMENTED;
	if (plain->control && second > 125)
		return FRAME_CONTROL_TOO_LONG;
	if (plain->opcode == 0 && !plain->kind)
		return FRAME_CONTINUES_NOTHING;
	return plain->opcode > 0 && !plain->control && plain->kind ? FRAME_INSIDE_MESSAGE : 0;
}

/* Reads a header. False: it is not there as a whole. */
static bool plain_header(struct plain *plain, enum frame_violation *violation)
{
	size_t there = (size_t)(plain->end - plain->at), more;

	if (there < 2)
		return false;
	plain->opcode = plain->at[0] & 15;
	plain->final = plain->at[0] >> 7;
	plain->control = plain->opcode >= 8;
	plain->length = plain->at[1] & 127;
	*violation = plain_rules(plain, plain->at[0], plain->at[1]);
	more = plain->length == 126 ? 2 : plain->length == 127 ? 8 : 0;
	if (*violation || there < 2 + more)
		return *violation != 0;
	if (more > 0)
		plain->length = big_endian(plain->at + 2, more);
	if (plain->length > INT64_MAX)
		*violation = FRAME_LENGTH_TOP_BIT;
	else if ((more == 2 && plain->length < 126) || (more == 8 && plain->length < 65536))
		*violation = FRAME_LENGTH_NOT_MINIMAL;
	plain->at += 2 + more;
	return true;
}

static void plain_control(struct plain *plain, struct found *found)
{
	struct frame_control control = {
		.opcode = plain->opcode, .data = plain->at, .size = (size_t)plain->length};
	struct frame_close close;

	add(found, CONTROL | plain->opcode);
	add_bytes(found, plain->at, (size_t)plain->length);
	plain->at += plain->length;
	found->whole = found->count;
	if (plain->opcode == FRAME_CLOSE)
		found->violation = frame_parse_close(&control, &close);
}

static void plain_data(struct plain *plain, struct found *found, size_t there)
{
	bool last = plain->final && there == plain->length;

	if (there == 0 && plain->length > 0)
		return; /* the stream ends behind the header */
	if (plain->opcode > 0) {
		plain->kind = plain->opcode;
		plain->text = UTF8_WHOLE;
		add(found, BEGIN | plain->kind);
	}
	if (plain->kind == MESSAGE_TEXT)
		plain->text = utf8_validate(plain->text, plain->at, there);
	if (plain->kind == MESSAGE_TEXT &&
	    (plain->text == UTF8_INVALID || (last && plain->text != UTF8_WHOLE))) {
		found->violation = FRAME_NOT_UTF8;
		return;
	}
	add_bytes(found, plain->at, there);
	plain->at += there;
	if (last) {
		plain->kind = 0;
		add(found, END);
		found->whole = found->count;
	}
}

static void decode_plainly(struct found *found, const uint8_t *data, size_t size)
{
	struct plain plain = {.at = data, .end = data + size};

	while (!found->violation && plain_header(&plain, &found->violation)) {
		size_t there = (size_t)(plain.end - plain.at);

		if (found->violation)
			return;
		if (plain.control && there < plain.length)
			return;
		if (plain.control)
			plain_control(&plain, found);
		else
			plain_data(&plain, found, (size_t)MIN((uint64_t)there, plain.length));
	}
}

/* The decoder that is tested, as a client uses it. */
struct shown {
	struct frame_decoder decoder;
	uint8_t *start; /* of the memory */
	uint8_t *data;	/* from here on, nothing was used yet, */
	uint8_t *end;	/* and up to here it is shown */
	uint32_t crc;	/* of the open message */
};

static void take_batch(struct found *found, struct shown *shown, const struct message_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct message_piece *piece = &batch->pieces[i];

		if (piece->data < shown->start || piece->data + piece->size > shown->end)
			abort();
		if (piece->spare)
			piece->data[piece->size] = '!'; /* as who gets it may */
		shown->crc = crc32c(piece->first ? 0 : shown->crc, piece->data, piece->size);
		if (piece->crc != shown->crc)
			abort();
		if (piece->first)
			add(found, BEGIN | piece->kind);
		add_bytes(found, piece->data, piece->size);
		if (piece->last) {
			add(found, END);
			found->whole = found->count;
		}
	}
}

static void take_control(struct found *found, const struct frame_control *control)
{
	struct frame_close close;

	add(found, CONTROL | (unsigned)control->opcode);
	add_bytes(found, control->data, control->size);
	found->whole = found->count;
	if (control->opcode == FRAME_CLOSE)
		found->violation = frame_parse_close(control, &close);
}

static void decode(struct shown *shown, struct found *found)
{
	struct frame_result result;

	do {
		struct message_batch batch = {0};
		size_t size = (size_t)(shown->end - shown->data);

		frame_decode(&shown->decoder, shown->data, size, &batch, &result);
		if (result.used > size)
			abort();
		take_batch(found, shown, &batch);
		if (result.stop == FRAME_CONTROL)
			take_control(found, &result.control);
		if (result.stop == FRAME_VIOLATION)
			found->violation = result.violation;
		shown->data += result.used;
	} while (result.stop != FRAME_NEED_MORE && !found->violation);
	if (!found->violation && shown->end - shown->data > FRAME_HEADER_MAX + FRAME_CONTROL_MAX)
		abort();
}

/* What is shown is copied to memory of its own, so that nothing can be read beyond it unseen. With
 * `before` bytes in front of it, payloads are moved together there. */
static void decode_in_steps(struct found *found, const uint8_t *data, size_t size, size_t step,
			    size_t before)
{
	struct shown shown;
	size_t used = 0;

	frame_decoder_init(&shown.decoder, &(struct frame_options){0});
	for (size_t seen = 0; seen < size && !found->violation;) {
		CLEANUP_FREE uint8_t *copy = NULL;

		seen = MIN(seen + step, size);
		copy = malloc(before + seen - used + 1);
		if (!copy)
			abort();
		memcpy(copy + before, data + used, seen - used);
		shown.start = copy;
		shown.data = copy + before;
		shown.end = shown.data + (seen - used);
		frame_decoder_compact(&shown.decoder, before > 0 ? copy : NULL);
		decode(&shown, found);
		used += (size_t)(shown.data - copy) - before;
	}
}

static void forget(struct found *found)
{
	found->count = found->whole = 0;
	found->violation = 0;
}

/* A violation may be found before or behind the first bytes of its message: what counts is whole.
 */
static void compare(const struct found *a, const struct found *b)
{
	size_t count = a->violation ? a->whole : a->count;

	if (a->violation != b->violation || a->whole != b->whole)
		abort();
	if (!a->violation && a->count != b->count)
		abort();
	if (memcmp(a->events, b->events, count * sizeof(a->events[0])) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found plain, whole, cut, moved;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	forget(&plain);
	forget(&whole);
	forget(&cut);
	forget(&moved);
	decode_plainly(&plain, data + 1, size - 1);
	decode_in_steps(&whole, data + 1, size - 1, size, 0);
	decode_in_steps(&cut, data + 1, size - 1, (size_t)data[0] % 32 + 1, 0);
	decode_in_steps(&moved, data + 1, size - 1, data[0] < 128 ? size : data[0],
			(size_t)data[0] % 16 + 1);
	compare(&plain, &whole);
	compare(&plain, &cut);
	compare(&plain, &moved);
	return 0;
}
