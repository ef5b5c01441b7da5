/* Decompression of the messages of permessage-deflate, RFC 7692 section 7.2.2, without any I/O. */
#ifndef WEIR_WEBSOCKET_INFLATE_H
#define WEIR_WEBSOCKET_INFLATE_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

/* The messages of one direction of a connection. It takes all its memory at once, less than 90 KiB,
 * and no more for any message. */
struct inflater;

/* There is no size of the window: it is always the largest, which can read what was written for any
 * other. Errors: −ENOMEM. */
int inflater_new(bool no_context_takeover, struct inflater **ret_inflater);
void inflater_free(struct inflater *inflater);

/* Makes it as new, for another connection, whatever happened before. */
void inflater_reset(struct inflater *inflater, bool no_context_takeover);

/* What is still to be read, and where there is still room for what becomes of it. Each call moves
 * both on. Neither is NULL, whatever its size. */
struct inflater_span {
	const uint8_t *from;
	size_t size;
	uint8_t *to;
	size_t room;
};

/* Decompresses bytes of a message, as they come, until one of both is used up. More can come out of
 * what was read already: when there is no room left, the next call has to bring some.
 *
 * Errors: −EBADMSG (no valid deflate), −ENOMEM. What was made is good, and need not be all that is
 * in front of the error. The inflater can only be reset or freed then. */
int inflater_run(struct inflater *inflater, struct inflater_span *span);

/* The same with the last bytes of the message, of which there may be none. 1: it is complete, and
 * the next one may begin. 0: there is more to come, call again with room for it. */
int inflater_end(struct inflater *inflater, struct inflater_span *span);

DEFINE_CLEANUP(struct inflater *, inflater_free);

#endif
