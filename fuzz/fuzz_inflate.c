/*
 * Any messages to be decompressed, one after the other: what comes of them must be the same
 * whatever the pieces and the room, and nothing is written beyond the room.
 *
 * The first three bytes of the input say whether there is context takeover, how large the pieces
 * are, and how large the room. Each message begins with a byte that says how long it is.
 */
#include "base/macro.h"
#include "websocket/inflate.h"

#include <errno.h>
#include <string.h>

#define INPUT_MAX KIB(4)
#define OUTPUT_MAX KIB(2) /* of a message; a larger one ends the run */
#define CANARY 0xa5

/* Who is shown everything, or all of it in pieces. They live as long as the fuzzer. */
struct reader {
	struct inflater *inflater;
	size_t piece;
	size_t room;
	int r; /* of the last message: 1, an error, or 0 when it is too large */
	size_t size;
	uint8_t data[OUTPUT_MAX + 1];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reader_begin(struct reader *reader, bool no_context_takeover, size_t piece, size_t room)
{
	if (!reader->inflater && inflater_new(no_context_takeover, &reader->inflater) < 0)
		abort();
	inflater_reset(reader->inflater, no_context_takeover);
	reader->piece = piece;
	reader->room = room;
}

/* Shows the next piece, and returns how much of it was used. */
static size_t show(struct reader *reader, const uint8_t *data, size_t size, bool last)
{
	uint8_t *to = reader->data + reader->size;
	size_t room = MIN(reader->room, OUTPUT_MAX - reader->size);
	struct inflater_span span = {.from = data, .size = size, .to = to, .room = room};

	to[room] = CANARY;
	reader->r = last ? inflater_end(reader->inflater, &span)
			 : inflater_run(reader->inflater, &span);
	if (to[room] != CANARY || span.room > room || span.to + span.room != to + room)
		abort();
	if (span.size > size || span.from + span.size != data + size)
		abort();
	if (reader->r < 0 && reader->r != -EBADMSG)
		abort();
	if (reader->r == 0 && span.room > 0 && (span.size > 0 || last))
		abort(); /* it stopped without a reason */
	reader->size += room - span.room;
	return size - span.size;
}

static void read_message(struct reader *reader, const uint8_t *data, size_t size)
{
	reader->r = 0;
	reader->size = 0;
	while (reader->r == 0 && reader->size < OUTPUT_MAX) {
		size_t piece = MIN(reader->piece, size);
		size_t used = show(reader, data, piece, piece == size);

		data += used;
		size -= used;
	}
	if (reader->size == OUTPUT_MAX)
		reader->r = 0; /* whether it would have ended here is another question */
}

/* An error may be told before all that was in front of it, and so before that is too large. */
static void compare(const struct reader *a, const struct reader *b)
{
	if ((a->r == 1) != (b->r == 1) || (a->r >= 0 && b->r >= 0 && a->size != b->size))
		abort();
	if (memcmp(a->data, b->data, MIN(a->size, b->size)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reader whole, pieces;
	const uint8_t *end = data + size;

	if (size < 3 || size > INPUT_MAX)
		return 0;
	reader_begin(&whole, data[0] % 2, INPUT_MAX, OUTPUT_MAX);
	reader_begin(&pieces, data[0] % 2, data[1] + 1UL, data[2] + 1UL);
	data += 3;
	do {
		size_t length = data < end ? MIN(*data++, (size_t)(end - data)) : 0;

		read_message(&whole, data, length);
		read_message(&pieces, data, length);
		compare(&whole, &pieces);
		data += length;
	} while (whole.r == 1 && data < end);
	return 0;
}
