/* Compressed messages made into pieces, in little memory and up to limits that are exact.
 * --wrap: none. */
#include "test_pack_support.h"

#include "base/crc32c.h"
#include "websocket/unpack.h"

#define LOG_MAX MIB(2)

/* Who unpacks, and what came of the open message. */
struct reader {
	struct unpacker *unpacker;
	struct message_batch batch;
	size_t budget;
	struct buffer message;
	size_t pieces;
	bool ended;
};

static void reader_begin(struct reader *reader, const struct unpack_options *options, size_t budget)
{
	*reader = (struct reader){.budget = budget};
	assert_int_equal(unpacker_new(options, &reader->unpacker), 0);
	unpack_reset(reader->unpacker, budget);
	buffer_init(&reader->message, LOG_MAX);
}

static void reader_end(struct reader *reader)
{
	unpacker_free(reader->unpacker);
	buffer_done(&reader->message);
}

/* Looks at the pieces, and gives their memory back. */
static void take_pieces(struct reader *reader)
{
	size_t used = 0;

	for (size_t i = 0; i < reader->batch.count; i++) {
		struct message_piece *piece = &reader->batch.pieces[i];

		assert_false(reader->ended);
		assert_int_equal(piece->first, reader->pieces++ == 0);
		assert_true(piece->size > 0 || piece->last);
		assert_int_equal(piece->spare, piece->last);
		assert_int_equal(buffer_append(&reader->message, piece->data, piece->size), 0);
		assert_int_equal(piece->crc, crc32c(0, reader->message.data, reader->message.size));
		if (piece->spare)
			piece->data[piece->size] = '\n';
		reader->ended = piece->last;
		used += piece->size + piece->spare;
	}
	assert_true(used <= reader->budget);
	reader->batch.count = 0;
	unpack_reset(reader->unpacker, reader->budget);
}

/* Bytes of a message, until all of them are used or there is an error. */
static int show(struct reader *reader, const uint8_t *data, size_t size, bool last)
{
	CLEANUP_FREE uint8_t *exact = exact_copy(data, size);
	size_t at = 0;
	int r;

	do {
		size_t used = SIZE_MAX;

		r = unpack_run(reader->unpacker, exact + at, size - at, last, &reader->batch,
			       &used);
		if (r < 0)
			return r;
		assert_true(used <= size - at);
		at += used;
		if (r == 0)
			assert_int_equal(at, size);
		if (r == UNPACK_FULL || reader->batch.count == MESSAGE_BATCH_MAX)
			take_pieces(reader);
	} while (r == UNPACK_FULL);
	take_pieces(reader);
	assert_int_equal(unpack_message_size(reader->unpacker), reader->message.size);
	return 0;
}

/* A whole message, in pieces of `step` bytes. */
static int read_message(struct reader *reader, enum message_kind kind, const struct buffer *packed,
			size_t step)
{
	const uint8_t *data = (const uint8_t *)packed->data;
	int r = 0;

	unpack_begin(reader->unpacker, kind);
	reader->message.size = reader->pieces = 0;
	reader->ended = false;
	for (size_t at = 0; r == 0 && at < packed->size; at += step) {
		size_t size = MIN(step, packed->size - at);

		r = show(reader, data + at, size, at + size == packed->size);
	}
	assert_int_equal(reader->ended, r == 0);
	return r;
}

static int read_once(const struct unpack_options *options, enum message_kind kind, const void *data,
		     size_t size, size_t step, size_t budget)
{
	CLEANUP(buffer_done) struct buffer packed;
	struct packer packer;
	struct reader reader;
	int r;

	buffer_init(&packed, LOG_MAX);
	packer_init(&packer, false);
	pack(&packer, data, size, &packed);
	reader_begin(&reader, options, budget);
	r = read_message(&reader, kind, &packed, step);
	if (r == 0) {
		assert_int_equal(reader.message.size, size);
		assert_memory_equal(reader.message.data, data, size);
	}
	reader_end(&reader);
	packer_done(&packer);
	return r;
}

static const struct unpack_options plain = {0};

static void test_every_piece_and_every_budget(void **state)
{
	static const char text[] =
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 aaaaaaaaaaaaaa "
		"\xf0\x9f\x98\x80 gr\xc3\xbc\xc3\x9f \xe2\x82\xac end";

	(void)state;
	for (size_t step = 1; step < sizeof(text); step++)
		for (size_t budget = 2; budget <= sizeof(text) + 1; budget++)
			assert_int_equal(read_once(&plain, MESSAGE_TEXT, text, sizeof(text) - 1,
						   step, budget),
					 0);
}

