/* Streams of messages, compressed and not, whole and in fragments, with control frames between:
 * however they are cut and however little may be made at a time, the same comes out.
 * --wrap: none. */
#include "test_pack_support.h"

#include "base/crc32c.h"
#include "websocket/frame_encode.h"
#include "websocket/inbox.h"

#define LOG_MAX MIB(1)
#define SCRATCH 32

static void put_frame(struct buffer *to, unsigned first, const void *data, size_t size)
{
	uint8_t header[FRAME_HEADER_MAX];
	size_t header_size = frame_write_header(header, FRAME_TEXT, size, NULL);

	header[0] = (uint8_t)first;
	assert_int_equal(buffer_append(to, header, header_size), 0);
	assert_int_equal(buffer_append(to, data, size), 0);
}

static void note(struct buffer *log, const char *what, const void *data, size_t size)
{
	assert_int_equal(buffer_append(log, what, strlen(what)), 0);
	assert_int_equal(buffer_append(log, data, size), 0);
	assert_int_equal(buffer_append(log, "\n", 1), 0);
}

/* A message in random fragments, some of them empty, with a Ping now and then. Control frames come
 * in front of the message that they interrupt, since a message counts when it ends. */
static void put_fragments(struct buffer *stream, struct buffer *log, uint64_t *random,
			  unsigned first, const struct buffer *payload)
{
	size_t at = 0;

	do {
		size_t size = random_below(random, payload->size - at + 1);
		bool last = random_below(random, 3) == 0;

		if (last)
			size = payload->size - at;
		put_frame(stream, first | (last ? 0x80 : 0), payload->data + at, size);
		at += size;
		first = FRAME_CONTINUATION;
		if (last)
			return;
		if (random_below(random, 3) == 0) {
			put_frame(stream, 0x80 | FRAME_PING, &at, 1);
			note(log, "ping ", &at, 1);
		}
	} while (true);
}

static void put_message(struct buffer *stream, struct buffer *log, uint64_t *random,
			struct packer *packer)
{
	CLEANUP(buffer_done) struct buffer payload;
	bool packed = random_below(random, 3) > 0, text = random_below(random, 2);
	char message[120];
	size_t size = 0, times = random_below(random, 9);

	for (size_t i = 0; i < times; i++)
		size += (size_t)snprintf(message + size, sizeof(message) - size,
					 "%d\xe2\x82\xac_%s", (int)random_below(random, 99),
					 text ? "\xc3\xbc" : "\xff");
	buffer_init(&payload, LOG_MAX);
	if (packed)
		pack(packer, message, size, &payload);
	else
		assert_int_equal(buffer_append(&payload, message, size), 0);
	put_fragments(stream, log, random,
		      (text ? FRAME_TEXT : FRAME_BINARY) | (packed ? FRAME_BIT_PACKED : 0U),
		      &payload);
	note(log, text ? "text " : "binary ", message, size);
}

struct reader {
	struct inbox inbox;
	struct buffer log, message;
	uint32_t crc;
	bool in_message;
	size_t count; /* of pieces that are not looked at yet */
	struct message_piece pieces[KIB(4)];
	uint8_t *memory;
	size_t fill;
};

static void reader_begin(struct reader *reader, const struct inbox_options *options)
{
	*reader = (struct reader){0};
	assert_int_equal(inbox_init(&reader->inbox, options), 0);
	buffer_init(&reader->log, LOG_MAX);
	buffer_init(&reader->message, LOG_MAX);
	reader->memory = malloc(SCRATCH + LOG_MAX);
	assert_non_null(reader->memory);
}

static void reader_end(struct reader *reader)
{
	inbox_done(&reader->inbox);
	buffer_done(&reader->log);
	buffer_done(&reader->message);
	free(reader->memory);
}

/* Their memory was not touched up to now. */
static void flush(struct reader *reader)
{
	for (size_t i = 0; i < reader->count; i++) {
		const struct message_piece *piece = &reader->pieces[i];

		reader->crc = crc32c(piece->first ? 0 : reader->crc, piece->data, piece->size);
		assert_int_equal(piece->crc, reader->crc);
		assert_int_equal(piece->first, !reader->in_message);
		assert_int_equal(buffer_append(&reader->message, piece->data, piece->size), 0);
		reader->in_message = !piece->last;
		if (!piece->last)
			continue;
		note(&reader->log, piece->kind == MESSAGE_TEXT ? "text " : "binary ",
		     reader->message.data, reader->message.size);
		reader->message.size = 0;
	}
	reader->count = 0;
}

