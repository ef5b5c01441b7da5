/*
 * One table: what is said to people, and which code goes back to the server.
 */
#include "websocket/violation.h"

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
	[FRAME_MESSAGE_TOO_LARGE] = {"a message that is larger than --message-max, or than "
				     "--ratio-max allows",
				     1009},
	[FRAME_TOO_MANY_FRAGMENTS] = {"a message in more fragments than --fragments-max", 1008},
	[FRAME_NOT_DEFLATED] = {"a compressed message that cannot be decompressed", 1007},
	[FRAME_RATIO_TOO_LARGE] = {"a message that is compressed further than --ratio-max", 1009},
};

const char *frame_violation_text(enum frame_violation violation)
{
	return violations[violation].text;
}

uint16_t frame_violation_code(enum frame_violation violation)
{
	return violations[violation].code;
}