static void test_empty_messages(void **state)
{
	static const char *const forms[] = {"", "\0", "\x02\0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct reader reader;

		reader_begin(&reader, &plain, 2);
		unpack_begin(reader.unpacker, MESSAGE_TEXT);
		assert_int_equal(show(&reader, (const uint8_t *)forms[i], i, true), 0);
		assert_true(reader.ended);
		assert_int_equal(reader.pieces, 1);
		assert_int_equal(reader.message.size, 0);
		reader_end(&reader);
	}
}

/* One that ends with a final block may be complete without any room left, but for the spare byte.
 */
static void test_a_final_block_and_every_budget(void **state)
{
	static const char hello[] = {(char)0xf3, 0x48, (char)0xcd, (char)0xc9, (char)0xc9, 0x07, 0};
	char packed[sizeof(hello)];
	struct buffer message = {.data = packed, .size = sizeof(packed)};

	(void)state;
	memcpy(packed, hello, sizeof(hello));
	for (size_t budget = 2; budget < 12; budget++) {
		struct reader reader;

		reader_begin(&reader, &plain, budget);
		assert_int_equal(read_message(&reader, MESSAGE_TEXT, &message, sizeof(hello)), 0);
		assert_int_equal(reader.message.size, 5);
		assert_memory_equal(reader.message.data, "Hello", 5);
		reader_end(&reader);
	}
}

static void test_no_budget(void **state)
{
	static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
	struct message_batch batch = {.count = 0};
	struct reader reader;

	(void)state;
	for (size_t budget = 0; budget < 2; budget++) {
		size_t used = SIZE_MAX;

		reader_begin(&reader, &plain, budget);
		unpack_begin(reader.unpacker, MESSAGE_TEXT);
		assert_int_equal(
			unpack_run(reader.unpacker, hello, sizeof(hello), true, &batch, &used),
			UNPACK_FULL);
		assert_int_equal(used, 0);
		assert_int_equal(batch.count, 0);
		reader_end(&reader);
	}
}

/* Several messages between two resets stand one behind the other, with a byte between. */
static void test_messages_in_a_row(void **state)
{
	static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
	const struct unpack_options alone = {.no_context_takeover = true};
	struct reader reader;

	(void)state;
	reader_begin(&reader, &alone, 19);
	for (size_t i = 0; i < 4; i++) {
		size_t used;
		int r;

		unpack_begin(reader.unpacker, MESSAGE_TEXT);
		r = unpack_run(reader.unpacker, hello, sizeof(hello), true, &reader.batch, &used);
		assert_int_equal(r, i < 3 ? 0 : UNPACK_FULL);
	}
	assert_int_equal(reader.batch.count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_ptr_equal(reader.batch.pieces[i].data, reader.batch.pieces[0].data + 6 * i);
	memset(reader.batch.pieces[0].data + 5, '\n', 1);
	memset(reader.batch.pieces[1].data + 5, '\n', 1);
	assert_memory_equal(reader.batch.pieces[0].data, "Hello\nHello\nHello", 17);
	reader_end(&reader);
}

/* To the byte, whatever the pieces and the room. */
static void test_the_largest_message(void **state)
{
	static const size_t budgets[] = {2, 3, 50, 99, 100, 101, 102, KIB(1)};
	const struct unpack_options limited = {.message_max = 100};
	char zeros[101] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(budgets); i++) {
		for (size_t step = 1; step < 20; step += 9) {
			assert_int_equal(
				read_once(&limited, MESSAGE_BINARY, zeros, 100, step, budgets[i]),
				0);
			assert_int_equal(
				read_once(&limited, MESSAGE_BINARY, zeros, 101, step, budgets[i]),
				-EFBIG);
		}
	}
}

/* What is too large is found when it is, not when it ends; what was handed out is within the limit.
 */
