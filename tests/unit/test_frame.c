/* RFC 6455 section 5, one rule at a time: headers, violations, control frames, Close, masking.
 * --wrap: none. */
#include "test_support.h"
#include "websocket/close.h"
#include "websocket/frame_encode.h"

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

struct decoded {
	struct frame_decoder decoder;
	struct message_batch batch;
	struct frame_result result;
	uint8_t *data; /* of exactly the size that was decoded */
};

static void decode(struct decoded *decoded, const uint8_t *data, size_t size)
{
	free(decoded->data);
	decoded->data = exact_copy(data, size);
	decoded->batch.count = 0;
	frame_decode(&decoded->decoder, decoded->data, size, &decoded->batch, &decoded->result);
}

static void decode_fresh(struct decoded *decoded, const uint8_t *data, size_t size)
{
	frame_decoder_init(&decoded->decoder, &(struct frame_options){0});
	decode(decoded, data, size);
}

static void decoded_donep(struct decoded *decoded)
{
	free(decoded->data);
}

#define DECODED CLEANUP(decoded_done) struct decoded

/* The violation is told with the last of the bytes, not before and not later. */
static const struct {
	const char *name;
	enum frame_violation violation;
	uint16_t code;
	const uint8_t *bytes;
	size_t size;
} violations[] = {
	{"RSV1", FRAME_RESERVED_BITS, 1002, BYTES(0xc1, 0x00)},
	{"RSV2", FRAME_RESERVED_BITS, 1002, BYTES(0xa1, 0x00)},
	{"RSV3", FRAME_RESERVED_BITS, 1002, BYTES(0x91, 0x00)},
	{"RSV1 on a ping", FRAME_RESERVED_BITS, 1002, BYTES(0xc9, 0x00)},
	{"opcode 3", FRAME_RESERVED_OPCODE, 1002, BYTES(0x83, 0x00)},
	{"opcode 4", FRAME_RESERVED_OPCODE, 1002, BYTES(0x84, 0x00)},
	{"opcode 5", FRAME_RESERVED_OPCODE, 1002, BYTES(0x85, 0x00)},
	{"opcode 6", FRAME_RESERVED_OPCODE, 1002, BYTES(0x86, 0x00)},
	{"opcode 7", FRAME_RESERVED_OPCODE, 1002, BYTES(0x87, 0x00)},
	{"opcode 11", FRAME_RESERVED_OPCODE, 1002, BYTES(0x8b, 0x00)},
	{"opcode 12", FRAME_RESERVED_OPCODE, 1002, BYTES(0x8c, 0x00)},
	{"opcode 13", FRAME_RESERVED_OPCODE, 1002, BYTES(0x8d, 0x00)},
	{"opcode 14", FRAME_RESERVED_OPCODE, 1002, BYTES(0x8e, 0x00)},
	{"opcode 15", FRAME_RESERVED_OPCODE, 1002, BYTES(0x8f, 0x00)},
	{"masked text", FRAME_MASKED, 1002, BYTES(0x81, 0x81)},
	{"masked and empty", FRAME_MASKED, 1002, BYTES(0x81, 0x80)},
	{"masked ping", FRAME_MASKED, 1002, BYTES(0x89, 0x80)},
	{"125 in 16 bits", FRAME_LENGTH_NOT_MINIMAL, 1002, BYTES(0x82, 126, 0, 125)},
	{"0 in 16 bits", FRAME_LENGTH_NOT_MINIMAL, 1002, BYTES(0x82, 126, 0, 0)},
	{"0 in 64 bits", FRAME_LENGTH_NOT_MINIMAL, 1002, BYTES(0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0)},
	{"65535 in 64 bits", FRAME_LENGTH_NOT_MINIMAL, 1002,
	 BYTES(0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff)},
	{"2^63", FRAME_LENGTH_TOP_BIT, 1002, BYTES(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0)},
	{"2^64 - 1", FRAME_LENGTH_TOP_BIT, 1002,
	 BYTES(0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
	{"long ping", FRAME_CONTROL_TOO_LONG, 1002, BYTES(0x89, 126)},
	{"long pong", FRAME_CONTROL_TOO_LONG, 1002, BYTES(0x8a, 126)},
	{"very long close", FRAME_CONTROL_TOO_LONG, 1002, BYTES(0x88, 127)},
	{"fragmented ping", FRAME_CONTROL_FRAGMENTED, 1002, BYTES(0x09, 0x00)},
	{"fragmented pong", FRAME_CONTROL_FRAGMENTED, 1002, BYTES(0x0a, 0x00)},
	{"fragmented close", FRAME_CONTROL_FRAGMENTED, 1002, BYTES(0x08, 0x00)},
	{"continues nothing", FRAME_CONTINUES_NOTHING, 1002, BYTES(0x80, 0x01)},
	{"begins continuing nothing", FRAME_CONTINUES_NOTHING, 1002, BYTES(0x00, 0x01)},
	{"continues what has ended", FRAME_CONTINUES_NOTHING, 1002,
	 BYTES(0x81, 0x01, 'a', 0x80, 0x01)},
	{"text inside text", FRAME_INSIDE_MESSAGE, 1002, BYTES(0x01, 0x01, 'a', 0x81, 0x01)},
	{"binary inside text", FRAME_INSIDE_MESSAGE, 1002, BYTES(0x01, 0x01, 'a', 0x82, 0x01)},
	{"text inside binary", FRAME_INSIDE_MESSAGE, 1002, BYTES(0x02, 0x01, 'a', 0x01, 0x01)},
	{"text inside empty text", FRAME_INSIDE_MESSAGE, 1002, BYTES(0x01, 0x00, 0x81, 0x00)},
	{"not UTF-8 at once", FRAME_NOT_UTF8, 1007, BYTES(0x81, 0x05, 'a', 0xff)},
	{"ends inside a character", FRAME_NOT_UTF8, 1007, BYTES(0x81, 0x02, 'a', 0xc3)},
	{"an empty end inside a character", FRAME_NOT_UTF8, 1007,
	 BYTES(0x01, 0x01, 0xc3, 0x80, 0x00)},
	{"a fragment spoils a character", FRAME_NOT_UTF8, 1007,
	 BYTES(0x01, 0x01, 0xc3, 0x80, 0x02, 'a')},
	{"a ping does not hide it", FRAME_NOT_UTF8, 1007,
	 BYTES(0x01, 0x02, 'a', 0xe1, 0x80, 0x02, 'a')},
};

static void test_violations_are_told_with_the_byte_that_makes_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(violations); i++) {
		DECODED decoded = {0};
		size_t size = violations[i].size;

		decode_fresh(&decoded, violations[i].bytes, size - 1);
		if (decoded.result.stop != FRAME_NEED_MORE)
			fail_msg("%s: told too early", violations[i].name);
		decode_fresh(&decoded, violations[i].bytes, size);
		if (decoded.result.stop != FRAME_VIOLATION ||
		    decoded.result.violation != violations[i].violation)
			fail_msg("%s: %d, violation %d", violations[i].name,
				 (int)decoded.result.stop, (int)decoded.result.violation);
		assert_int_equal(frame_violation_code(violations[i].violation), violations[i].code);
	}
}

