/*
 * Where the network cuts a stream must not matter: whatever is decoded from the bytes in one piece
 * is decoded from the same bytes in small pieces too. The first byte of the input says how small.
 */
#include "base/crc32c.h"
#include "base/macro.h"
#include "websocket/frame.h"

#include <string.h>

#define INPUT_MAX KIB(64)

/* What counts of a decoded stream: its whole messages, its control frames, how it ended. */
struct outcome {
	uint64_t messages;
	uint64_t controls;
	uint32_t crc; /* of all whole messages and controls, in order */
	uint32_t open_crc;
	enum frame_violation violation;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_batch(struct outcome *outcome, const struct message_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct message_piece *piece = &batch->pieces[i];

		if (piece->first)
			outcome->open_crc = crc32c(outcome->crc, &piece->kind, 1);
		outcome->open_crc = crc32c(outcome->open_crc, piece->data, piece->size);
		if (piece->last) {
			outcome->crc = outcome->open_crc;
			outcome->messages++;
		}
	}
}

static void take_control(struct outcome *outcome, const struct frame_control *control)
{
	uint8_t opcode = (uint8_t)control->opcode;
	struct frame_close close;

	/* Mixed into both: a control frame may stand inside a message. */
	outcome->controls = outcome->controls * 31 + crc32c(opcode, control->data, control->size);
	if (control->opcode == FRAME_CLOSE)
		outcome->violation = frame_parse_close(control, &close);
}

/* Decodes what is there; returns how many bytes it used. */
static size_t decode(struct frame_decoder *decoder, struct outcome *outcome, uint8_t *data,
		     size_t size)
{
	size_t used = 0;

	for (;;) {
		struct message_batch batch = {0};
		struct frame_result result;

		frame_decode(decoder, data + used, size - used, &batch, &result);
		if (result.used > size - used)
			abort();
		used += result.used;
		take_batch(outcome, &batch);
		if (result.stop == FRAME_CONTROL)
			take_control(outcome, &result.control);
		if (result.stop == FRAME_VIOLATION)
			outcome->violation = result.violation;
		if (result.stop == FRAME_NEED_MORE || outcome->violation)
			return used;
	}
}

static struct outcome run(const uint8_t *data, size_t size, size_t step)
{
	static uint8_t memory[INPUT_MAX];
	struct outcome outcome = {0};
	struct frame_decoder decoder;
	size_t used = 0;

	memcpy(memory, data, size);
	frame_decoder_init(&decoder);
	for (size_t shown = 0; shown < size && !outcome.violation;) {
		shown = MIN(shown + step, size);
		used += decode(&decoder, &outcome, memory + used, shown - used);
		if (!outcome.violation && shown - used > FRAME_HEADER_MAX + FRAME_CONTROL_MAX)
			abort();
	}
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;

	if (size < 2 || size > INPUT_MAX)
		return 0;
	whole = run(data + 1, size - 1, size);
	cut = run(data + 1, size - 1, (size_t)data[0] % 32 + 1);
	if (whole.messages != cut.messages || whole.crc != cut.crc ||
	    whole.controls != cut.controls || whole.violation != cut.violation)
		abort();
	return 0;
}
