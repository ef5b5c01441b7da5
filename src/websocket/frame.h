/* RFC 6455 section 5, without any I/O: bytes in, pieces of messages and control frames out. */
#ifndef WEIR_WEBSOCKET_FRAME_H
#define WEIR_WEBSOCKET_FRAME_H

#include "base/message.h"
#include "base/utf8.h"
#include "websocket/violation.h"

#define FRAME_CONTROL_MAX 125 /* payload of a control frame, section 5.5 */
#define FRAME_HEADER_MAX 14   /* with a 64-bit length and a mask */
#define FRAME_BIT_PACKED 0x40 /* in the first byte: a compressed message begins, RFC 7692 */

enum frame_opcode {
	FRAME_CONTINUATION = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

struct frame_options {
	bool packed;		/* compressed messages may come: RFC 7692 was agreed on */
	uint64_t message_max;	/* bytes of payload; 0: no limit */
	uint64_t fragments_max; /* of one message; 0: no limit */
};

struct frame_decoder {
	struct frame_options options;
	uint8_t *free;	       /* where the memory begins that payloads may be moved to, or NULL */
	uint64_t left;	       /* payload of the current data frame still to come */
	uint8_t kind;	       /* enum message_kind of the message that is open, 0 if none */
	bool in_frame;	       /* its header was read, its payload not all */
	bool final;	       /* the current frame is the last of its message */
	bool packed;	       /* the open message is compressed */
	bool begun;	       /* a piece of the message was handed out */
	utf8_state text;       /* of the message, if it is text */
	uint32_t crc;	       /* of its payload so far */
	uint64_t message_size; /* payload of the open message so far */
	uint64_t fragments;    /* of the open message so far */
};

struct frame_control {
	enum frame_opcode opcode;
	const uint8_t *data;
	size_t size;
};

enum frame_stop {
	FRAME_NEED_MORE, /* what is left is the beginning of a header or a control frame */
	FRAME_BATCH_FULL,
	FRAME_CONTROL,	 /* control was set; call again for what follows it */
	FRAME_PACKED,	 /* here is payload of a compressed message, up to decoder.left bytes: see
			    frame_take_packed() */
	FRAME_VIOLATION, /* the stream ends here; the batch holds what came before */
};

struct frame_result {
	enum frame_stop stop;
	size_t used; /* bytes that need not be shown again */
	struct frame_control control;
	enum frame_violation violation;
};

void frame_decoder_init(struct frame_decoder *decoder, const struct frame_options *options);

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

/* Says that `size` bytes of a compressed message were taken, at most decoder.left. When that became
 * 0 and all that they hold was unpacked, frame_end_packed() ends the frame; it returns whether the
 * message ends with it. Until then frame_decode() stops at it again. */
void frame_take_packed(struct frame_decoder *decoder, size_t size);
bool frame_end_packed(struct frame_decoder *decoder);

#endif
