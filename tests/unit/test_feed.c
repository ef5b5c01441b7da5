/* The stream that comes with weir: the same for the same seed, for ever, and in frames that the
 * decoder takes.
 * --wrap: none. */
#include "test_support.h"

#include "feed/producer.h"
#include "websocket/frame_encode.h"

#define FIRST_TRADE                                                                                                        \
	"{\"type\":\"trade\",\"symbol\":\"BTC-USD\",\"id\":1000000001,\"price\":93412.54,\"size\":7.3804,\"side\":\"buy\"" \
	",\"maker\":\"1083389\",\"taker\":\"1594082\",\"time\":1735689600000,\"venue\":\"weir\",\"currency\":\"USD\",\"sequence\":1}"

static void test_the_first_trade(void **state)
{
	struct trade_feed feed;
	char trade[TRADE_SIZE_MAX];
	size_t size;

	(void)state;
	trade_init(&feed, 1);
	size = trade_next(&feed, trade);
	assert_int_equal(size, strlen(FIRST_TRADE));
	assert_memory_equal(trade, FIRST_TRADE, size);
}

static void test_the_same_seed_is_the_same_stream(void **state)
{
	struct trade_feed a, b, other;
	size_t same = 0;

	(void)state;
	trade_init(&a, 42);
	trade_init(&b, 42);
	trade_init(&other, 43);
	for (int i = 0; i < 1000; i++) {
		char first[TRADE_SIZE_MAX], second[TRADE_SIZE_MAX];
		size_t size = trade_next(&a, first);

		assert_int_equal(trade_next(&b, second), size);
		assert_memory_equal(first, second, size);
		same += trade_next(&other, second) == size && memcmp(first, second, size) == 0;
	}
	assert_int_equal(same, 0);
}

/* Also when prices, times and numbers are as large as they ever get. */
static void test_trades_fit(void **state)
{
	struct trade_feed feed;
	char trade[TRADE_SIZE_MAX];

	(void)state;
	trade_init(&feed, 7);
	for (int i = 0; i < 20000; i++) {
		size_t size = trade_next(&feed, trade);

		assert_in_range(size, 150, TRADE_SIZE_MAX - 1);
	}
	feed.id = feed.time_ms = UINT64_MAX - 1000;
	for (size_t i = 0; i < TRADE_SYMBOLS; i++)
		feed.prices[i] = UINT64_MAX - 100;
	for (int i = 0; i < 500; i++)
		assert_in_range(trade_next(&feed, trade), 150, TRADE_SIZE_MAX);
}

/* What comes of a stream when it is decoded. */
struct seen {
	struct frame_decoder decoder;
	uint64_t messages, bytes;
	uint8_t kind;
	bool closed;
	uint64_t filling; /* bytes of the open message */
	const struct producer_options *options;
};

/* Byte `at` of a message of a given size. */
static uint8_t filling_byte(const struct producer_options *options, uint64_t at)
{
	return (uint8_t)(options->binary ? at : 'a' + at % 26);
}

static void see_piece(struct seen *seen, const struct message_piece *piece)
{
	if (piece->first)
		seen->filling = 0;
	for (size_t i = 0; i < piece->size && seen->options->size > 0; i++)
		assert_int_equal(piece->data[i], filling_byte(seen->options, seen->filling + i));
	seen->filling += piece->size;
	seen->bytes += piece->size;
	seen->messages += piece->last;
	seen->kind = piece->kind;
	if (piece->last && seen->options->size > 0)
		assert_int_equal(seen->filling, seen->options->size);
}

static void see(struct seen *seen, uint8_t *data, size_t size)
{
	struct frame_result result;
	size_t used = 0;

	do {
		struct message_batch batch = {0};

		assert_false(seen->closed); /* nothing follows a Close */
		frame_decode(&seen->decoder, data + used, size - used, &batch, &result);
		used += result.used;
		for (size_t i = 0; i < batch.count; i++)
			see_piece(seen, &batch.pieces[i]);
		assert_int_not_equal(result.stop, FRAME_VIOLATION);
		if (result.stop == FRAME_CONTROL) {
			assert_int_equal(result.control.opcode, FRAME_CLOSE);
			assert_int_equal(result.control.size, 2);
			assert_memory_equal(result.control.data, "\x03\xe8", 2);
			seen->closed = true;
		}
	} while (used < size);
}

/* Runs a producer to its end, through a buffer of `room` bytes. */
static struct seen run(const struct producer_options *options, size_t room)
{
	CLEANUP_FREE uint8_t *buffer = malloc(room);
	struct producer producer;
	struct seen seen = {.options = options};

