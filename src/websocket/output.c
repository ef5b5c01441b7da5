/*
 * Client frames are masked with four fresh random bytes each (RFC 6455 section 5.3): that is what
 * keeps a page's author from writing chosen bytes onto the wire, and intermediaries from being
 * fooled by them.
 */
#include "websocket/output.h"

#include "base/macro.h"
#include "websocket/close.h"
#include "websocket/deflate.h"
#include "websocket/frame_encode.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define PACKED_MIN 64	    /* a smaller message is not worth it */
#define PACKED_MORE KIB(64) /* by how much a message may grow at most, with its header */
#define WAITING_WITHOUT_PONGS KIB(64)
#define CLOSE_ROOM (FRAME_HEADER_MAX + FRAME_CONTROL_MAX)

void output_init(struct output *output)
{
	/* The request may have a secret in it. */
	buffer_init_secret(&output->buffer, OUTPUT_MAX + CLOSE_ROOM);
	output->closed = output->pong_waits = false;
	output->deflater = NULL;
}

int output_compress(struct output *output, const struct extension_choice *choice)
{
	return deflater_new(choice->client_window_bits, choice->client_no_context_takeover,
			    &output->deflater);
}

void output_done(struct output *output)
{
	buffer_done(&output->buffer);
	deflater_free(output->deflater);
}

static size_t find_room(const struct output *output)
{
	return OUTPUT_MAX - MIN(output->buffer.size, OUTPUT_MAX);
}

static bool fits(const struct output *output, size_t header_size, size_t size)
{
	size_t room = find_room(output);

	return header_size <= room && size <= room - header_size;
}

/* `bits` are set in the first byte of the header. */
static int add_frame(struct output *output, unsigned bits, enum frame_opcode opcode,
		     const void *data, size_t size)
{
	uint8_t mask[4], header[FRAME_HEADER_MAX];
	size_t header_size, start = output->buffer.size;
	int r;

	if (output->closed)
		return 0;
	if (getrandom(mask, sizeof(mask), 0) != (ssize_t)sizeof(mask))
		return -errno;
	header_size = frame_write_header(header, opcode, size, mask);
	header[0] |= (uint8_t)bits;
	if (opcode != FRAME_CLOSE && !fits(output, header_size, size))
		return -ENOBUFS;
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

static int add_packed(struct output *output, enum frame_opcode opcode, const void *data,
		      size_t size)
{
	CLEANUP(buffer_done) struct buffer packed = {0};
	size_t room = find_room(output);
	int r;

	/* Before it is compressed, since the server would miss what is compressed and not sent. */
	if (room < PACKED_MORE || size > room - PACKED_MORE)
		return -ENOBUFS;
	buffer_init_secret(&packed, room - FRAME_HEADER_MAX);
	r = deflater_run(output->deflater, data, size, true, &packed);
	if (r < 0)
		return r;
	r = add_frame(output, FRAME_BIT_PACKED, opcode, packed.data, packed.size);
	if (r < 0) /* it does miss it: nothing more can be compressed */
		deflater_free(TAKE_PTR(output->deflater));
	return r;
}

int output_message(struct output *output, enum frame_opcode opcode, const void *data, size_t size)
{
	if (output->deflater && size >= PACKED_MIN)
		return add_packed(output, opcode, data, size);
	return add_frame(output, 0, opcode, data, size);
}

int output_ping(struct output *output, const void *data, size_t size)
{
	return add_frame(output, 0, FRAME_PING, data, size);
}

int output_pong(struct output *output, const void *data, size_t size)
{
	output->pong_waits = output->buffer.size > WAITING_WITHOUT_PONGS;
	if (!output->pong_waits)
		return add_frame(output, 0, FRAME_PONG, data, size);
	output->pong_size = size;
	memcpy(output->pong, data, size);
	return 0;
}

int output_settle(struct output *output)
{
	if (!output->pong_waits || output->buffer.size > WAITING_WITHOUT_PONGS)
		return 0;
	output->pong_waits = false;
	return add_frame(output, 0, FRAME_PONG, output->pong, output->pong_size);
}

/* How much of a reason there is room for: half a character would break the protocol. */
static size_t cut_reason(const uint8_t *reason, size_t size)
{
	if (size <= CLOSE_REASON_MAX)
		return size;
	size = CLOSE_REASON_MAX;
	while (size > 0 && (reason[size] & 0xc0) == 0x80)
		size--;
	return size;
}

int output_close(struct output *output, uint16_t code, const void *reason, size_t reason_size)
{
	uint8_t payload[FRAME_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
	size_t size = code == CLOSE_NO_CODE ? 0 : 2 + cut_reason(reason, reason_size);
	int r;

	if (size > 2)
		memcpy(payload + 2, reason, size - 2);
	r = add_frame(output, 0, FRAME_CLOSE, payload, size);
	if (r == 0)
		output->closed = true;
	return r;
}
