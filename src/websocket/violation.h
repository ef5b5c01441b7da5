/* What a server may not send: RFC 6455, RFC 7692, and limits of our own. */
#ifndef WEIR_WEBSOCKET_VIOLATION_H
#define WEIR_WEBSOCKET_VIOLATION_H

#include <stdint.h>

/* 0 is none of them. */
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
	FRAME_MESSAGE_TOO_LARGE, /* allowed by the RFC, but not here */
	FRAME_TOO_MANY_FRAGMENTS,
	FRAME_NOT_DEFLATED,
	FRAME_RATIO_TOO_LARGE,
};

/* In plain English, for a message that begins with "the server sent …". */
const char *frame_violation_text(enum frame_violation violation);

/* The close code (section 7.4.1) by which a violation is answered. */
uint16_t frame_violation_code(enum frame_violation violation);

#endif
