/*
 * The decoder is a loop over frames. A data frame is handed out as far as it is there, as a piece
 * of its message: a whole small message is one piece, one larger than the buffer is many, and
 * nothing has to be kept. Only headers and control frames must be there as a whole before they
 * count, and those are small.
 *
 * All of what RFC 6455 forbids a server is decided here, before a byte of the offending frame is
 * handed out.
 */
#include "websocket/frame.h"

#include <string.h>

#define BIT_FINAL 0x80
#define BITS_RESERVED 0x70
#define BITS_OPCODE 0x0f
#define BIT_CONTROL 0x08
#define BIT_MASKED 0x80
#define BITS_LENGTH 0x7f
#define LENGTH_IS_16_BITS 126
#define LENGTH_IS_64_BITS 127
#define WHOLE_HEADER_MAX 4 /* of a frame of less than 64 KiB */

struct header {
	uint8_t opcode;
	bool final;
	size_t size; /* of the header itself */
	uint64_t length;
};

static const struct {
	const char *text;
	uint16_t code;
} violations[] = {
	[0] = {"nothing wrong", 1000},
	[FRAME_RESERVED_BITS] = {"a frame with reserved bits set", 1002},
	[FRAME_RESERVED_OPCODE] = {"a frame with a reserved opcode", 1002},
	[FRAME_MASKED] = {"a masked frame, which only clients may do", 1002},
	[FRAME_LENGTH_NOT_MINIMAL] = {"a frame whose length is not in its shortest form", 1002},
	[FRAME_LENGTH_TOP_BIT] = {"a frame with an impossible length", 1002},
	[FRAME_CONTROL_TOO_LONG] = {"a control frame of more than 125 bytes", 1002},
	[FRAME_CONTROL_FRAGMENTED] = {"a fragmented control frame", 1002},
	[FRAME_CONTINUES_NOTHING] = {"a continuation of no message", 1002},
	[FRAME_INSIDE_MESSAGE] = {"a new message inside an unfinished one", 1002},
	[FRAME_NOT_UTF8] = {"text that is not valid UTF-8", 1007},
	[FRAME_CLOSE_ONE_BYTE] = {"a Close frame with half a code", 1002},
	[FRAME_CLOSE_CODE] = {"a Close frame with a code that may not be sent", 1002},
	[FRAME_CLOSE_NOT_UTF8] = {"a Close frame whose reason is not valid UTF-8", 1007},
};

const char *frame_violation_text(enum frame_violation violation)
{
	return violations[violation].text;
}

uint16_t frame_violation_code(enum frame_violation violation)
{
	return violations[violation].code;
}

void frame_decoder_init(struct frame_decoder *decoder)
{
	*decoder = (struct frame_decoder){.text = UTF8_WHOLE};
}

static uint64_t load_be(const uint8_t *from, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | from[i];
	return value;
}

/* Reads a length that does not fit into the second byte. 0, or a violation. */
static enum frame_violation parse_long_length(const uint8_t *data, struct header *header)
{
	if (header->size == 4) {
		header->length = load_be(data + 2, 2);
		return header->length < LENGTH_IS_16_BITS ? FRAME_LENGTH_NOT_MINIMAL : 0;
	}
	header->length = load_be(data + 2, 8);
	if (header->length >> 63)
		return FRAME_LENGTH_TOP_BIT;
	return header->length <= UINT16_MAX ? FRAME_LENGTH_NOT_MINIMAL : 0;
}

/* What the first two bytes alone forbid. */
static enum frame_violation check_start(const struct frame_decoder *decoder, uint8_t first,
					uint8_t second)
{
	uint8_t opcode = first & BITS_OPCODE;

	if (first & BITS_RESERVED)
		return FRAME_RESERVED_BITS;
	if (second & BIT_MASKED)
		return FRAME_MASKED;
	if (opcode & BIT_CONTROL) {
		if (opcode > FRAME_PONG)
			return FRAME_RESERVED_OPCODE;
		if (!(first & BIT_FINAL))
			return FRAME_CONTROL_FRAGMENTED;
		return (second & BITS_LENGTH) > FRAME_CONTROL_MAX ? FRAME_CONTROL_TOO_LONG : 0;
	}
	if (opcode > FRAME_BINARY)
		return FRAME_RESERVED_OPCODE;
	if (opcode == FRAME_CONTINUATION)
		return decoder->kind ? 0 : FRAME_CONTINUES_NOTHING;
	return decoder->kind ? FRAME_INSIDE_MESSAGE : 0;
}

