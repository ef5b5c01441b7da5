/* What a client has to say, until the socket takes it. */
#ifndef WEIR_WEBSOCKET_CLIENT_OUTPUT_H
#define WEIR_WEBSOCKET_CLIENT_OUTPUT_H

#include "base/buffer.h"
#include "websocket/transport.h"

#include <stdbool.h>
#include <stdint.h>

struct client_output {
	struct buffer buffer;
	bool closed; /* Close was said: nothing may follow it */
};

void client_output_init(struct client_output *output);
void client_output_done(struct client_output *output);

/* Each adds one masked frame. After Close they do nothing. Errors: −ENOMEM, −ENOBUFS (more than
 * 16 MiB are waiting), those of getrandom(2). */
int client_output_text(struct client_output *output, const char *text);
int client_output_close(struct client_output *output, uint16_t code); /* 1005: no code */

/* Left out when much is waiting already: a server that does not read needs no more of them. */
int client_output_pong(struct client_output *output, const uint8_t *data, size_t size);

bool client_output_pending(const struct client_output *output);

/* Sends as much as the socket takes. Errors: those of transport_send() but −EAGAIN. */
int client_output_write(struct client_output *output, struct transport *transport);

void client_output_drop(struct client_output *output); /* forgets what is waiting */

#endif
