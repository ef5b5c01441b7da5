/* Where the network cuts a stream must not matter: streams of random frames, cut everywhere, come
 * out as the messages and control frames that went in.
 * --wrap: none. */
#include "base/crc32c.h"
#include "test_support.h"
#include "websocket/close.h"
#include "websocket/frame_encode.h"

#define STREAM_MAX 200000

/* What was sent, or received, written down: a byte for what, then its bytes. */
struct record {
	uint8_t data[3 * STREAM_MAX];
	size_t size;
};

static void note(struct record *record, uint8_t what, const void *data, size_t size)
{
	assert_true(record->size + 1 + size <= sizeof(record->data));
	record->data[record->size++] = what;
	if (size > 0)
		memcpy(record->data + record->size, data, size);
	record->size += size;
}

enum {
	BEGINS = 'B', /* of which kind */
	BYTE = '.',   /* one byte of a payload */
	ENDS = 'E',
	CONTROL = 'C', /* opcode, size, payload */
};

static void note_payload(struct record *record, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		note(record, BYTE, data + i, 1);
}

static void note_control(struct record *record, uint8_t opcode, const uint8_t *data, size_t size)
{
	const uint8_t head[] = {opcode, (uint8_t)size};

	note(record, CONTROL, head, sizeof(head));
	note(record, BYTE, data, size);
}

struct sender {
	uint64_t random;
	uint8_t stream[STREAM_MAX];
	size_t size;
	struct record record;
};

static void put_frame(struct sender *sender, uint8_t opcode, bool final, const uint8_t *data,
		      size_t size)
{
	uint8_t *to = sender->stream + sender->size;
	size_t header = frame_write_header(to, (enum frame_opcode)opcode, size, NULL);

	assert_true(sender->size + FRAME_HEADER_MAX + size <= STREAM_MAX);
	if (!final)
		to[0] &= 0x7f;
	if (size > 0)
		memcpy(to + header, data, size);
	sender->size += header + size;
}

static void put_control(struct sender *sender)
{
	uint8_t opcode = random_below(&sender->random, 2) ? FRAME_PING : FRAME_PONG;
	uint8_t data[FRAME_CONTROL_MAX];
	size_t size = random_below(&sender->random, 4) ? random_below(&sender->random, 6)
						       : FRAME_CONTROL_MAX;

	random_fill(&sender->random, data, size);
	put_frame(sender, opcode, true, data, size);
	note_control(&sender->record, opcode, data, size);
}

/* Text is made of characters of two and three bytes, so that every cut may be inside of one. */
static void make_payload(uint64_t *random, uint8_t kind, uint8_t *data, size_t size)
{
	random_fill(random, data, size);
	if (kind == FRAME_BINARY)
		return;
	for (size_t i = 0; i < size; i++)
		data[i] = 'a' + data[i] % 26;
	for (size_t i = 0; i + 5 <= size; i += 5)
		memcpy(data + i, "\xc3\xa9\xe2\x82\xac", 5);
}

static void put_message_of(struct sender *sender, size_t size, size_t fragments)
{
	uint8_t kind = random_below(&sender->random, 2) ? FRAME_TEXT : FRAME_BINARY;
	CLEANUP_FREE uint8_t *data = malloc(size + 1);
	size_t at = 0;

	assert_non_null(data);
	make_payload(&sender->random, kind, data, size);
	note(&sender->record, BEGINS, &kind, 1);
	for (size_t i = 0; i < fragments; i++) {
		bool final = i + 1 == fragments;
		size_t part = final ? size - at : random_below(&sender->random, size - at + 1);

		put_frame(sender, i == 0 ? kind : FRAME_CONTINUATION, final, data + at, part);
		note_payload(&sender->record, data + at, part);
		at += part;
		if (!final && random_below(&sender->random, 3) == 0)
			put_control(sender);
	}
	note(&sender->record, ENDS, NULL, 0);
}

static void put_message(struct sender *sender, size_t size)
{
	put_message_of(sender, size, 1 + random_below(&sender->random, 3));
}

static void put_messages(struct sender *sender, size_t count, size_t size_max)
{
	for (size_t i = 0; i < count; i++) {
		put_message(sender, random_below(&sender->random, size_max));
		if (random_below(&sender->random, 5) == 0)
			put_control(sender);
	}
}

#define SCRATCH 16
#define PIECES_MAX ((size_t)4096) /* of one receive() */

