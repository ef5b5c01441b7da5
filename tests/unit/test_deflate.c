/* Messages compressed, RFC 7692 section 7.2.1: what is sent can be read by who keeps the window
 * that was agreed on, and no more.
 * --wrap: calloc realloc. */
#include "test_support.h"

#include "websocket/deflate.h"

#include <zlib.h>

/* Which allocation fails, from 1, 0 for none. */
static int fails_at, allocations;

static bool fails(void)
{
	return ++allocations == fails_at;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_realloc(void *data, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
	return fails() ? NULL : __real_realloc(data, size);
}

static struct deflater *make(int window_bits, bool no_context_takeover)
{
	struct deflater *deflater = NULL;

	assert_int_equal(deflater_new(window_bits, no_context_takeover, &deflater), 0);
	return deflater;
}

/* A receiver: zlib itself, with exactly that window. */
static z_stream receiver;

static void receiver_init(int window_bits)
{
	memset(&receiver, 0, sizeof(receiver));
	assert_int_equal(inflateInit2(&receiver, -window_bits), Z_OK);
}

static int inflate_byte(uint8_t *to)
{
	receiver.next_out = to;
	receiver.avail_out = 1;
	return inflate(&receiver, Z_SYNC_FLUSH);
}

/* It is given room for one byte at a time: then it looks everything up in its window. */
static void receive(const struct buffer *message, const uint8_t *data, size_t size)
{
	CLEANUP_FREE uint8_t *copy = malloc(message->size + 4);
	uint8_t byte;

	assert_non_null(copy);
	memcpy(copy, message->data, message->size);
	memcpy(copy + message->size, "\x00\x00\xff\xff", 4);
	receiver.next_in = copy;
	receiver.avail_in = (uInt)message->size + 4;
	for (size_t i = 0; i < size; i++) {
		assert_int_equal(inflate_byte(&byte), Z_OK);
		assert_int_equal(receiver.avail_out, 0);
		assert_int_equal(byte, data[i]);
	}
	assert_true(inflate_byte(&byte) != Z_DATA_ERROR); /* the tail */
	assert_int_equal(receiver.avail_out, 1);
	assert_int_equal(receiver.avail_in, 0);
}

/* Text that repeats itself near and far. */
static void make_text(uint64_t *random, uint8_t *text, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		size_t from = random_below(random, at + 1);
		size_t length = MIN(random_below(random, 40), MIN(size - at, at - from));

		memcpy(text + at, text + from, length);
		at += length;
		if (at < size)
			text[at] = (uint8_t)random_next(random);
	}
}

static void send_in_pieces(struct deflater *deflater, const uint8_t *data, size_t size,
			   size_t piece, struct buffer *to)
{
	size_t at = 0;

	for (; size - at > piece; at += piece)
		assert_int_equal(deflater_run(deflater, data + at, piece, false, to), 0);
	assert_int_equal(deflater_run(deflater, data + at, size - at, true, to), 0);
}

static void test_all_windows(void **state)
{
	static uint8_t text[KIB(80)];
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 8 * 2; i++) {
		CLEANUP(deflater_free) struct deflater *deflater = make(8 + i / 2, i % 2);

		receiver_init(8 + i / 2);
		for (int message = 0; message < 8; message++) {
			CLEANUP(buffer_done) struct buffer to;
			size_t size = random_below(&random, message % 3 ? 500 : sizeof(text));

			buffer_init(&to, KIB(100));
			make_text(&random, text, size);
			send_in_pieces(deflater, text, size, random_below(&random, size + 1) + 1,
				       &to);
			if (i % 2)
				inflateReset(&receiver); /* it remembers nothing */
			receive(&to, text, size);
		}
		inflateEnd(&receiver);
	}
}

/* How large a message becomes. */
static size_t compressed_size(struct deflater *deflater, const void *data, size_t size)
{
	CLEANUP(buffer_done) struct buffer to;

	buffer_init(&to, KIB(100));
	assert_int_equal(deflater_run(deflater, data, size, true, &to), 0);
	return to.size;
}

static void test_it_becomes_smaller(void **state)
{
	static const char text[] =
		"{\"stream\":\"btcusdt@trade\",\"data\":{\"symbol\":\"BTCUSDT\",\"price\":\"42\"}}";

	(void)state;
	for (int bits = 8; bits <= 15; bits++) {
		CLEANUP(deflater_free) struct deflater *keeps = make(bits, false);
		CLEANUP(deflater_free) struct deflater *forgets = make(bits, true);
		size_t first = compressed_size(keeps, text, sizeof(text));
		size_t other = compressed_size(forgets, text, sizeof(text));

		assert_true(first < sizeof(text) + 8);
		assert_int_equal(first, other);
		assert_int_equal(compressed_size(forgets, text, sizeof(text)), other);
		if (bits > 8)
			assert_true(compressed_size(keeps, text, sizeof(text)) < 16);
	}
}

static void test_a_window_of_8_bits_compresses(void **state)
{
	CLEANUP(deflater_free) struct deflater *deflater = make(8, false);
	char text[1000];

	(void)state;
	memset(text, ' ', sizeof(text));
	assert_true(compressed_size(deflater, text, sizeof(text)) < 30);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "0123456789"[i * i % 10];
	assert_true(compressed_size(deflater, text, sizeof(text)) < 600);
}

