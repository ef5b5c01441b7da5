/*
 * Which codes may be in a Close frame is decided by RFC 6455 section 7.4 and the registry that goes
 * on from there: 1004 is reserved, 1005, 1006 and 1015 stand for what happened without a Close, and
 * what is below 3000 must be registered.
 */
#include "websocket/close.h"

#include "base/utf8.h"

bool close_code_is_valid(uint16_t code)
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
	code = (uint16_t)(control->data[0] << 8 | control->data[1]);
	if (!close_code_is_valid(code))
		return FRAME_CLOSE_CODE;
	if (!utf8_is_valid(control->data + 2, control->size - 2))
		return FRAME_CLOSE_NOT_UTF8;
	*ret_close = (struct frame_close){
		.code = code,
		.reason = control->data + 2,
		.reason_size = control->size - 2,
	};
	return 0;
}