/* Frame by frame, as a decoder sees a stream that comes slowly. */
static void test_violations_in_single_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(violations); i++) {
		struct frame_decoder decoder;
		struct frame_result result = {0};
		uint8_t memory[16];
		size_t fill = 0;

		frame_decoder_init(&decoder, &(struct frame_options){0});
		for (size_t at = 0; at < violations[i].size; at++) {
			struct message_batch batch = {0};

			assert_int_equal(result.stop, FRAME_NEED_MORE);
			memory[fill++] = violations[i].bytes[at];
			frame_decode(&decoder, memory, fill, &batch, &result);
			memmove(memory, memory + result.used, fill - result.used);
			fill -= result.used;
		}
		assert_int_equal(result.stop, FRAME_VIOLATION);
		assert_int_equal(result.violation, violations[i].violation);
	}
}

static void test_nothing_of_a_violating_frame_is_handed_out(void **state)
{
	DECODED decoded = {0};

	(void)state;
	decode_fresh(&decoded, BYTES(0x81, 2, 'o', 'k', 0x81, 3, 'a', 0xff, 'b'));
	assert_int_equal(decoded.result.stop, FRAME_VIOLATION);
	assert_int_equal(decoded.batch.count, 1);
	assert_int_equal(decoded.batch.pieces[0].size, 2);
	assert_true(decoded.batch.pieces[0].last);
	decode_fresh(&decoded, BYTES(0x82, 1, 0xff, 0x83, 1, 'a'));
	assert_int_equal(decoded.result.stop, FRAME_VIOLATION);
	assert_int_equal(decoded.batch.count, 1);
}