static void test_a_bomb(void **state)
{
	CLEANUP_FREE uint8_t *zeros = calloc(1, MIB(64));
	CLEANUP(buffer_done) struct buffer packed;
	const struct unpack_options limited = {.message_max = MIB(1)};
	struct packer packer;
	struct reader reader;

	(void)state;
	assert_non_null(zeros);
	buffer_init(&packed, LOG_MAX);
	packer_init(&packer, false);
	pack(&packer, zeros, MIB(64), &packed);
	assert_true(packed.size < KIB(70));
	reader_begin(&reader, &limited, SIZE_MAX);
	assert_int_equal(read_message(&reader, MESSAGE_BINARY, &packed, packed.size), -EFBIG);
	assert_true(reader.message.size <= MIB(1));
	assert_int_equal(unpack_message_size(reader.unpacker), reader.message.size);
	reader_end(&reader);
	packer_done(&packer);
}

static void test_the_ratio(void **state)
{
	static uint8_t zeros[KIB(512)];
	const struct unpack_options limited = {.ratio_max = 1000};
	const struct unpack_options strict = {.ratio_max = 200};

	(void)state;
	/* Up to 256 KiB anything goes; behind, zeros are 1 : 1000 at about that size. */
	assert_int_equal(read_once(&strict, MESSAGE_BINARY, zeros, KIB(256), 64, KIB(4)), 0);
	assert_int_equal(read_once(&strict, MESSAGE_BINARY, zeros, KIB(256) + 1, 64, KIB(4)),
			 -ERANGE);
	assert_int_equal(read_once(&limited, MESSAGE_BINARY, zeros, KIB(512), 64, KIB(4)), 0);
}

static const struct {
	const char *name;
	const char *text;
	size_t whole; /* bytes that are fine */
} broken_texts[] = {
	{"a lone continuation", "abc\x80", 3},	{"an overlong form", "ab\xc0\xaf", 2},
	{"a surrogate", "\xed\xa0\x80", 0},	{"too large", "x\xf4\x90\x80\x80", 1},
	{"cut off at the end", "x\xe2\x82", 1},
};

static void test_text_that_is_not_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken_texts); i++) {
		const char *text = broken_texts[i].text;

		for (size_t budget = 2; budget < 10; budget++) {
			assert_int_equal(
				read_once(&plain, MESSAGE_TEXT, text, strlen(text), 1, budget),
				-EILSEQ);
			assert_int_equal(
				read_once(&plain, MESSAGE_BINARY, text, strlen(text), 1, budget),
				0);
			assert_int_equal(read_once(&plain, MESSAGE_TEXT, text,
						   broken_texts[i].whole, 1, budget),
					 0);
		}
	}
}

/* Whatever is cut off of a message, it is not taken for whole. */
static void test_truncated_messages(void **state)
{
	static const char text[] = "Hello, hello, hello! And so on, and so on.";
	CLEANUP(buffer_done) struct buffer packed;
	struct packer packer;
	size_t size;

	(void)state;
	buffer_init(&packed, LOG_MAX);
	packer_init(&packer, false);
	pack(&packer, text, sizeof(text), &packed);
	for (size = packed.size - 1; size > 0; size--) {
		struct reader reader;

		packed.size = size;
		reader_begin(&reader, &plain, 10);
		/* The last byte that is all zeros may be part of what is put back. */
		if (read_message(&reader, MESSAGE_BINARY, &packed, 3) == 0)
			assert_true(reader.message.size < sizeof(text));
		reader_end(&reader);
	}
	packer_done(&packer);
}

static void test_garbage(void **state)
{
	uint64_t random = 7;

	(void)state;
	for (size_t round = 0; round < 500; round++) {
		uint8_t data[40];
		struct buffer packed = {.data = (char *)data, .size = sizeof(data)};
		const struct unpack_options limited = {.message_max = KIB(4)};
		struct reader reader;
		int r;

		random_fill(&random, data, sizeof(data));
		reader_begin(&reader, &limited, 2 + random_below(&random, 100));
		r = read_message(&reader, MESSAGE_BINARY, &packed, 1 + round % 40);
		assert_true(r == 0 || r == -EBADMSG || r == -EFBIG);
		reader_end(&reader);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_piece_and_every_budget),
		cmocka_unit_test(test_empty_messages),
		cmocka_unit_test(test_a_final_block_and_every_budget),
		cmocka_unit_test(test_no_budget),
		cmocka_unit_test(test_messages_in_a_row),
		cmocka_unit_test(test_the_largest_message),
		cmocka_unit_test(test_a_bomb),
		cmocka_unit_test(test_the_ratio),
		cmocka_unit_test(test_text_that_is_not_utf8),
		cmocka_unit_test(test_truncated_messages),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
