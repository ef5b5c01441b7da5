/*
 * Any server, from the answer to the handshake on, and a user that listens, talks back, or leaves:
 * what is heard and what is said must be the same however the stream is cut, and however little
 * room there is at a time.
 *
 * The first four bytes of the input say what is agreed on, what the user does, in how small pieces
 * the stream comes, and how much room there is. What follows are the server's bytes behind its
 * answer, or from the answer on.
 */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX KIB(4)
#define MESSAGE_MAX KIB(2) /* a larger one costs time, and brings nothing new */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How the answers differ. */
static const char *const lines[] = {
	"",
	"Sec-WebSocket-Extensions: permessage-deflate\r\n",
	"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
	"Sec-WebSocket-Protocol: mqtt\r\n",
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9; "
	"client_no_context_takeover\r\n",
};

/* The bits of the first byte. */
enum {
	LINES = 3,
	OFFERED = 4,
	LIMITED = 8,
	RAW = 0xf0, /* if all of them are set */
};

static size_t write_answer(uint8_t first, char *to)
{
	bool offered = first & OFFERED;

	if ((first & RAW) == RAW)
		return 0;
	return (size_t)snprintf(to, TALK_HEAD_MAX,
				"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				"Sec-WebSocket-Accept: %s\r\n%s\r\n",
				talk_accept(), lines[offered ? first & LINES : 0]);
}

/* Of what is wrong with a compressed message any part may be seen first, and with the bits that are
 * left of a byte, or with the next byte only, which never comes when the stream stops there. */
static bool is_garbled(const struct talk *talk)
{
	return talk->compressed &&
	       (talk->violation == FRAME_NOT_UTF8 || talk->violation == FRAME_NOT_DEFLATED ||
		talk->violation == FRAME_MESSAGE_TOO_LARGE);
}

/* Or where it was not seen, it may be still to come, or nobody looks any more. */
static bool may_be_garbled(const struct talk *talk)
{
	return is_garbled(talk) || talk->cut || talk->closed;
}

static bool same_end(const struct talk *a, const struct talk *b)
{
	return a->error == b->error && a->state == b->state && a->kind == b->kind &&
	       a->violation == b->violation && a->close_code == b->close_code && a->cut == b->cut &&
	       a->handshake_error == b->handshake_error && a->status == b->status &&
	       a->subprotocol == b->subprotocol && a->compressed == b->compressed &&
	       a->detail == b->detail;
}

/* Who retires says so between messages that came together, and so not always at the same one. */
static void compare(const struct talk *a, const struct talk *b, bool retires)
{
	if (a->messages != b->messages || a->heard != b->heard)
		abort();
	if (retires)
		return;
	if (is_garbled(a) || is_garbled(b)) {
		if (!may_be_garbled(a) || !may_be_garbled(b))
			abort();
		return;
	}
	if (!same_end(a, b) || a->frames != b->frames || a->said != b->said)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t stream[TALK_STREAM_MAX];
	struct talk whole, pieces;
	struct talk_options options = {0};
	struct talk_steps at_once = {.bytes = sizeof(stream)}, steps;
	size_t head;

	if (size < 4 || size > INPUT_MAX)
		return 0;
	options.offers_compression = data[0] & OFFERED;
	options.message_max = data[0] & LIMITED		   ? 100
			      : options.offers_compression ? MESSAGE_MAX
							   : 0;
	options.fragments_max = data[0] & LIMITED ? 3 : 0;
	options.action = (enum talk_action)(data[1] % 8);
	options.at = data[1] / 8;
	steps = (struct talk_steps){.bytes = data[2] + 1UL, .budget = SESSION_ROOM_MIN + data[3]};
	head = write_answer(data[0], (char *)stream);
	options.head = head;
	if (options.action == TALK_CLOSE_BETWEEN)
		options.at += head;
	memcpy(stream + head, data + 4, size - 4);
	talk(&options, &at_once, stream, head + size - 4, &whole);
	talk(&options, &steps, stream, head + size - 4, &pieces);
	compare(&whole, &pieces, options.action == TALK_RETIRE);
	return 0;
}
