/* Compression of the messages of permessage-deflate, RFC 7692 section 7.2.1, without any I/O. */
#ifndef WEIR_WEBSOCKET_DEFLATE_H
#define WEIR_WEBSOCKET_DEFLATE_H

#include "base/buffer.h"
#include "base/macro.h"

#include <stdbool.h>

/* The messages of one direction of a connection. It takes all its memory at once: 140 KiB, and
 * four times its window. */
struct deflater;

/* Errors: −EINVAL (the window has other bits than 8 to 15), −ENOMEM. */
int deflater_new(int window_bits, bool no_context_takeover, struct deflater **ret_deflater);
void deflater_free(struct deflater *deflater);

/* Compresses a piece of a message, and appends what is ready of the result; with the `last` piece,
 * all of it. On failure the buffer is as before the call, and the message is lost: the next piece
 * begins another one, which can be read without it.
 *
 * Errors: those of buffer_append(). The buffer needs 4 bytes more than the result has. */
int deflater_run(struct deflater *deflater, const void *data, size_t size, bool last,
		 struct buffer *to);

DEFINE_CLEANUP(struct deflater *, deflater_free);

#endif
