/* RFC 6455 section 5, without any I/O: bytes in, pieces of messages and control frames out. */
#ifndef WEIR_WEBSOCKET_FRAME_H
#define WEIR_WEBSOCKET_FRAME_H

#include "base/message.h"
#include "base/utf8.h"

#define FRAME_CONTROL_MAX 125 /* payload of a control frame, section 5.5 */
#define FRAME_HEADER_MAX 14   /* with a 64-bit length and a mask */

enum frame_opcode {
	FRAME_CONTINUATION = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

/* What a server may not send. 0 is none of them. */
enum frame_violation {
	FRAME_RESERVED_BITS = 1,
	FRAME_RESERVED_OPCODE,
	FRAME_MASKED,
	FRAME_LENGTH_NOT_MINIMAL,
	FRAME_LENGTH_TOP_BIT,
	FRAME_CONTROL_TOO_LONG,
	FRAME_CONTROL_FRAGMENTED,
	FRAME_CONTINUES_NOTHING,
	FRAME_INSIDE_MESSAGE,
	FRAME_NOT_UTF8,
	FRAME_CLOSE_ONE_BYTE,
	FRAME_CLOSE_CODE,
	FRAME_CLOSE_NOT_UTF8,
};

/* In plain English, for a message that begins with "the server sent …". */
const char *frame_violation_text(enum frame_violation violation);

/* The close code (section 7.4.1) by which a violation is answered: 1002 or 1007. */
uint16_t frame_violation_code(enum frame_violation violation);

struct frame_decoder {
	uint8_t *free;	       /* where the memory begins that payloads may be moved to, or NULL */
	uint64_t left;	       /* payload of the current data frame still to come */
	uint8_t kind;	       /* enum message_kind of the message that is open, 0 if none */
	bool in_frame;	       /* its header was read, its payload not all */
	bool final;	       /* the current frame is the last of its message */
	bool begun;	       /* a piece of the message was handed out */
	utf8_state text;       /* of the message, if it is text */
	uint32_t crc;	       /* of its payload so far */
	uint64_t message_size; /* payload of the open message so far */
};

struct frame_control {
	enum frame_opcode opcode;
	const uint8_t *data;
	size_t size;
};

enum frame_stop {
	FRAME_NEED_MORE, /* what is left is the beginning of a header or a control frame */
	FRAME_BATCH_FULL,
	FRAME_CONTROL,	 /* ret_control was set; call again for what follows it */
	FRAME_VIOLATION, /* the stream ends here; the batch holds what came before */
};

struct frame_result {
	enum frame_stop stop;
	size_t used; /* bytes that need not be shown again */
	struct frame_control control;
	enum frame_violation violation;
};

void frame_decoder_init(struct frame_decoder *decoder);

/* Says that the memory from `free` up to the data that is decoded next is free, which holds until
 * the next call of this. Payloads are then moved together there, with one spare byte behind each
 * message: all small ones, and of the large ones none, since to write two stretches of memory costs
 * less than to make them one. Without it, payloads stay where they are. */
void frame_decoder_compact(struct frame_decoder *decoder, uint8_t *free);

/* Decodes from `data`, and adds the pieces found to `batch`. They point into `data`, or to the free
 * memory in front of it. A data frame need not be there as a whole, so that at most
 * FRAME_HEADER_MAX + FRAME_CONTROL_MAX bytes are ever left over. Text is validated up to the last
 * byte shown. */
void frame_decode(struct frame_decoder *decoder, uint8_t *data, size_t size,
		  struct message_batch *batch, struct frame_result *ret_result);

/* What a Close frame says: code 1005 and no reason when it is empty (section 7.1.5). */
struct frame_close {
	uint16_t code;
	const uint8_t *reason;
	size_t reason_size;
};

enum frame_violation frame_parse_close(const struct frame_control *control,
				       struct frame_close *ret_close);

/* Writes a frame header (final, unmasked when `mask` is NULL) and returns its size. */
size_t frame_write_header(uint8_t to[FRAME_HEADER_MAX], enum frame_opcode opcode, uint64_t size,
			  const uint8_t mask[4]);

/* Applies the mask in place, section 5.3. */
void frame_mask(uint8_t *data, size_t size, const uint8_t mask[4]);

#endif