static void keep_pieces(struct reader *reader, const struct message_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct message_piece *piece = &reader->pieces[reader->count++];

		assert_true(reader->count < ARRAY_SIZE(reader->pieces));
		*piece = batch->pieces[i];
		if (piece->spare)
			piece->data[piece->size] = '\n';
	}
}

/* Shows more bytes. Returns the violation, if there is one. */
static enum frame_violation show(struct reader *reader, const void *data, size_t size,
				 size_t budget)
{
	uint8_t *end = reader->memory + SCRATCH + LOG_MAX, *at = end - reader->fill - size;
	struct message_batch batch;
	struct inbox_result result;

	memmove(at, end - reader->fill, reader->fill);
	memcpy(end - size, data, size);
	inbox_reset(&reader->inbox, at - SCRATCH, 0);
	do {
		batch.count = 0;
		assert_int_equal(
			inbox_decode(&reader->inbox, at, (size_t)(end - at), &batch, &result), 0);
		assert_true(result.used <= (size_t)(end - at));
		at += result.used;
		keep_pieces(reader, &batch);
		if (result.stop == INBOX_CONTROL) {
			flush(reader);
			note(&reader->log, "ping ", result.control.data, result.control.size);
		}
		if (result.stop == INBOX_MEMORY_FULL) {
			flush(reader);
			inbox_refill(&reader->inbox, budget);
		}
	} while (result.stop != INBOX_NEED_MORE && result.stop != INBOX_VIOLATION);
	flush(reader);
	reader->fill = (size_t)(end - at);
	return result.stop == INBOX_VIOLATION ? result.violation : 0;
}

static const struct extension_choice deflated = {.deflate = true};
static const struct inbox_options all = {.compression = &deflated};

static void make_stream(struct buffer *stream, struct buffer *log, uint64_t seed, size_t messages)
{
	struct packer packer;
	uint64_t random = seed;

	packer_init(&packer, false);
	buffer_init(stream, LOG_MAX);
	buffer_init(log, LOG_MAX);
	for (size_t i = 0; i < messages; i++)
		put_message(stream, log, &random, &packer);
	packer_done(&packer);
}

static void read_stream(const struct buffer *stream, const struct buffer *log, size_t step,
			size_t budget)
{
	struct reader reader;

	reader_begin(&reader, &all);
	for (size_t at = 0; at < stream->size; at += step)
		assert_int_equal(
			show(&reader, stream->data + at, MIN(step, stream->size - at), budget), 0);
	assert_int_equal(reader.fill, 0);
	assert_false(inbox_in_message(&reader.inbox));
	assert_int_equal(reader.log.size, log->size);
	assert_memory_equal(reader.log.data, log->data, log->size);
	reader_end(&reader);
}

static void test_every_step_and_every_budget(void **state)
{
	CLEANUP(buffer_done) struct buffer stream, log;

	(void)state;
	make_stream(&stream, &log, 1, 12);
	for (size_t step = 1; step <= stream.size; step += step < 40 ? 1 : 97)
		for (size_t budget = 2; budget < 140; budget += budget < 20 ? 1 : 40)
			read_stream(&stream, &log, step, budget);
}

static void test_many_streams(void **state)
{
	uint64_t random = 3;

	(void)state;
	for (uint64_t seed = 10; seed < 60; seed++) {
		CLEANUP(buffer_done) struct buffer stream, log;

		make_stream(&stream, &log, seed, 100);
		read_stream(&stream, &log, stream.size, SIZE_MAX);
		read_stream(&stream, &log, 1 + random_below(&random, 300),
			    2 + random_below(&random, 300));
	}
}

static void test_fragments_are_counted(void **state)
{
	static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
	static const struct inbox_options limited = {.compression = &deflated, .fragments_max = 3};

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		for (size_t fragments = 1; fragments <= 4; fragments++) {
			CLEANUP(buffer_done) struct buffer stream;
			struct reader reader;

			buffer_init(&stream, LOG_MAX);
			for (size_t i = 0; i < fragments; i++)
				put_frame(&stream,
					  (i == 0 ? 2 | packed * FRAME_BIT_PACKED : 0) |
						  (i + 1 == fragments ? 0x80 : 0),
					  hello + i, i + 1 == fragments ? sizeof(hello) - i : 1);
			reader_begin(&reader, &limited);
			assert_int_equal(show(&reader, stream.data, stream.size, 100),
					 fragments > 3 ? FRAME_TOO_MANY_FRAGMENTS : 0);
			reader_end(&reader);
		}
	}
}