/* Reads one header. A size of 0 in it means that more bytes are needed. */
static inline enum frame_violation parse_header(const struct frame_decoder *decoder,
						const uint8_t *data, size_t size,
						struct header *header)
{
	enum frame_violation violation;
	size_t need = 2;

	header->size = 0;
	if (size < 2)
		return 0;
	violation = check_start(decoder, data[0], data[1]);
	if (violation)
		return violation;
	header->opcode = data[0] & BITS_OPCODE;
	header->final = data[0] & BIT_FINAL;
	header->length = data[1] & BITS_LENGTH;
	if (header->length >= LENGTH_IS_16_BITS)
		need = header->length == LENGTH_IS_16_BITS ? 4 : 10;
	if (size < need)
		return 0;
	header->size = need;
	return need > 2 ? parse_long_length(data, header) : 0;
}

static void begin_data_frame(struct frame_decoder *decoder, const struct header *header)
{
	if (header->opcode != FRAME_CONTINUATION) {
		decoder->kind = header->opcode; /* FRAME_TEXT is MESSAGE_TEXT, and so on */
		decoder->begun = false;
		decoder->text = UTF8_WHOLE;
		decoder->message_size = 0;
	}
	decoder->final = header->final;
	decoder->left = header->length;
	decoder->in_frame = true;
}

/* Validates what arrived of a text message. */
static bool text_is_valid(struct frame_decoder *decoder, const uint8_t *data, size_t size,
			  bool last)
{
	decoder->text = utf8_validate(decoder->text, data, size);
	return last ? decoder->text == UTF8_WHOLE : decoder->text != UTF8_INVALID;
}

/* Hands out what is there of the current frame. */
static inline enum frame_violation take_data(struct frame_decoder *decoder, uint8_t *data,
					     size_t size, struct message_batch *batch)
{
	bool frame_ends = size == decoder->left;
	bool last = frame_ends && decoder->final;

	if (decoder->kind == MESSAGE_TEXT && !text_is_valid(decoder, data, size, last))
		return FRAME_NOT_UTF8;
	batch->pieces[batch->count++] = (struct message_piece){
		.data = data,
		.size = size,
		.kind = decoder->kind,
		.first = !decoder->begun,
		.last = last,
	};
	decoder->begun = true;
	decoder->left -= size;
	decoder->message_size += size;
	decoder->in_frame = !frame_ends;
	if (last)
		decoder->kind = 0;
	return 0;
}

/* Takes the control frame whose header was just read, if it is there as a whole. */
static void take_control(const struct header *header, const uint8_t *data, size_t size,
			 struct frame_result *result)
{
	if (size - header->size < header->length) {
		result->stop = FRAME_NEED_MORE;
		return;
	}
	result->stop = FRAME_CONTROL;
	result->control = (struct frame_control){
		.opcode = header->opcode,
		.data = data + header->size,
		.size = (size_t)header->length,
	};
	result->used += header->size + (size_t)header->length;
}

/* Nearly every frame is a whole message of less than 64 KiB that is there as a whole. It is taken
 * here, with nothing to remember. Returns its size on the wire; 0 if it is not of that kind, or not
 * valid, which the longer way finds out again. */
static inline size_t take_whole_message(uint8_t *data, size_t size, struct message_batch *batch)
{
	uint8_t opcode = data[0] & BITS_OPCODE;
	size_t header = 2, length = data[1];

	if (length == LENGTH_IS_16_BITS) {
		header = 4;
		length = (size_t)data[2] << 8 | data[3];
		if (length < LENGTH_IS_16_BITS)
			return 0;
	} else if (length > LENGTH_IS_16_BITS) {
		return 0;
	}
	if (data[0] != (BIT_FINAL | opcode) || opcode - 1u > 1 || header + length > size)
		return 0;
	if (opcode == FRAME_TEXT && utf8_validate(UTF8_WHOLE, data + header, length) != UTF8_WHOLE)
		return 0;
	batch->pieces[batch->count++] = (struct message_piece){
		.data = data + header,
		.size = length,
		.kind = opcode,
		.first = true,
		.last = true,
	};
	return header + length;
}