static void test_every_violation_has_words_and_a_code(void **state)
{
	(void)state;
	for (int i = FRAME_RESERVED_BITS; i <= FRAME_CLOSE_NOT_UTF8; i++) {
		bool text = i == FRAME_NOT_UTF8 || i == FRAME_CLOSE_NOT_UTF8;

		assert_true(strlen(frame_violation_text((enum frame_violation)i)) > 10);
		assert_int_equal(frame_violation_code((enum frame_violation)i), text ? 1007 : 1002);
	}
}

/* Section 5.2, every form of a length at its ends. */
static const struct {
	uint64_t length;
	const uint8_t *header; /* unmasked, binary */
	size_t size;
} headers[] = {
	{0, BYTES(0x82, 0)},
	{1, BYTES(0x82, 1)},
	{125, BYTES(0x82, 125)},
	{126, BYTES(0x82, 126, 0, 126)},
	{127, BYTES(0x82, 126, 0, 127)},
	{256, BYTES(0x82, 126, 1, 0)},
	{65535, BYTES(0x82, 126, 0xff, 0xff)},
	{65536, BYTES(0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0)},
	{UINT64_C(0x0102030405060708), BYTES(0x82, 127, 1, 2, 3, 4, 5, 6, 7, 8)},
	{INT64_MAX, BYTES(0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
};

static void test_headers_are_written_as_section_5_2_draws_them(void **state)
{
	static const uint8_t mask[4] = {1, 2, 3, 4};
	uint8_t to[FRAME_HEADER_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		size_t size = headers[i].size;

		assert_int_equal(frame_write_header(to, FRAME_BINARY, headers[i].length, NULL),
				 size);
		assert_memory_equal(to, headers[i].header, size);
		assert_int_equal(frame_write_header(to, FRAME_BINARY, headers[i].length, mask),
				 size + 4);
		assert_int_equal(to[0], headers[i].header[0]);
		assert_int_equal(to[1], headers[i].header[1] | 0x80);
		assert_memory_equal(to + 2, headers[i].header + 2, size - 2);
		assert_memory_equal(to + size, mask, 4);
	}
}

static void test_headers_are_read_as_they_are_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		uint64_t length = headers[i].length;

		for (size_t there = 0; there <= headers[i].size; there++) {
			DECODED decoded = {0};
			bool whole = there == headers[i].size;

			decode_fresh(&decoded, headers[i].header, there);
			assert_int_equal(decoded.result.stop, FRAME_NEED_MORE);
			assert_int_equal(decoded.result.used, whole ? there : 0);
			assert_int_equal(decoded.decoder.in_frame, whole && length > 0);
			if (whole)
				assert_int_equal(decoded.decoder.left, length);
			assert_int_equal(decoded.batch.count, whole && length == 0);
		}
	}
}

static void test_every_opcode_is_written(void **state)
{
	static const enum frame_opcode opcodes[] = {FRAME_CONTINUATION, FRAME_TEXT, FRAME_BINARY,
						    FRAME_CLOSE,	FRAME_PING, FRAME_PONG};
	uint8_t to[FRAME_HEADER_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
		assert_int_equal(frame_write_header(to, opcodes[i], 5, NULL), 2);
		assert_int_equal(to[0], 0x80 | (int)opcodes[i]);
		assert_int_equal(to[1], 5);
	}
}

static void test_masking(void **state)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	/* "Hello", section 5.7 */
	static const uint8_t masked[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
	uint8_t data[70], plain[70];
	uint64_t random = 57;

	(void)state;
	memcpy(data, "Hello", 5);
	frame_mask(data, 5, mask);
	assert_memory_equal(data, masked, 5);
	for (size_t size = 0; size < sizeof(data); size++) {
		random_fill(&random, plain, sizeof(plain));
		memcpy(data, plain, sizeof(plain));
		frame_mask(data, size, mask);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(data[i], plain[i] ^ mask[i % 4]);
		assert_memory_equal(data + size, plain + size, sizeof(data) - size);
		frame_mask(data, size, mask);
		assert_memory_equal(data, plain, sizeof(data));
	}
}

static void test_empty_frames_are_pieces(void **state)
{
	DECODED decoded = {0};

	(void)state;
	decode_fresh(&decoded, BYTES(0x01, 0, 0x00, 0, 0x80, 0, 0x82, 0));
	assert_int_equal(decoded.result.stop, FRAME_NEED_MORE);
	assert_int_equal(decoded.result.used, 8);
	assert_int_equal(decoded.batch.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(decoded.batch.pieces[i].size, 0);
		assert_int_equal(decoded.batch.pieces[i].first, i == 0 || i == 3);
		assert_int_equal(decoded.batch.pieces[i].last, i >= 2);
		assert_int_equal(decoded.batch.pieces[i].kind,
				 i == 3 ? MESSAGE_BINARY : MESSAGE_TEXT);
	}
}

