/* Frames that a client has to send, until somebody takes them. */
#ifndef WEIR_WEBSOCKET_OUTPUT_H
#define WEIR_WEBSOCKET_OUTPUT_H

#include "base/buffer.h"
#include "websocket/extension.h"
#include "websocket/frame.h"

#define OUTPUT_MAX ((size_t)16 << 20) /* bytes that may wait, but for a Close behind them */

struct output {
	struct buffer buffer;
	struct deflater *deflater; /* where compression was agreed on, else NULL */
	bool closed;		   /* Close was said: nothing may follow it */
	bool pong_waits;
	size_t pong_size;
	uint8_t pong[FRAME_CONTROL_MAX]; /* answers the last Ping for which there was no room */
};

void output_init(struct output *output);
void output_done(struct output *output);

/* From here on, messages that are worth it are compressed. */
int output_compress(struct output *output, const struct extension_choice *choice);

/* Each adds one masked frame. After Close they do nothing. A reason is UTF-8, and cut behind a
 * character. Errors: −ENOMEM, those of getrandom(2); of all but output_close(): −ENOBUFS (more than
 * OUTPUT_MAX would wait; or it might, before it is known how small a message becomes). */
int output_message(struct output *output, enum frame_opcode opcode, const void *data, size_t size);
int output_ping(struct output *output, const void *data, size_t size);
int output_close(struct output *output, uint16_t code, const void *reason, size_t reason_size);

/* While much is waiting already, only the last of them is kept: a server that does not read needs
 * no more (section 5.5.3). output_settle() adds it when there is room again. */
int output_pong(struct output *output, const void *data, size_t size);
int output_settle(struct output *output);

#endif