	assert_non_null(buffer);
	frame_decoder_init(&seen.decoder, &(struct frame_options){0});
	producer_init(&producer, options);
	for (size_t n; (n = producer_fill(&producer, buffer, room, UINT64_MAX)) > 0;) {
		assert_true(n <= room);
		see(&seen, buffer, n);
	}
	assert_true(producer.closed);
	assert_int_equal(producer.messages, seen.messages);
	assert_int_equal(producer.bytes, seen.bytes);
	return seen;
}

static void test_streams_that_end(void **state)
{
	static const struct {
		struct producer_options options;
		uint64_t messages, bytes; /* 0: not looked at */
	} streams[] = {
		{{.seed = 1, .messages_max = 1}, 1, 0},
		{{.seed = 1, .messages_max = 1000}, 1000, 0},
		{{.seed = 1, .bytes_max = 1}, 1, 0},
		{{.size = 1, .messages_max = 5}, 5, 5},
		{{.size = 10, .bytes_max = 100}, 10, 100},
		{{.size = 10, .bytes_max = 101}, 11, 110},
		{{.size = 10, .bytes_max = 100, .messages_max = 3}, 3, 30},
		{{.size = 125, .messages_max = 3}, 3, 375},
		{{.size = 126, .messages_max = 3, .binary = true}, 3, 378},
		{{.size = 65536, .messages_max = 2, .binary = true}, 2, 131072},
		{{.size = 300000, .messages_max = 2}, 2, 600000},
	};
	static const size_t rooms[] = {PRODUCER_ROOM_MIN, 1000, KIB(64)};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		for (size_t n = 0; n < ARRAY_SIZE(rooms); n++) {
			struct seen seen = run(&streams[i].options, rooms[n]);

			assert_true(seen.closed);
			assert_int_equal(seen.messages, streams[i].messages);
			if (streams[i].bytes > 0)
				assert_int_equal(seen.bytes, streams[i].bytes);
			assert_int_equal(seen.kind,
					 streams[i].options.binary ? MESSAGE_BINARY : MESSAGE_TEXT);
		}
	}
}

static void test_bytes_end_with_the_message_that_reaches_them(void **state)
{
	struct seen one = run(&(struct producer_options){.seed = 3, .messages_max = 1}, 1000);
	struct seen same = run(&(struct producer_options){.seed = 3, .bytes_max = one.bytes}, 1000);
	struct seen more =
		run(&(struct producer_options){.seed = 3, .bytes_max = one.bytes + 1}, 1000);

	(void)state;
	assert_int_equal(same.messages, 1);
	assert_int_equal(more.messages, 2);
}

static void test_no_more_messages_than_now(void **state)
{
	struct producer producer;
	uint8_t buffer[4096];

	(void)state;
	producer_init(&producer, &(struct producer_options){.seed = 1});
	assert_int_equal(producer_fill(&producer, buffer, sizeof(buffer), 0), 0);
	assert_true(producer_fill(&producer, buffer, sizeof(buffer), 3) > 0);
	assert_int_equal(producer.messages, 3);
	assert_int_equal(producer_fill(&producer, buffer, sizeof(buffer), 3), 0);
	assert_false(producer.closed);
}

static void test_a_close_in_between(void **state)
{
	static const uint8_t expected[] = {0x88, 2, 0x03, 0xe8};
	struct producer producer;
	uint8_t buffer[PRODUCER_ROOM_MIN];

	(void)state;
	producer_init(&producer, &(struct producer_options){.seed = 1});
	assert_int_equal(producer_close(&producer, buffer), sizeof(expected));
	assert_memory_equal(buffer, expected, sizeof(expected));
	assert_int_equal(producer_fill(&producer, buffer, sizeof(buffer), UINT64_MAX), 0);
}

static void test_too_little_room(void **state)
{
	struct producer producer;
	uint8_t buffer[PRODUCER_ROOM_MIN];

	(void)state;
	producer_init(&producer, &(struct producer_options){.seed = 1});
	assert_int_equal(producer_fill(&producer, buffer, sizeof(buffer) - 1, UINT64_MAX), 0);
	assert_int_equal(producer.messages, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_trade),
		cmocka_unit_test(test_the_same_seed_is_the_same_stream),
		cmocka_unit_test(test_trades_fit),
		cmocka_unit_test(test_streams_that_end),
		cmocka_unit_test(test_bytes_end_with_the_message_that_reaches_them),
		cmocka_unit_test(test_no_more_messages_than_now),
		cmocka_unit_test(test_a_close_in_between),
		cmocka_unit_test(test_too_little_room),
	};

	return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