static void test_a_frame_is_handed_out_as_it_comes(void **state)
{
	DECODED decoded = {0};

	(void)state;
	decode_fresh(&decoded, BYTES(0x82, 5, 'a', 'b'));
	assert_int_equal(decoded.result.stop, FRAME_NEED_MORE);
	assert_int_equal(decoded.result.used, 4);
	assert_int_equal(decoded.batch.count, 1);
	assert_ptr_equal(decoded.batch.pieces[0].data, decoded.data + 2);
	assert_true(decoded.batch.pieces[0].first && !decoded.batch.pieces[0].last);
	assert_int_equal(decoded.decoder.message_size, 2);
	decode(&decoded, NULL, 0);
	assert_int_equal(decoded.batch.count, 0);
	decode(&decoded, BYTES('c', 'd', 'e', 0x81));
	assert_int_equal(decoded.result.used, 3);
	assert_int_equal(decoded.batch.pieces[0].size, 3);
	assert_true(!decoded.batch.pieces[0].first && decoded.batch.pieces[0].last);
	assert_int_equal(decoded.decoder.kind, 0);
}

/* Section 5.4: a ping between two fragments, even in the middle of a character of theirs. */
static void test_control_frames_between_fragments(void **state)
{
	const uint8_t stream[] = {0x01, 1, 0xc3, 0x89, 2, 0xff, 0xfe, 0x80, 1, 0xa9};
	DECODED decoded = {0};

	(void)state;
	decode_fresh(&decoded, stream, sizeof(stream));
	assert_int_equal(decoded.result.stop, FRAME_CONTROL);
	assert_int_equal(decoded.result.used, 7);
	assert_int_equal(decoded.batch.count, 1);
	assert_int_equal(decoded.result.control.opcode, FRAME_PING);
	assert_int_equal(decoded.result.control.size, 2);
	assert_memory_equal(decoded.result.control.data, stream + 5, 2);
	decode(&decoded, stream + 7, 3);
	assert_int_equal(decoded.result.stop, FRAME_NEED_MORE);
	assert_int_equal(decoded.batch.count, 1);
	assert_true(decoded.batch.pieces[0].last);
}

static void test_control_frames_come_whole(void **state)
{
	uint8_t stream[2 + FRAME_CONTROL_MAX] = {0x8a, FRAME_CONTROL_MAX};
	DECODED decoded = {0};

	(void)state;
	for (size_t size = 0; size < sizeof(stream); size++) {
		decode_fresh(&decoded, stream, size);
		assert_int_equal(decoded.result.stop, FRAME_NEED_MORE);
		assert_int_equal(decoded.result.used, 0);
	}
	decode_fresh(&decoded, stream, sizeof(stream));
	assert_int_equal(decoded.result.stop, FRAME_CONTROL);
	assert_int_equal(decoded.result.control.opcode, FRAME_PONG);
	assert_int_equal(decoded.result.control.size, FRAME_CONTROL_MAX);
	assert_int_equal(decoded.result.used, sizeof(stream));
}

static void test_full_batches(void **state)
{
	enum {
		FRAMES = 2 * MESSAGE_BATCH_MAX + 1
	};
	uint8_t stream[2 * FRAMES];
	DECODED decoded = {0};
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(stream); i++)
		stream[i] = i % 2 == 0 ? 0x82 : 0;
	frame_decoder_init(&decoded.decoder, &(struct frame_options){0});
	for (size_t round = 0; round < 2; round++) {
		decode(&decoded, stream + at, sizeof(stream) - at);
		assert_int_equal(decoded.result.stop, FRAME_BATCH_FULL);
		assert_int_equal(decoded.batch.count, MESSAGE_BATCH_MAX);
		assert_int_equal(decoded.result.used, 2 * MESSAGE_BATCH_MAX);
		at += decoded.result.used;
	}
	decode(&decoded, stream + at, sizeof(stream) - at);
	assert_int_equal(decoded.result.stop, FRAME_NEED_MORE);
	assert_int_equal(decoded.batch.count, 1);
}