/* Both kinds, to the byte. */
static void test_the_largest_message(void **state)
{
	static const struct inbox_options limited = {.compression = &deflated, .message_max = 50};

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++) {
		for (size_t size = 49; size <= 51; size++) {
			CLEANUP(buffer_done) struct buffer stream, payload;
			char zeros[51] = {0};
			struct packer packer;
			struct reader reader;

			buffer_init(&stream, LOG_MAX);
			buffer_init(&payload, LOG_MAX);
			packer_init(&packer, false);
			if (packed)
				pack(&packer, zeros, size, &payload);
			else
				assert_int_equal(buffer_append(&payload, zeros, size), 0);
			put_frame(&stream, 0x82 | packed * FRAME_BIT_PACKED, payload.data,
				  payload.size);
			reader_begin(&reader, &limited);
			assert_int_equal(show(&reader, stream.data, stream.size, 20),
					 size > 50 ? FRAME_MESSAGE_TOO_LARGE : 0);
			reader_end(&reader);
			packer_done(&packer);
		}
	}
}

static const struct {
	enum frame_violation violation;
	const char *stream;
	size_t size;
} violations[] = {
#define STREAM(text) text, sizeof(text) - 1
	/* The bit belongs to the first frame of a data message only, RFC 7692 section 6. */
	{FRAME_RESERVED_BITS, STREAM("\x41\x01\xf2\xc0\x01\x00")},
	{FRAME_RESERVED_BITS, STREAM("\xc9\x00")},
	{FRAME_RESERVED_BITS, STREAM("\xc8\x00")},
	{FRAME_RESERVED_BITS, STREAM("\xa1\x00")},
	{FRAME_INSIDE_MESSAGE, STREAM("\x41\x01\xf2\xc1\x00")},
	{FRAME_NOT_DEFLATED, STREAM("\xc1\x01\xff")},
	{FRAME_NOT_DEFLATED, STREAM("\xc1\x03\xf2\x48\xcd")},
	{FRAME_NOT_DEFLATED, STREAM("\xc1\x05\xf2\x00\x11\x00\x00")}, /* of nothing before */
	{FRAME_NOT_UTF8, STREAM("\xc1\x03\xfa\x0f\x00")},
#undef STREAM
};

static void test_violations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(violations); i++) {
		for (size_t step = 1; step <= violations[i].size; step++) {
			enum frame_violation violation = 0;
			struct reader reader;

			reader_begin(&reader, &all);
			for (size_t at = 0; !violation && at < violations[i].size; at += step)
				violation = show(&reader, violations[i].stream + at,
						 MIN(step, violations[i].size - at), 10);
			if (violation != violations[i].violation)
				fail_msg("stream %zu: %d", i, violation);
			assert_int_equal(reader.log.size, 0);
			reader_end(&reader);
		}
	}
}

static void test_without_compression(void **state)
{
	static const struct extension_choice none = {0};
	struct reader reader;

	(void)state;
	reader_begin(&reader, &(struct inbox_options){.compression = &none});
	assert_int_equal(show(&reader, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", 9, 100),
			 FRAME_RESERVED_BITS);
	reader_end(&reader);
}

static void test_how_much_came_of_a_message(void **state)
{
	struct reader reader;

	(void)state;
	reader_begin(&reader, &all);
	assert_false(inbox_in_message(&reader.inbox));
	show(&reader, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", 9, 100);
	assert_false(inbox_in_message(&reader.inbox));
	show(&reader, "\xc1\x07", 2, 100);
	assert_true(inbox_in_message(&reader.inbox));
	assert_int_equal(inbox_message_size(&reader.inbox), 0);
	show(&reader, "\xf2\x48\xcd", 3, 100);
	assert_int_equal(inbox_message_size(&reader.inbox), 2);
	show(&reader, "\xc9\xc9\x07\x00", 4, 100);
	show(&reader, "\x02\x03xy", 4, 100);
	assert_int_equal(inbox_message_size(&reader.inbox), 2);
	reader_end(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step_and_every_budget),
		cmocka_unit_test(test_many_streams),
		cmocka_unit_test(test_fragments_are_counted),
		cmocka_unit_test(test_the_largest_message),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_without_compression),
		cmocka_unit_test(test_how_much_came_of_a_message),
	};

	return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