/* A client's receive buffer: what a decoder has left is moved to its front. */
struct receiver {
	struct frame_decoder decoder;
	struct record record;
	enum frame_violation violation;
	uint32_t crc; /* of the open message */
	size_t piece_count;
	struct message_piece pieces[PIECES_MAX];
	uint8_t scratch[SCRATCH]; /* in front of the rest */
	uint8_t memory[STREAM_MAX];
	size_t fill;
};

static bool compacting; /* whether payloads are moved together */

static void receiver_init(struct receiver *receiver)
{
	frame_decoder_init(&receiver->decoder, &(struct frame_options){0});
	receiver->record.size = 0;
	receiver->violation = 0;
	receiver->fill = 0;
}

/* A piece that does not stand where it was received has a spare byte behind it, if it is the last
 * of its message; who gets it writes to that. */
static void check_piece(struct receiver *receiver, const struct message_piece *piece)
{
	assert_true(piece->data >= receiver->scratch);
	assert_true(piece->data + piece->size <= receiver->memory + receiver->fill);
	assert_true(compacting || !piece->spare);
	assert_true(!piece->spare || piece->last);
	if (piece->spare)
		piece->data[piece->size] = '!';
	receiver->crc = crc32c(piece->first ? 0 : receiver->crc, piece->data, piece->size);
	assert_int_equal(piece->crc, receiver->crc);
	assert_true(receiver->piece_count < PIECES_MAX);
	receiver->pieces[receiver->piece_count] = *piece;
	receiver->pieces[receiver->piece_count++].crc = crc32c(0, piece->data, piece->size);
}

static void note_batch(struct receiver *receiver, const struct message_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct message_piece *piece = &batch->pieces[i];

		check_piece(receiver, piece);
		if (piece->first)
			note(&receiver->record, BEGINS, &piece->kind, 1);
		note_payload(&receiver->record, piece->data, piece->size);
		if (piece->last)
			note(&receiver->record, ENDS, NULL, 0);
	}
}

/* All of what was handed out since the buffer was filled is still there. */
static void check_memory(const struct receiver *receiver)
{
	for (size_t i = 0; i < receiver->piece_count; i++) {
		const struct message_piece *piece = &receiver->pieces[i];

		assert_int_equal(crc32c(0, piece->data, piece->size), piece->crc);
		assert_true(!piece->spare || piece->data[piece->size] == '!');
	}
}

static void receive(struct receiver *receiver, const uint8_t *data, size_t size)
{
	struct frame_result result;
	size_t used = 0;

	memcpy(receiver->memory + receiver->fill, data, size);
	receiver->fill += size;
	receiver->piece_count = 0;
	frame_decoder_compact(&receiver->decoder, compacting ? receiver->scratch : NULL);
	do {
		struct message_batch batch = {0};

		frame_decode(&receiver->decoder, receiver->memory + used, receiver->fill - used,
			     &batch, &result);
		used += result.used;
		assert_true(used <= receiver->fill);
		note_batch(receiver, &batch);
		if (result.stop == FRAME_CONTROL)
			note_control(&receiver->record, (uint8_t)result.control.opcode,
				     result.control.data, result.control.size);
		if (result.stop == FRAME_VIOLATION)
			receiver->violation = result.violation;
	} while (result.stop != FRAME_NEED_MORE && !receiver->violation);
	check_memory(receiver);
	memmove(receiver->memory, receiver->memory + used, receiver->fill - used);
	receiver->fill -= used;
	assert_true(receiver->fill <= FRAME_HEADER_MAX + FRAME_CONTROL_MAX);
}

static void assert_all_came(const struct sender *sender, const struct receiver *receiver)
{
	assert_int_equal(receiver->violation, 0);
	assert_int_equal(receiver->fill, 0);
	assert_int_equal(receiver->decoder.kind, 0);
	assert_int_equal(receiver->record.size, sender->record.size);
	assert_memory_equal(receiver->record.data, sender->record.data, sender->record.size);
}

static struct sender sender;
static struct receiver receiver;

static void begin_stream(uint64_t seed)
{
	sender.random = seed;
	sender.size = 0;
	sender.record.size = 0;
}

static void test_in_one_piece(void **state)
{
	(void)state;
	begin_stream(1);
	put_messages(&sender, 300, 400);
	put_message(&sender, 70000); /* a length of 64 bits, if it is one frame */
	put_message(&sender, 0);
	assert_true(sender.record.size > sender.size);
	receiver_init(&receiver);
	receive(&receiver, sender.stream, sender.size);
	assert_all_came(&sender, &receiver);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	begin_stream(2);
	put_messages(&sender, 300, 300);
	receiver_init(&receiver);
	for (size_t at = 0; at < sender.size; at++)
		receive(&receiver, sender.stream + at, 1);
	assert_all_came(&sender, &receiver);
}

