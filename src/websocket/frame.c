/*
 * The decoder is a loop over frames. A data frame is handed out as far as it is there, as a piece
 * of its message: a whole small message is one piece, one larger than the buffer is many, and
 * nothing has to be kept. Only headers and control frames must be there as a whole before they
 * count, and those are small.
 *
 * A payload is read once. One pass checks whether it is ASCII, as nearly all text is, computes the
 * checksum that goes on record, and moves it down to the end of the payload before it, over the
 * frame headers: many small messages become one stretch of memory, ready to be written.
 *
 * All of what RFC 6455 forbids a server is decided here, before a byte of the offending frame is
 * handed out.
 */
#include "websocket/frame.h"

#include "base/scan.h"

#include <string.h>

#define BIT_FINAL 0x80
#define BITS_RESERVED 0x70
#define BITS_OPCODE 0x0f
#define BIT_CONTROL 0x08
#define BIT_MASKED 0x80
#define BITS_LENGTH 0x7f
#define LENGTH_IS_16_BITS 126
#define LENGTH_IS_64_BITS 127
#define WHOLE_HEADER_MAX 4	 /* of a frame of less than 64 KiB */
#define MOVED_MAX ((size_t)2048) /* larger payloads are written from where they are */

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

void frame_decoder_compact(struct frame_decoder *decoder, uint8_t *free)
{
	decoder->free = free;
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
		decoder->crc = 0;
		decoder->message_size = 0;
	}
	decoder->final = header->final;
	decoder->left = header->length;
	decoder->in_frame = true;
}

/* Moves a piece, whose place, size, and checksum up to here are set, to the free memory, and reads
 * it on the way. Returns whether it is ASCII. */
static inline bool read_payload(struct message_piece *piece, uint8_t **free)
{
	uint8_t *from = piece->data, *to = *free;
	size_t size = piece->size;
	struct scan scan;

	if (!to || size > MOVED_MAX) {
		scan = scan_bytes(piece->crc, from, size);
	} else if (to + size <= from) {
		scan = scan_copy(piece->crc, to, from, size);
		piece->data = to;
	} else { /* each header that is left out makes it less likely */
		scan = scan_bytes(piece->crc, from, size);
		piece->data = memmove(to, from, size);
	}
	piece->crc = scan.crc;
	piece->spare = piece->last && piece->data != from;
	if (to)
		*free = piece->data + size + piece->spare;
	return scan.ascii;
}

/* Validates what arrived of a text message. */
static bool text_is_valid(struct frame_decoder *decoder, const struct message_piece *piece,
			  bool ascii)
{
	if (!ascii || decoder->text != UTF8_WHOLE)
		decoder->text = utf8_validate(decoder->text, piece->data, piece->size);
	return piece->last ? decoder->text == UTF8_WHOLE : decoder->text != UTF8_INVALID;
}

/* Hands out what is there of the current frame. */
static inline enum frame_violation take_data(struct frame_decoder *decoder, uint8_t *data,
					     size_t size, struct message_batch *batch)
{
	bool frame_ends = size == decoder->left, ascii;
	struct message_piece piece = {
		.data = data,
		.size = size,
		.crc = decoder->crc,
		.kind = decoder->kind,
		.first = !decoder->begun,
		.last = frame_ends && decoder->final,
	};

	ascii = read_payload(&piece, &decoder->free);
	if (decoder->kind == MESSAGE_TEXT && !text_is_valid(decoder, &piece, ascii))
		return FRAME_NOT_UTF8;
	batch->pieces[batch->count++] = piece;
	decoder->begun = true;
	decoder->left -= size;
	decoder->crc = piece.crc;
	decoder->message_size += size;
	decoder->in_frame = !frame_ends;
	if (piece.last)
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

/* Reads the header of a whole message of less than 64 KiB that is there as a whole, which nearly
 * every frame is. False: it is anything else, or breaks a rule. */
static inline bool parse_whole_header(const uint8_t *data, size_t size, struct header *header)
{
	header->opcode = data[0] & BITS_OPCODE;
	header->final = true;
	header->size = 2;
	header->length = data[1];
	if (header->length == LENGTH_IS_16_BITS) {
		header->size = 4;
		header->length = (uint64_t)data[2] << 8 | data[3];
		if (header->length < LENGTH_IS_16_BITS)
			return false;
	} else if (header->length > LENGTH_IS_16_BITS) {
		return false;
	}
	return data[0] == (BIT_FINAL | header->opcode) && header->opcode - 1u <= 1 &&
	       header->size + header->length <= size;
}

/* Takes as many whole messages as stand here in a row, with nothing to remember from one to the
 * next. Returns their size on the wire. One that is not valid is left open. */
static size_t take_whole_messages(struct frame_decoder *decoder, uint8_t *data, size_t size,
				  struct message_batch *batch)
{
	uint8_t *free = decoder->free;
	struct header header;
	size_t used = 0, count = batch->count;

	while (count < MESSAGE_BATCH_MAX && size - used >= WHOLE_HEADER_MAX &&
	       parse_whole_header(data + used, size - used, &header)) {
		struct message_piece piece = {
			.data = data + used + header.size,
			.size = (size_t)header.length,
			.kind = header.opcode,
			.first = true,
			.last = true,
		};

		if (!read_payload(&piece, &free) && piece.kind == MESSAGE_TEXT &&
		    utf8_validate(UTF8_WHOLE, piece.data, piece.size) != UTF8_WHOLE) {
			begin_data_frame(decoder, &header);
			decoder->text = UTF8_INVALID;
			break;
		}
		batch->pieces[count++] = piece;
		used += header.size + piece.size;
	}
	batch->count = count;
	decoder->free = free;
	return used;
}

/* Takes one frame after the other as far as they are there. 0, or what breaks a rule. */
static enum frame_violation take_frames(struct frame_decoder *decoder, uint8_t *data, size_t size,
					struct message_batch *batch, struct frame_result *result)
{
	enum frame_violation violation = 0;

	while (!violation && batch->count < MESSAGE_BATCH_MAX) {
		struct header header = {0};
		size_t there;

		if (!decoder->in_frame) {
			violation = parse_header(decoder, data + result->used, size - result->used,
						 &header);
			if (violation)
				break;
			if (header.size > 0 && header.opcode & BIT_CONTROL) {
				take_control(&header, data + result->used, size - result->used,
					     result);
				break;
			}
			if (header.size > 0)
				begin_data_frame(decoder, &header);
			result->used += header.size;
		}
		there = size - result->used;
		if (!decoder->in_frame || (there == 0 && decoder->left > 0)) {
			result->stop = FRAME_NEED_MORE;
			break;
		}
		if (there > decoder->left)
			there = (size_t)decoder->left;
		violation = take_data(decoder, data + result->used, there, batch);
		result->used += there;
	}
	return violation;
}

void frame_decode(struct frame_decoder *decoder, uint8_t *data, size_t size,
		  struct message_batch *batch, struct frame_result *result)
{
	*result = (struct frame_result){.stop = FRAME_BATCH_FULL};
	if (!decoder->kind)
		result->used = take_whole_messages(decoder, data, size, batch);
	if (decoder->text == UTF8_INVALID)
		result->violation = FRAME_NOT_UTF8;
	else
		result->violation = take_frames(decoder, data, size, batch, result);
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