/* As many of them as stand here in a row. Returns their size on the wire. */
static size_t take_whole_messages(uint8_t *data, size_t size, struct message_batch *batch)
{
	size_t used = 0, taken = 1;

	while (taken > 0 && size - used >= WHOLE_HEADER_MAX && batch->count < MESSAGE_BATCH_MAX) {
		taken = take_whole_message(data + used, size - used, batch);
		used += taken;
	}
	return used;
}

void frame_decode(struct frame_decoder *decoder, uint8_t *data, size_t size,
		  struct message_batch *batch, struct frame_result *result)
{
	struct header header;
	size_t there;

	*result = (struct frame_result){.stop = FRAME_BATCH_FULL};
	if (!decoder->kind)
		result->used = take_whole_messages(data, size, batch);
	while (batch->count < MESSAGE_BATCH_MAX) {
		if (!decoder->in_frame) {
			result->violation = parse_header(decoder, data + result->used,
							 size - result->used, &header);
			if (result->violation)
				break;
			if (header.size > 0 && header.opcode & BIT_CONTROL)
				return take_control(&header, data + result->used,
						    size - result->used, result);
			if (header.size > 0)
				begin_data_frame(decoder, &header);
			result->used += header.size;
		}
		there = size - result->used;
		if (!decoder->in_frame || (there == 0 && decoder->left > 0)) {
			result->stop = FRAME_NEED_MORE;
			return;
		}
		if (there > decoder->left)
			there = (size_t)decoder->left;
		result->violation = take_data(decoder, data + result->used, there, batch);
		if (result->violation)
			break;
		result->used += there;
	}
	if (result->violation)
		result->stop = FRAME_VIOLATION;
}

static bool close_code_may_be_sent(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

enum frame_violation frame_parse_close(const struct frame_control *control,
				       struct frame_close *ret_close)
{
	uint16_t code;

	if (control->size == 0) {
		*ret_close = (struct frame_close){.code = 1005};
		return 0;
	}
	if (control->size == 1)
		return FRAME_CLOSE_ONE_BYTE;
	code = (uint16_t)load_be(control->data, 2);
	if (!close_code_may_be_sent(code))
		return FRAME_CLOSE_CODE;
	if (utf8_validate(UTF8_WHOLE, control->data + 2, control->size - 2) != UTF8_WHOLE)
		return FRAME_CLOSE_NOT_UTF8;
	*ret_close = (struct frame_close){
		.code = code,
		.reason = control->data + 2,
		.reason_size = control->size - 2,
	};
	return 0;
}

static size_t write_length(uint8_t *to, uint64_t size)
{
	size_t bytes = size < LENGTH_IS_16_BITS ? 0 : size <= UINT16_MAX ? 2 : 8;

	to[0] = bytes == 0 ? (uint8_t)size : bytes == 2 ? LENGTH_IS_16_BITS : LENGTH_IS_64_BITS;
	for (size_t i = 0; i < bytes; i++)
		to[1 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
	return 1 + bytes;
}

size_t frame_write_header(uint8_t to[FRAME_HEADER_MAX], enum frame_opcode opcode, uint64_t size,
			  const uint8_t mask[4])
{
	size_t used = 1 + write_length(to + 1, size);

	to[0] = (uint8_t)(BIT_FINAL | opcode);
	if (!mask)
		return used;
	to[1] |= BIT_MASKED;
	memcpy(to + used, mask, 4);
	return used + 4;
}

void frame_mask(uint8_t *data, size_t size, const uint8_t mask[4])
{
	for (size_t i = 0; i < size; i++)
		data[i] ^= mask[i & 3];
}
