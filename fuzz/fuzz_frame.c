/*
 * Any stream of frames, cut anywhere. What is decoded must be what a second decoder makes of it,
 * one so simple that it can be checked by reading: it has the whole stream at once, takes one frame
 * after the other, and looks up the rules of RFC 6455 section 5 in the order of the text.
 *
 * The first byte of the input says how small the pieces are in which the stream is shown.
 */
#include "decode.h"
#include "websocket/close.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

	plain->at += plain->length;
	if (plain->opcode == FRAME_CLOSE) {
		found->violation = frame_parse_close(&control, &close);
		if (!found->violation)
			found_close(found, close.code, close.reason, close.reason_size);
		return;
	}
	found_mark(found, FOUND_CONTROL | plain->opcode);
	found_bytes(found, control.data, control.size);
	found_whole(found);
}

static void plain_data(struct plain *plain, struct found *found, size_t there)
{
	bool last = plain->final && there == plain->length;

	if (there == 0 && plain->length > 0)
		return; /* the stream ends behind the header */
	if (plain->opcode > 0) {
		plain->kind = plain->opcode;
		plain->text = UTF8_WHOLE;
		found_mark(found, FOUND_BEGIN | plain->kind);
	}
	if (plain->kind == MESSAGE_TEXT)
		plain->text = utf8_validate(plain->text, plain->at, there);
	if (plain->kind == MESSAGE_TEXT &&
	    (plain->text == UTF8_INVALID || (last && plain->text != UTF8_WHOLE))) {
		found->violation = FRAME_NOT_UTF8;
		return;
	}
	found_bytes(found, plain->at, there);
	plain->at += there;
	if (last) {
		plain->kind = 0;
		found_mark(found, FOUND_END);
		found_whole(found);
	}
}

static void decode_plainly(struct found *found, const uint8_t *data, size_t size)
{
	struct plain plain = {.at = data, .end = data + size};

	while (!found->violation && !found->closed && plain_header(&plain, &found->violation)) {
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

static void compare(const struct found *a, const struct found *b)
{
	if (a->violation != b->violation || !found_same_close(a, b) || !found_same_content(a, b))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found plain, whole, cut, moved;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	found_reset(&plain);
	found_reset(&whole);
	found_reset(&cut);
	found_reset(&moved);
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
