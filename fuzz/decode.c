/*
 * What is shown stands at the same place each time, with what was left over from the time before in
 * front, and memory behind it that must not be touched: the sanitizer is told so, which costs a
 * hundredth of giving each step an allocation of its own.
 */
#include "decode.h"

#include "base/crc32c.h"
#include "websocket/close.h"

#include <sanitizer/asan_interface.h>
#include <string.h>

struct shown {
	struct frame_decoder decoder;
	uint8_t *data; /* from here on, nothing was used yet, */
	uint8_t *end;  /* and up to here it is shown */
	uint32_t crc;  /* of the open message */
};

static _Alignas(
	16) uint8_t memory[DECODE_BEFORE_MAX + INPUT_MAX + FRAME_HEADER_MAX + FRAME_CONTROL_MAX];

static void take_batch(struct found *found, struct shown *shown, const struct message_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct message_piece *piece = &batch->pieces[i];

		if (piece->data < memory || piece->data + piece->size > shown->end)
			abort();
		if (piece->spare)
			piece->data[piece->size] = '!'; /* as who gets it may */
		shown->crc = crc32c(piece->first ? 0 : shown->crc, piece->data, piece->size);
		if (piece->crc != shown->crc)
			abort();
		if (piece->first)
			found_mark(found, FOUND_BEGIN | piece->kind);
		found_bytes(found, piece->data, piece->size);
		if (piece->last) {
			found_mark(found, FOUND_END);
			found_whole(found);
		}
	}
}

static void take_control(struct found *found, const struct frame_control *control)
{
	struct frame_close close;

	if (control->opcode == FRAME_CLOSE) {
		found->violation = frame_parse_close(control, &close);
		if (!found->violation)
			found_close(found, close.code, close.reason, close.reason_size);
		return;
	}
	found_mark(found, FOUND_CONTROL | (unsigned)control->opcode);
	found_bytes(found, control->data, control->size);
	found_whole(found);
}

static bool is_over(const struct found *found)
{
	return found->violation || found->closed;
}

static void decode(struct shown *shown, struct found *found)
{
	static struct message_batch batch; /* large: only its count is set back */
	struct frame_result result;

	do {
		size_t size = (size_t)(shown->end - shown->data);

		batch.count = 0;
		frame_decode(&shown->decoder, shown->data, size, &batch, &result);
		if (result.used > size)
			abort();
		take_batch(found, shown, &batch);
		if (result.stop == FRAME_CONTROL)
			take_control(found, &result.control);
		if (result.stop == FRAME_VIOLATION)
			found->violation = result.violation;
		shown->data += result.used;
	} while (result.stop != FRAME_NEED_MORE && !is_over(found));
	if (!is_over(found) && shown->end - shown->data > FRAME_HEADER_MAX + FRAME_CONTROL_MAX)
		abort();
}

/* Makes all up to `end` readable, and nothing behind it. */
static void open_memory(uint8_t *end)
{
	static uint8_t *open_to; /* NULL: everything, as at the start */
	uint8_t *closed = open_to ? open_to : memory + sizeof(memory);

	ASAN_UNPOISON_MEMORY_REGION(memory, (size_t)(end - memory));
	if (closed > end)
		ASAN_POISON_MEMORY_REGION(end, (size_t)(closed - end));
	open_to = end;
}

static void show_more(struct shown *shown, uint8_t *to, const uint8_t *data, size_t size)
{
	size_t left = (size_t)(shown->end - shown->data);

	memmove(to, shown->data, left);
	open_memory(to + left + size);
	memcpy(to + left, data, size);
	shown->data = to;
	shown->end = to + left + size;
}

void decode_in_steps(struct found *found, const uint8_t *data, size_t size, size_t step,
		     size_t before)
{
	struct shown shown = {.data = memory + before, .end = memory + before};

	frame_decoder_init(&shown.decoder, &(struct frame_options){0});
	for (size_t seen = 0; seen < size && !is_over(found); seen += step) {
		show_more(&shown, memory + before, data + seen, MIN(step, size - seen));
		frame_decoder_compact(&shown.decoder, before > 0 ? memory : NULL);
		decode(&shown, found);
	}
}