static void test_every_cut_into_two(void **state)
{
	(void)state;
	begin_stream(3);
	put_messages(&sender, 20, 150);
	for (size_t cut = 0; cut <= sender.size; cut++) {
		receiver_init(&receiver);
		receive(&receiver, sender.stream, cut);
		receive(&receiver, sender.stream + cut, sender.size - cut);
		assert_all_came(&sender, &receiver);
	}
}

static void test_every_cut_into_three(void **state)
{
	(void)state;
	begin_stream(4);
	put_messages(&sender, 4, 30);
	for (size_t a = 0; a <= sender.size; a++) {
		for (size_t b = a; b <= sender.size; b++) {
			receiver_init(&receiver);
			receive(&receiver, sender.stream, a);
			receive(&receiver, sender.stream + a, b - a);
			receive(&receiver, sender.stream + b, sender.size - b);
			assert_all_came(&sender, &receiver);
		}
	}
}

static void test_random_cuts_of_random_streams(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 200; seed++) {
		uint64_t random = seed;

		begin_stream(seed);
		put_messages(&sender, 30, 500);
		receiver_init(&receiver);
		for (size_t at = 0; at < sender.size;) {
			size_t part = MIN(1 + random_below(&random, 300), sender.size - at);

			receive(&receiver, sender.stream + at, part);
			at += part;
		}
		assert_all_came(&sender, &receiver);
	}
}

/* One byte of the text is not UTF-8: wherever the stream is cut, the violation is told, and what
 * came of whole messages before it is the same. */
static void test_cuts_do_not_hide_a_violation(void **state)
{
	const uint8_t stream[] = {0x81, 2, 'o', 'k',  0x01, 2,	  0xc3, 0xa9, 0x89, 1,
				  'p',	0, 2,	0xe2, 0x82, 0x80, 2,	0x2e, 0xff};

	(void)state;
	for (size_t cut = 0; cut < sizeof(stream); cut++) {
		receiver_init(&receiver);
		receive(&receiver, stream, cut);
		if (!receiver.violation)
			receive(&receiver, stream + cut, sizeof(stream) - cut);
		assert_int_equal(receiver.violation, FRAME_NOT_UTF8);
		assert_memory_equal(receiver.record.data, "B\1.o.kEB\1", 9);
	}
}

/* Small messages are moved together, large ones are not. */
static void test_what_is_moved(void **state)
{
	static const size_t sizes[] = {0, 100, 100, 5, 3000, 70000, 100, 0, 100};
	const struct message_piece *piece = receiver.pieces;

	(void)state;
	begin_stream(6);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		put_message_of(&sender, sizes[i], 1);
	receiver_init(&receiver);
	receive(&receiver, sender.stream, sender.size);
	assert_all_came(&sender, &receiver);
	assert_int_equal(receiver.piece_count, ARRAY_SIZE(sizes));
	if (!compacting)
		return;
	assert_ptr_equal(piece->data, receiver.scratch);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(piece[i].spare, sizes[i] < 1000);
	for (size_t i = 1; i < 4; i++)
		assert_ptr_equal(piece[i].data, piece[i - 1].data + piece[i - 1].size + 1);
	assert_ptr_equal(piece[6].data, piece[5].data + piece[5].size); /* over its header */
	assert_ptr_equal(piece[8].data, piece[7].data + 1);
}

static int compact(void **state)
{
	(void)state;
	compacting = true;
	return 0;
}

static int leave_in_place(void **state)
{
	(void)state;
	compacting = false;
	return 0;
}

#define BOTH_WAYS(test)                                                                            \
	cmocka_unit_test_setup(test, leave_in_place), cmocka_unit_test_setup(test, compact)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH_WAYS(test_in_one_piece),
		BOTH_WAYS(test_byte_by_byte),
		BOTH_WAYS(test_every_cut_into_two),
		BOTH_WAYS(test_every_cut_into_three),
		BOTH_WAYS(test_random_cuts_of_random_streams),
		BOTH_WAYS(test_cuts_do_not_hide_a_violation),
		BOTH_WAYS(test_what_is_moved),
	};

	return cmocka_run_group_tests_name("frame_stream", tests, NULL, NULL);
}