/* A batch that is not empty is added to, and a full one takes nothing, not even a ping. */
static void test_batches_are_added_to(void **state)
{
	struct message_batch batch = {.count = MESSAGE_BATCH_MAX - 1};
	uint8_t stream[] = {0x82, 1, 'a', 0x89, 0};
	struct frame_decoder decoder;
	struct frame_result result;

	(void)state;
	frame_decoder_init(&decoder, &(struct frame_options){0});
	frame_decode(&decoder, stream, sizeof(stream), &batch, &result);
	assert_int_equal(result.stop, FRAME_BATCH_FULL);
	assert_int_equal(result.used, 3);
	assert_int_equal(batch.count, MESSAGE_BATCH_MAX);
	assert_ptr_equal(batch.pieces[MESSAGE_BATCH_MAX - 1].data, stream + 2);
	frame_decode(&decoder, stream + 3, 2, &batch, &result);
	assert_int_equal(result.stop, FRAME_BATCH_FULL);
	assert_int_equal(result.used, 0);
}

static void test_the_size_of_an_open_message(void **state)
{
	DECODED decoded = {0};

	(void)state;
	decode_fresh(&decoded, BYTES(0x02, 3, 'a', 'b', 'c', 0x00, 5, 'd'));
	assert_int_equal(decoded.decoder.message_size, 4);
	assert_int_equal(decoded.decoder.kind, MESSAGE_BINARY);
	decode(&decoded, BYTES('e', 'f', 'g', 'h', 0x80, 0, 0x02, 1, 'x'));
	assert_int_equal(decoded.decoder.message_size, 1);
}

/* Section 7.4 */
static void test_close_codes(void **state)
{
	(void)state;
	for (unsigned code = 0; code <= UINT16_MAX; code++) {
		uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
		struct frame_control control = {.opcode = FRAME_CLOSE, .data = payload, .size = 2};
		struct frame_close close = {.code = 1};
		enum frame_violation violation = frame_parse_close(&control, &close);
		bool reserved = code == 1004 || code == 1005 || code == 1006 || code == 1015;
		bool allowed = (code >= 1000 && code <= 1015 && !reserved) ||
			       (code >= 3000 && code <= 4999);

		assert_int_equal(violation, allowed ? 0 : FRAME_CLOSE_CODE);
		assert_int_equal(close.code, allowed ? code : 1);
	}
}

static const struct {
	enum frame_violation violation;
	uint16_t code;
	size_t reason_size;
	const uint8_t *payload;
	size_t size;
} closes[] = {
	{0, 1005, 0, NULL, 0},
	{FRAME_CLOSE_ONE_BYTE, 0, 0, BYTES(0x03)},
	{0, 1000, 0, BYTES(0x03, 0xe8)},
	{0, 1001, 2, BYTES(0x03, 0xe9, 'o', 'k')},
	{0, 4999, 2, BYTES(0x13, 0x87, 0xc3, 0xa9)},
	{FRAME_CLOSE_NOT_UTF8, 0, 0, BYTES(0x03, 0xe8, 0xc3)},
	{FRAME_CLOSE_NOT_UTF8, 0, 0, BYTES(0x03, 0xe8, 'a', 0xff)},
	{FRAME_CLOSE_CODE, 0, 0, BYTES(0x03, 0xed, 0xff)},
};

static void test_close_payloads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		CLEANUP_FREE uint8_t *payload = exact_copy(closes[i].payload, closes[i].size);
		struct frame_control control = {
			.opcode = FRAME_CLOSE, .data = payload, .size = closes[i].size};
		struct frame_close close = {.code = 0};

		assert_int_equal(frame_parse_close(&control, &close), closes[i].violation);
		assert_int_equal(close.code, closes[i].code);
		assert_int_equal(close.reason_size, closes[i].reason_size);
		if (close.reason_size > 0)
			assert_ptr_equal(close.reason, payload + 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_violations_are_told_with_the_byte_that_makes_them),
		cmocka_unit_test(test_violations_in_single_bytes),
		cmocka_unit_test(test_nothing_of_a_violating_frame_is_handed_out),
		cmocka_unit_test(test_every_violation_has_words_and_a_code),
		cmocka_unit_test(test_headers_are_written_as_section_5_2_draws_them),
		cmocka_unit_test(test_headers_are_read_as_they_are_written),
		cmocka_unit_test(test_every_opcode_is_written),
		cmocka_unit_test(test_masking),
		cmocka_unit_test(test_empty_frames_are_pieces),
		cmocka_unit_test(test_a_frame_is_handed_out_as_it_comes),
		cmocka_unit_test(test_control_frames_between_fragments),
		cmocka_unit_test(test_control_frames_come_whole),
		cmocka_unit_test(test_full_batches),
		cmocka_unit_test(test_batches_are_added_to),
		cmocka_unit_test(test_the_size_of_an_open_message),
		cmocka_unit_test(test_close_codes),
		cmocka_unit_test(test_close_payloads),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
