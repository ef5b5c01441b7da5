/*
 * Client frames are masked with four fresh random bytes each (RFC 6455 section 5.3): that is what
 * keeps a page's author from writing chosen bytes onto the wire, and intermediaries from being
 * fooled by them.
 */
#include "websocket/client_output.h"

#include "base/macro.h"
#include "websocket/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define WAITING_MAX MIB(16)
#define WAITING_WITHOUT_PONGS KIB(64)

void client_output_init(struct client_output *output)
{
	buffer_init(&output->buffer, WAITING_MAX);
	output->closed = false;
}

void client_output_done(struct client_output *output)
{
	buffer_done(&output->buffer);
}

static int add_frame(struct client_output *output, enum frame_opcode opcode, const void *data,
		     size_t size)
{
	uint8_t mask[4], header[FRAME_HEADER_MAX];
	size_t header_size, start = output->buffer.size;
	int r;

	if (output->closed)
		return 0;
	if (getrandom(mask, sizeof(mask), 0) != (ssize_t)sizeof(mask))
		return -errno;
	header_size = frame_write_header(header, opcode, size, mask);
	r = buffer_append(&output->buffer, header, header_size);
	if (r == 0)
		r = buffer_append(&output->buffer, data, size);
	if (r < 0) {
		output->buffer.size = start;
		return r;
	}
	frame_mask((uint8_t *)output->buffer.data + start + header_size, size, mask);
	return 0;
}

int client_output_text(struct client_output *output, const char *text)
{
	return add_frame(output, FRAME_TEXT, text, strlen(text));
}

int client_output_pong(struct client_output *output, const uint8_t *data, size_t size)
{
	if (output->buffer.size > WAITING_WITHOUT_PONGS)
		return 0;
	return add_frame(output, FRAME_PONG, data, size);
}

int client_output_close(struct client_output *output, uint16_t code)
{
	uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
	int r = add_frame(output, FRAME_CLOSE, payload, code == 1005 ? 0 : sizeof(payload));

	if (r == 0)
		output->closed = true;
	return r;
}

bool client_output_pending(const struct client_output *output)
{
	return output->buffer.size > 0;
}

int client_output_write(struct client_output *output, struct transport *transport)
{
	size_t sent = 0;
	ssize_t n = 0;

	while (sent < output->buffer.size) {
		n = transport_send(transport, output->buffer.data + sent,
				   output->buffer.size - sent);
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	buffer_consume(&output->buffer, sent);
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

void client_output_drop(struct client_output *output)
{
	output->buffer.size = 0;
}
