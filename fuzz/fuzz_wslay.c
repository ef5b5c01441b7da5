/*
 * Any stream of frames, cut anywhere, beside what wslay makes of it, which nobody of us has
 * written: the same messages, pings and pongs, and the same end of it.
 *
 * wslay runs without buffering. It would allocate as much as a header announces, and is handed
 * whole control frames even so. The first byte of the input says in which steps both are shown the
 * stream. wslay looks at a header when it is complete, with the first byte behind it, and weir at
 * its first two bytes: for what weir refuses by them, zeros are shown to wslay at the end.
 */
#include "decode.h"

#include <string.h>
#include <wslay/wslay.h>

#define FILLER 13 /* completes a header, and a byte for behind it */

struct peer {
	struct found *found;
	const uint8_t *at, *end;
	size_t step;
	uint8_t opcode;	  /* of the frame that is arriving */
	bool split_close; /* a Close frame came in more than one step */
};

/* How wslay ended, if not open: with found->closed, or by refusing. */
enum {
	REFUSED_WITHOUT_CODE = WSLAY_CODE_NO_STATUS_RCVD,
	REFUSED_FOR_PROTOCOL = WSLAY_CODE_PROTOCOL_ERROR,
	REFUSED_FOR_TEXT = WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA,
};

struct theirs {
	struct found found;
	uint16_t refusal; /* 0: none */
	bool in_close;	  /* a Close frame had begun when it ended */
	bool split_close;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t on_receive(wslay_event_context_ptr wslay, uint8_t *to, size_t size, int flags,
			  void *data)
{
	struct peer *peer = data;
	size_t part = MIN(MIN(size, peer->step), (size_t)(peer->end - peer->at));

	(void)flags;
	if (part == 0) {
		wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	if (peer->opcode == WSLAY_CONNECTION_CLOSE)
		peer->split_close = true;
	memcpy(to, peer->at, part);
	peer->at += part;
	return (ssize_t)part;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *from, size_t size, int flags,
		       void *data)
{
	(void)wslay, (void)from, (void)flags, (void)data;
	return (ssize_t)size;
}

static int on_mask(wslay_event_context_ptr wslay, uint8_t *to, size_t size, void *data)
{
	(void)wslay, (void)data;
	memset(to, 0, size);
	return 0;
}

static void on_frame(wslay_event_context_ptr wslay,
		     const struct wslay_event_on_frame_recv_start_arg *frame, void *data)
{
	struct peer *peer = data;

	(void)wslay;
	peer->opcode = frame->opcode;
	if (frame->opcode == WSLAY_TEXT_FRAME || frame->opcode == WSLAY_BINARY_FRAME)
		found_mark(peer->found, FOUND_BEGIN | frame->opcode);
}

static void on_chunk(wslay_event_context_ptr wslay,
		     const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *data)
{
	struct peer *peer = data;

	(void)wslay;
	if (!wslay_is_ctrl_frame(peer->opcode))
		found_bytes(peer->found, chunk->data, chunk->data_length);
}

static void on_frame_end(wslay_event_context_ptr wslay, void *data)
{
	struct peer *peer = data;

	(void)wslay;
	peer->opcode = 0;
}

static void on_message(wslay_event_context_ptr wslay,
		       const struct wslay_event_on_msg_recv_arg *message, void *data)
{
	struct found *found = ((struct peer *)data)->found;

	if (message->opcode == WSLAY_CONNECTION_CLOSE) {
		size_t size = message->msg_length < 2 ? 0 : message->msg_length - 2;

		found_close(found, wslay_event_get_status_code_received(wslay),
			    size > 0 ? message->msg + 2 : NULL, size);
		return;
	}
	if (wslay_is_ctrl_frame(message->opcode)) {
		found_mark(found, FOUND_CONTROL | message->opcode);
		found_bytes(found, message->msg, message->msg_length);
	} else {
		found_mark(found, FOUND_END);
	}
	found_whole(found);
}

static void receive(wslay_event_context_ptr wslay, struct peer *peer, const uint8_t *data,
		    size_t size)
{
	int r = 0;

	peer->at = data;
	peer->end = data + size;
	while (r == 0 && peer->at < peer->end && wslay_event_get_read_enabled(wslay))
		r = wslay_event_recv(wslay);
	if (r != 0 && r != WSLAY_ERR_CALLBACK_FAILURE)
		abort();
}

/* The code by which wslay refuses a stream is known when it has been sent. */
static uint16_t refusal(wslay_event_context_ptr wslay)
{
	if (wslay_event_get_read_enabled(wslay) || wslay_event_get_close_received(wslay))
		return 0;
	if (wslay_event_send(wslay) != 0 || !wslay_event_get_close_sent(wslay))
		abort();
	return wslay_event_get_status_code_sent(wslay);
}

static void decode_by_wslay(struct theirs *theirs, const uint8_t *data, size_t size, size_t step,
			    bool fill)
{
	static const uint8_t filler[FILLER];
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_receive,
		.send_callback = on_send,
		.genmask_callback = on_mask,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_chunk,
		.on_frame_recv_end_callback = on_frame_end,
		.on_msg_recv_callback = on_message,
	};
	struct peer peer = {.found = &theirs->found, .step = step};
	wslay_event_context_ptr wslay;

	if (wslay_event_context_client_init(&wslay, &callbacks, &peer) != 0)
		abort();
	wslay_event_config_set_no_buffering(wslay, 1);
	wslay_event_config_set_max_recv_msg_length(wslay, UINT64_MAX);
	receive(wslay, &peer, data, size);
	if (fill)
		receive(wslay, &peer, filler, sizeof(filler));
	theirs->refusal = refusal(wslay);
	theirs->in_close = peer.opcode == WSLAY_CONNECTION_CLOSE;
	theirs->split_close = peer.split_close;
	wslay_event_context_free(wslay);
}

static bool is_split(const struct found *ours, const struct theirs *theirs)
{
	bool valid_for_us = ours->closed && theirs->refusal == REFUSED_FOR_TEXT;
	bool valid_for_them = ours->violation == FRAME_CLOSE_NOT_UTF8 &&
			      (theirs->found.closed || theirs->refusal == REFUSED_FOR_PROTOCOL);

	return theirs->split_close && (valid_for_us || valid_for_them);
}

static bool is_cut(const struct found *ours, const struct theirs *theirs)
{
	return !ours->violation && !ours->closed && theirs->in_close &&
	       theirs->refusal == REFUSED_FOR_TEXT;
}

static bool is_half_a_code(const struct found *ours, const struct theirs *theirs)
{
	return ours->violation == FRAME_CLOSE_ONE_BYTE && theirs->found.closed &&
	       theirs->found.code == WSLAY_CODE_NO_STATUS_RCVD;
}

static bool is_newer_code(const struct found *ours, const struct theirs *theirs)
{
	return ours->closed && ours->code >= 1012 && ours->code <= 1014 &&
	       theirs->refusal == REFUSED_FOR_PROTOCOL;
}

static bool is_both_wrong(const struct found *ours, const struct theirs *theirs)
{
	return ours->violation == FRAME_CLOSE_CODE && theirs->refusal == REFUSED_FOR_TEXT;
}

static bool is_without_code(const struct found *ours, const struct theirs *theirs)
{
	return ours->violation && ours->violation <= FRAME_INSIDE_MESSAGE &&
	       theirs->refusal == REFUSED_WITHOUT_CODE;
}

/* Where the two differ, and are meant to. Everything else that differs is a finding. */
static const struct {
	const char *reason;
	bool (*is_case)(const struct found *ours, const struct theirs *theirs);
} differences[] = {
	{"wslay leaves out the first two bytes of each further part of a Close frame, not only the "
	 "code, when it validates the reason",
	 is_split},
	{"the stream ends inside a Close frame: wslay validates the reason as it comes, weir when "
	 "the frame is whole",
	 is_cut},
	{"wslay takes half a code for none; section 5.5.1 asks for two bytes", is_half_a_code},
	{"1012 to 1014 were registered by IANA after wslay's list was made", is_newer_code},
	{"neither the code nor the reason of a Close frame is allowed: wslay looks at the reason "
	 "first, and no text says what to answer",
	 is_both_wrong},
	{"wslay answers lengths and control frames that are impossible with a Close frame without a "
	 "code, and looks at them before anything else in a header; section 7.4.1 has 1002 for it",
	 is_without_code},
};

static bool is_known(const struct found *ours, const struct theirs *theirs)
{
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++)
		if (differences[i].is_case(ours, theirs))
			return true;
	return false;
}

static void compare(const struct found *ours, struct theirs *theirs)
{
	uint16_t answer = ours->violation ? frame_violation_code(ours->violation) : 0;
	bool same = answer == theirs->refusal && found_same_close(ours, &theirs->found);

	/* Any that is not 0: content is compared as far as it is whole. */
	theirs->found.violation = theirs->refusal ? FRAME_RESERVED_BITS : 0;
	if (!same && !is_known(ours, theirs))
		abort();
	if (!found_same_content(ours, &theirs->found))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found ours;
	static struct theirs theirs;
	size_t step;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	step = data[0] < 128 ? size : (size_t)data[0] % 32 + 1;
	found_reset(&ours);
	found_reset(&theirs.found);
	decode_in_steps(&ours, data + 1, size - 1, step, 0);
	decode_by_wslay(&theirs, data + 1, size - 1, step,
			ours.violation && ours.violation <= FRAME_INSIDE_MESSAGE);
	compare(&ours, &theirs);
	return 0;
}
