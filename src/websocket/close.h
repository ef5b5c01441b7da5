/* What a Close frame says, RFC 6455 section 5.5.1. */
#ifndef WEIR_WEBSOCKET_CLOSE_H
#define WEIR_WEBSOCKET_CLOSE_H

#include "websocket/frame.h"

#define CLOSE_NORMAL 1000
#define CLOSE_GOING_AWAY 1001
#define CLOSE_NO_CODE 1005 /* never sent: stands for a Close without a code, */
#define CLOSE_MISSING 1006 /* and this for an end without a Close */
#define CLOSE_INTERNAL 1011
#define CLOSE_REASON_MAX (FRAME_CONTROL_MAX - 2) /* bytes */

/* Whether a Close frame may hold this code. */
bool close_code_is_valid(uint16_t code);

/* Code CLOSE_NO_CODE and no reason when the frame is empty (section 7.1.5). */
struct frame_close {
	uint16_t code;
	const uint8_t *reason;
	size_t reason_size;
};

enum frame_violation frame_parse_close(const struct frame_control *control,
				       struct frame_close *ret_close);

#endif