static void test_the_hello_of_the_rfc(void **state)
{
	CLEANUP(deflater_free) struct deflater *deflater = make(15, false);
	CLEANUP(buffer_done) struct buffer to;

	(void)state;
	buffer_init(&to, 100);
	assert_int_equal(buffer_append(&to, "x", 1), 0);
	assert_int_equal(deflater_run(deflater, "Hello", 5, true, &to), 0);
	assert_int_equal(deflater_run(deflater, "Hello", 5, true, &to), 0);
	assert_int_equal(to.size, 1 + 7 + 5);
	/* sections 7.2.3.1 and 7.2.3.2 */
	assert_memory_equal(to.data, "x\xf2\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00", to.size);
}

static void test_empty_ones(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		CLEANUP(deflater_free) struct deflater *deflater = make(15, i);
		CLEANUP(buffer_done) struct buffer to;

		buffer_init(&to, 100);
		assert_int_equal(deflater_run(deflater, NULL, 0, true, &to), 0);
		assert_int_equal(deflater_run(deflater, NULL, 0, false, &to), 0);
		assert_int_equal(deflater_run(deflater, NULL, 0, true, &to), 0);
		assert_int_equal(to.size, 2);
		assert_memory_equal(to.data, "\0\0", 2);
		assert_int_equal(deflater_run(deflater, "Hello", 5, true, &to), 0);
		assert_int_equal(deflater_run(deflater, "", 0, true, &to), 0);
		assert_int_equal(to.size, 2 + 7 + 1);
		assert_memory_equal(to.data, "\0\0\xf2\x48\xcd\xc9\xc9\x07\x00\0", 10);
	}
}

/* The end may come without a byte of its own. */
static void test_an_empty_last_piece(void **state)
{
	CLEANUP(deflater_free) struct deflater *deflater = make(15, false);
	CLEANUP(buffer_done) struct buffer to;

	(void)state;
	buffer_init(&to, 100);
	assert_int_equal(deflater_run(deflater, "Hello", 5, false, &to), 0);
	assert_int_equal(deflater_run(deflater, NULL, 0, true, &to), 0);
	assert_int_equal(to.size, 7);
	assert_memory_equal(to.data, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
}

/* What has no room is lost, and nothing that comes later needs it. */
static void test_without_room(void **state)
{
	CLEANUP(deflater_free) struct deflater *deflater = make(15, false);
	uint8_t noise[KIB(6)];
	uint64_t random = 2;

	(void)state;
	for (size_t max = 0; max < sizeof(noise); max += 97) {
		CLEANUP(buffer_done) struct buffer small;
		CLEANUP(buffer_done) struct buffer large;

		random_fill(&random, noise, sizeof(noise));
		buffer_init(&small, max);
		buffer_init(&large, KIB(10));
		assert_int_equal(deflater_run(deflater, noise, sizeof(noise), true, &small),
				 -ENOBUFS);
		assert_int_equal(small.size, 0);
		assert_int_equal(deflater_run(deflater, noise, sizeof(noise), true, &large), 0);
		receiver_init(15);
		receive(&large, noise, sizeof(noise));
		inflateEnd(&receiver);
	}
}

static int live(void)
{
	CLEANUP(deflater_free) struct deflater *deflater = NULL;
	CLEANUP(buffer_done) struct buffer to;
	int r = deflater_new(12, false, &deflater);

	buffer_init(&to, KIB(1));
	if (r < 0)
		assert_null(deflater);
	else
		r = deflater_run(deflater, "Hello", 5, true, &to);
	assert_int_equal(to.size, r < 0 ? 0 : 7);
	return r;
}

static void test_without_memory(void **state)
{
	int r = -ENOMEM;

	(void)state;
	for (fails_at = 1; r == -ENOMEM; fails_at++) {
		allocations = 0;
		r = live();
	}
	assert_int_equal(r, 0);
	assert_true(fails_at > 4); /* ours, at least one of zlib's, the buffer's */
	fails_at = 0;
	deflater_free(NULL);
}

/* A message costs no memory but that of its buffer. */
static void test_memory_is_taken_at_once(void **state)
{
	CLEANUP(deflater_free) struct deflater *deflater = make(15, true);
	CLEANUP(buffer_done) struct buffer to;
	static uint8_t noise[KIB(90)];
	uint64_t random = 3;

	(void)state;
	random_fill(&random, noise, sizeof(noise));
	buffer_init(&to, KIB(200));
	assert_int_equal(buffer_append(&to, noise, KIB(90)), 0);
	to.size = 0;
	allocations = 0;
	for (int i = 0; i < 5; i++) {
		to.size = 0;
		assert_int_equal(deflater_run(deflater, noise, KIB(80), true, &to), 0);
	}
	assert_int_equal(allocations, 0);
}

static void test_windows_that_cannot_be(void **state)
{
	static const int wrong[] = {-15, -8, 0, 7, 16, 31};
	struct deflater *deflater = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(deflater_new(wrong[i], false, &deflater), -EINVAL);
	assert_null(deflater);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_windows),
		cmocka_unit_test(test_it_becomes_smaller),
		cmocka_unit_test(test_a_window_of_8_bits_compresses),
		cmocka_unit_test(test_the_hello_of_the_rfc),
		cmocka_unit_test(test_empty_ones),
		cmocka_unit_test(test_an_empty_last_piece),
		cmocka_unit_test(test_without_room),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_memory_is_taken_at_once),
		cmocka_unit_test(test_windows_that_cannot_be),
	};

	return cmocka_run_group_tests_name("deflate", tests, NULL, NULL);
}
