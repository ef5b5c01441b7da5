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

#include "base/macro.h"
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
	bool packed;
	size_t size; /* of the header itself */
	uint64_t length;
};

void frame_decoder_init(struct frame_decoder *decoder, const struct frame_options *options)
{
	*decoder = (struct frame_decoder){.options = *options, .text = UTF8_WHOLE};
	if (decoder->options.message_max == 0)
		decoder->options.message_max = UINT64_MAX;
	if (decoder->options.fragments_max == 0)
		decoder->options.fragments_max = UINT64_MAX;
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

/* Whether a frame that begins so begins a compressed message, RFC 7692 section 6. */
static bool is_packed_start(const struct frame_decoder *decoder, uint8_t first)
{
	uint8_t opcode = first & BITS_OPCODE;

	return decoder->options.packed && (first & BITS_RESERVED) == FRAME_BIT_PACKED &&
	       (opcode == FRAME_TEXT || opcode == FRAME_BINARY);
}

/* What the first two bytes alone forbid. */
static enum frame_violation check_start(const struct frame_decoder *decoder, uint8_t first,
					uint8_t second)
{
	uint8_t opcode = first & BITS_OPCODE;

	if (first & BITS_RESERVED && !is_packed_start(decoder, first))
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
	header->packed = data[0] & FRAME_BIT_PACKED;
	header->length = data[1] & BITS_LENGTH;
	if (header->length >= LENGTH_IS_16_BITS)
		need = header->length == LENGTH_IS_16_BITS ? 4 : 10;
	if (size < need)
		return 0;
	header->size = need;
	return need > 2 ? parse_long_length(data, header) : 0;
}

/* What the limits of our own forbid. A packed message is measured while it is unpacked. */
static enum frame_violation check_limits(const struct frame_decoder *decoder)
{
	const struct frame_options *options = &decoder->options;

	if (decoder->fragments > options->fragments_max)
		return FRAME_TOO_MANY_FRAGMENTS;
	if (!decoder->packed && decoder->left > options->message_max - decoder->message_size)
		return FRAME_MESSAGE_TOO_LARGE;
	return 0;
}

static enum frame_violation begin_data_frame(struct frame_decoder *decoder,
					     const struct header *header)
{
	if (header->opcode != FRAME_CONTINUATION) {
		decoder->kind = header->opcode; /* FRAME_TEXT is MESSAGE_TEXT, and so on */
		decoder->packed = header->packed;
		decoder->begun = false;
		decoder->text = UTF8_WHOLE;
		decoder->crc = 0;
		decoder->message_size = 0;
		decoder->fragments = 0;
	}
	decoder->fragments++;
	decoder->final = header->final;
	decoder->left = header->length;
	decoder->in_frame = true;
	return check_limits(decoder);
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
static inline bool parse_whole_header(const uint8_t *data, size_t size, uint64_t message_max,
				      struct header *header)
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
	       header->size + header->length <= size && header->length <= message_max;
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
	       parse_whole_header(data + used, size - used, decoder->options.message_max,
				  &header)) {
		struct message_piece piece = {
			.data = data + used + header.size,
			.size = (size_t)header.length,
			.kind = header.opcode,
			.first = true,
			.last = true,
		};

		if (!read_payload(&piece, &free) && piece.kind == MESSAGE_TEXT &&
		    utf8_validate(UTF8_WHOLE, piece.data, piece.size) != UTF8_WHOLE) {
			header.packed = false;
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

/* Reads the header that stands at `data`, and takes a control frame. False: `result->stop` tells
 * why there is no data frame to go on with. */
static bool take_header(struct frame_decoder *decoder, const uint8_t *data, size_t size,
			struct frame_result *result)
{
	struct header header;

	result->violation = parse_header(decoder, data, size, &header);
	if (result->violation)
		return false;
	if (header.size == 0) {
		result->stop = FRAME_NEED_MORE;
		return false;
	}
	if (header.opcode & BIT_CONTROL) {
		take_control(&header, data, size, result);
		return false;
	}
	result->violation = begin_data_frame(decoder, &header);
	result->used += header.size;
	return !result->violation;
}

/* Takes one frame after the other as far as they are there. */
static void take_frames(struct frame_decoder *decoder, uint8_t *data, size_t size,
			struct message_batch *batch, struct frame_result *result)
{
	while (!result->violation && batch->count < MESSAGE_BATCH_MAX) {
		size_t there;

		if (!decoder->in_frame &&
		    !take_header(decoder, data + result->used, size - result->used, result))
			return;
		there = size - result->used;
		if (there == 0 && decoder->left > 0) {
			result->stop = FRAME_NEED_MORE;
			return;
		}
		if (decoder->packed) {
			result->stop = FRAME_PACKED;
			return;
		}
		there = (size_t)MIN((uint64_t)there, decoder->left);
		result->violation = take_data(decoder, data + result->used, there, batch);
		result->used += there;
	}
}

void frame_take_packed(struct frame_decoder *decoder, size_t size)
{
	decoder->left -= size;
}

bool frame_end_packed(struct frame_decoder *decoder)
{
	decoder->in_frame = false;
	if (!decoder->final)
		return false;
	decoder->kind = 0;
	decoder->packed = false;
	return true;
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
		take_frames(decoder, data, size, batch, result);
	if (result->violation)
		result->stop = FRAME_VIOLATION;
}
