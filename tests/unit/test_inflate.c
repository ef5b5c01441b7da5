/* Messages decompressed, RFC 7692 section 7.2.2: whatever the pieces that they come in, and
 * whatever is in them.
 * --wrap: calloc. */
#include "test_support.h"

#include "websocket/inflate.h"

#include <zlib.h>

#define WHOLE SIZE_MAX

/* Which allocation fails, from 1, 0 for none. */
static int fails_at, allocations;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return ++allocations == fails_at ? NULL : __real_calloc(count, size);
}

/* How the bytes of a message come, and how much room there is for what becomes of them. */
struct pieces {
	size_t size;
	size_t room;
};

struct result {
	int r; /* 1: the message is complete */
	size_t size;
	uint8_t data[KIB(256)];
};

static struct result result;

/* One call, with memory of exactly those sizes. It must use up one of both. */
static int call(struct inflater *inflater, const uint8_t *data, size_t size, size_t room, bool last,
		size_t *used)
{
	CLEANUP_FREE uint8_t *from = exact_copy(data, size);
	CLEANUP_FREE uint8_t *to = malloc(room + 1);
	struct inflater_span span = {.from = from, .size = size, .to = to, .room = room};
	int r;

	assert_non_null(to);
	to[room] = 0xa5;
	r = last ? inflater_end(inflater, &span) : inflater_run(inflater, &span);
	assert_int_equal(to[room], 0xa5);
	assert_true(span.size <= size && span.room <= room);
	assert_ptr_equal(span.from, from + (size - span.size));
	assert_ptr_equal(span.to, to + (room - span.room));
	if (r == 0)
		assert_true((span.size == 0 && !last) || span.room == 0);
	assert_true(result.size + (room - span.room) <= sizeof(result.data));
	memcpy(result.data + result.size, to, room - span.room);
	result.size += room - span.room;
	*used = size - span.size;
	return r;
}

/* Fills `result`. */
static void take_message(struct inflater *inflater, const void *message, size_t size,
			 struct pieces pieces)
{
	const uint8_t *data = message;
	size_t used;

	result.r = 0;
	result.size = 0;
	while (result.r == 0) {
		size_t room = MIN(pieces.room, sizeof(result.data) - result.size);
		size_t shown = MIN(pieces.size, size);

		result.r = call(inflater, data, shown, room, shown == size, &used);
		data += used;
		size -= used;
	}
}

static struct inflater *make(bool no_context_takeover)
{
	struct inflater *inflater = NULL;

	assert_int_equal(inflater_new(no_context_takeover, &inflater), 0);
	return inflater;
}

#define M(bytes, text)                                                                             \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, text                                                     \
	}
#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"	   /* section 7.2.3.1 */
#define AGAIN "\xf2\x00\x11\x00\x00"		   /* five bytes from five bytes ago, 7.2.3.2 */
#define FINAL_HELLO "\xf3\x48\xcd\xc9\xc9\x07\x00" /* 7.2.3.5 */
#define TAIL "\x00\x00\xff\xff"
#define STORED "\x00\x05\x00\xfa\xff" /* and five bytes */

/* Messages of one connection, up to the first that is refused. */
static const struct conversation {
	const char *name;
	bool no_context_takeover;
	struct {
		const char *bytes;
		size_t size;
		const char *text; /* NULL: refused */
	} messages[6];
} conversations[] = {
	{"one", false, {M(HELLO, "Hello")}},
	{"a shared window", false, {M(HELLO, "Hello"), M(AGAIN, "Hello"), M(AGAIN, "Hello")}},
	{"no shared window", true, {M(HELLO, "Hello"), M(HELLO, "Hello"), M(AGAIN, NULL)}},
	{"a stored block", false, {M(STORED "Hello\x00", "Hello"), M(AGAIN, "Hello")}},
	{"a stored block, which holds a tail", false, {M(STORED "x" TAIL TAIL, NULL)}},
	{"two blocks", false, {M("\xf2\x48\x05\x00" TAIL "\xca\xc9\xc9\x07\x00", "Hello")}},
	{"a final block", false, {M(FINAL_HELLO "\x00", "Hello"), M(AGAIN, "Hello")}},
	{"a final block and nothing", false, {M(FINAL_HELLO, "Hello"), M(AGAIN, "Hello")}},
	{"a final block, alone", true, {M(FINAL_HELLO, "Hello"), M(AGAIN, NULL)}},
	{"a final block, then another one", false, {M(FINAL_HELLO HELLO, "HelloHello")}},
	{"final blocks",
	 false,
	 {M(FINAL_HELLO FINAL_HELLO FINAL_HELLO "\x00", "HelloHelloHello"), M(AGAIN, "Hello")}},
	{"a window beyond a final block", false, {M(FINAL_HELLO AGAIN, "HelloHello")}},
	{"a window beyond a final block only", true, {M(FINAL_HELLO AGAIN, "HelloHello")}},
	{"a final empty block", false, {M("\x01", ""), M(HELLO, "Hello")}},
	{"a final empty block behind a tail", false, {M(HELLO TAIL "\x01", "Hello")}},
	{"many final empty blocks", false, {M("\x03\x00\x03\x00\x03\x00\x03\x00\x00", "")}},
	{"empty ones",
	 false,
	 {M("\x00", ""), M("", ""), M(HELLO, "Hello"), M("", ""), M("\x00", ""),
	  M(AGAIN, "Hello")}},
	{"empty ones alone", true, {M("", ""), M("\x00", ""), M("", ""), M(HELLO, "Hello")}},
	{"a tail left in",
	 false,
	 {M(HELLO TAIL, "Hello"), M(AGAIN TAIL, "Hello"), M(HELLO, "Hello")}},
	{"two tails left in", false, {M(HELLO TAIL "\x00" TAIL, "Hello"), M(AGAIN, "Hello")}},
	{"a tail alone", false, {M("\x00" TAIL, ""), M(HELLO, "Hello")}},
	{"a part of a tail", false, {M(HELLO "\x00\x00\xff", NULL)}},
	{"a part of a tail, of one byte", false, {M(HELLO "\x00", NULL)}},
	{"a tail without a block", false, {M(TAIL, NULL)}},
	{"garbage", false, {M("garbage", NULL)}},
	{"garbage behind a tail", false, {M(HELLO TAIL "garbage", NULL)}},
	{"garbage behind a final block", false, {M(FINAL_HELLO "\xff", NULL)}},
	{"garbage behind an empty one", false, {M("\x00\x01", NULL)}},
	{"garbage after a good one", false, {M(HELLO, "Hello"), M("\xff", NULL)}},
	{"a reserved type of block", false, {M("\x06", NULL)}},
	{"a stored block of a wrong length",
	 false,
	 {M("\x00\x05\x00\xfa\xfe"
	    "Hello\x00",
	    NULL)}},
	{"a distance before everything", false, {M(AGAIN, NULL)}},
	{"a distance before it, after one", false, {M("\xf2\x48\x05\x00", "He"), M(AGAIN, NULL)}},
	{"a final block that stops", false, {M("\xf3\x48\xcd", NULL)}},
	{"a stored block that stops", false, {M(STORED "Hell", NULL)}},
	{"a stored block that stops at once", false, {M(STORED, NULL)}},
	{"a stored block without an end", false, {M(STORED "Hello\x00\x00", NULL)}},
	{"a stored block four bytes short", false, {M(STORED "H", NULL)}},
};

static void converse(const struct conversation *conversation, struct pieces pieces)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(conversation->no_context_takeover);

	for (size_t i = 0; i < ARRAY_SIZE(conversation->messages); i++) {
		const char *text = conversation->messages[i].text;

		if (!conversation->messages[i].bytes)
			return;
		take_message(inflater, conversation->messages[i].bytes,
			     conversation->messages[i].size, pieces);
		if (result.r != (text ? 1 : -EBADMSG) ||
		    (text &&
		     (result.size != strlen(text) || memcmp(result.data, text, result.size) != 0)))
			fail_msg("%s, message %zu, pieces of %zu, room of %zu: %d, %zu bytes",
				 conversation->name, i, pieces.size, pieces.room, result.r,
				 result.size);
	}
}

static void test_conversations(void **state)
{
	static const size_t rooms[] = {1, 2, 3, 4, 5, 6, 7, 10, 15, 300};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(conversations); i++)
		for (size_t size = 1; size < 24; size++)
			for (size_t j = 0; j < ARRAY_SIZE(rooms); j++)
				converse(&conversations[i], (struct pieces){size, rooms[j]});
}

/* A sender: zlib itself. */
struct sender {
	z_stream stream;
	bool no_context_takeover;
	size_t size;
	uint8_t data[KIB(128)];
};

static struct sender sender;

static void sender_init(int window_bits, int level, int strategy)
{
	memset(&sender, 0, sizeof(sender));
	assert_int_equal(deflateInit2(&sender.stream, level, Z_DEFLATED, -window_bits, 8, strategy),
			 Z_OK);
}

static void append(uint8_t *data, size_t size, int flush)
{
	sender.stream.next_in = data;
	sender.stream.avail_in = (uInt)size;
	sender.stream.next_out = sender.data + sender.size;
	sender.stream.avail_out = (uInt)(sizeof(sender.data) - sender.size);
	assert_true(deflate(&sender.stream, flush) >= 0);
	assert_int_equal(sender.stream.avail_in, 0);
	assert_true(sender.stream.avail_out > 0);
	sender.size = sizeof(sender.data) - sender.stream.avail_out;
}

static void send_message(uint8_t *data, size_t size)
{
	sender.size = 0;
	append(data, size, Z_SYNC_FLUSH);
	sender.size -= 4;
	if (sender.no_context_takeover)
		deflateReset(&sender.stream);
}

/* Text that repeats itself near and far, with some noise. */
static void make_text(uint64_t *random, uint8_t *text, size_t size)
{
	static const char *const words[] = {"\"price\":",    "\"symbol\":\"BTCUSDT\",",
					    "},{",	     "true,",
					    "\"quantity\":", "17",
					    "0.00",	     "[[",
					    "null"};

	for (size_t at = 0; at < size;) {
		const char *word = words[random_below(random, ARRAY_SIZE(words))];
		size_t length = MIN(strlen(word), size - at);

		memcpy(text + at, word, length);
		at += length;
		if (at < size && random_below(random, 3) == 0)
			text[at++] = (uint8_t)random_next(random);
	}
}

static void assert_result(const uint8_t *data, size_t size)
{
	assert_int_equal(result.r, 1);
	assert_int_equal(result.size, size);
	assert_memory_equal(result.data, data, size);
}

static void test_everything_that_zlib_sends(void **state)
{
	static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE};
	static uint8_t text[KIB(40)];
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < 7 * 2 * 4; i++) {
		CLEANUP(inflater_free) struct inflater *inflater = make(i % 2);

		sender_init(9 + i % 7, i % 10, strategies[i / 14]);
		sender.no_context_takeover = i % 2;
		for (int message = 0; message < 12; message++) {
			size_t size = random_below(&random, message % 4 ? 500 : sizeof(text));
			struct pieces pieces = {random_below(&random, size + 2) + 1,
						random_below(&random, size + 2) + 1};

			make_text(&random, text, size);
			send_message(text, size);
			take_message(inflater, sender.data, sender.size, pieces);
			assert_result(text, size);
		}
		deflateEnd(&sender.stream);
	}
}

/* Every piece size and every room, also beyond what zlib does quickly (258 bytes). */
static void test_all_pieces_of_one(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	static uint8_t text[700];
	uint64_t random = 2;

	(void)state;
	make_text(&random, text, sizeof(text));
	sender_init(15, 6, Z_DEFAULT_STRATEGY);
	send_message(text, sizeof(text));
	for (size_t size = 1; size <= sender.size + 1; size++) {
		take_message(inflater, sender.data, sender.size, (struct pieces){size, WHOLE});
		assert_result(text, sizeof(text));
		take_message(inflater, sender.data, sender.size, (struct pieces){size, size});
		assert_result(text, sizeof(text));
	}
	for (size_t room = 1; room <= sizeof(text) + 1; room++) {
		take_message(inflater, sender.data, sender.size, (struct pieces){WHOLE, room});
		assert_result(text, sizeof(text));
	}
	deflateEnd(&sender.stream);
}

/* Nothing but repetitions, whose last bytes are read long before all of them are written. */
static void test_output_without_input(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	static uint8_t text[3000];

	(void)state;
	memset(text, ' ', sizeof(text));
	sender_init(15, 9, Z_DEFAULT_STRATEGY);
	for (size_t size = sizeof(text) - 300; size < sizeof(text); size++) {
		sender.size = 0;
		deflateReset(&sender.stream);
		send_message(text, size);
		take_message(inflater, sender.data, sender.size, (struct pieces){WHOLE, 100});
		assert_result(text, size);
	}
	deflateEnd(&sender.stream);
}

/* No beginning of a message is one, as long as anything of it is missing. */
static void test_truncated_ones(void **state)
{
	static uint8_t text[2000];
	uint64_t random = 3;

	(void)state;
	for (int strategy = 0; strategy < 2; strategy++) {
		make_text(&random, text, sizeof(text));
		sender_init(15, 6, strategy ? Z_FIXED : Z_DEFAULT_STRATEGY);
		send_message(text, sizeof(text));
		for (size_t size = 1; size < sender.size; size++) {
			CLEANUP(inflater_free) struct inflater *inflater = make(false);

			take_message(inflater, sender.data, size, (struct pieces){WHOLE, WHOLE});
			if (result.size < sizeof(text))
				assert_int_equal(result.r, -EBADMSG);
			assert_true(result.size <= sizeof(text));
			assert_memory_equal(result.data, text, result.size);
		}
		deflateEnd(&sender.stream);
	}
}

/* Distances of nearly the whole window, over messages and over final blocks. */
static void test_the_far_end_of_the_window(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	static uint8_t noise[KIB(32) - 262 /* zlib's farthest */];
	static const struct pieces pieces = {1000, 777};
	uint64_t random = 4;

	(void)state;
	random_fill(&random, noise, sizeof(noise));
	sender_init(15, 9, Z_DEFAULT_STRATEGY);
	send_message(noise, sizeof(noise));
	take_message(inflater, sender.data, sender.size, pieces);
	assert_result(noise, sizeof(noise));
	for (int i = 0; i < 3; i++) {
		take_message(inflater, "\x03", 2, pieces); /* final, empty, and its NUL */
		assert_result(noise, 0);
		send_message(noise, sizeof(noise));
		assert_true(sender.size < 1000);
		take_message(inflater, sender.data, sender.size, pieces);
		assert_result(noise, sizeof(noise));
	}
	deflateEnd(&sender.stream);
}

/* A zlib before 1.2.9 that is asked for 8 bits: distances of more than 256. */
static void test_nine_bits_for_eight(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	uint8_t noise[300], text[600];
	uint64_t random = 5;

	(void)state;
	random_fill(&random, noise, sizeof(noise));
	memcpy(text, noise, sizeof(noise));
	memcpy(text + sizeof(noise), noise, sizeof(noise));
	sender_init(10, 9, Z_DEFAULT_STRATEGY);
	send_message(text, sizeof(text));
	assert_true(sender.size < 350);
	take_message(inflater, sender.data, sender.size, (struct pieces){1, 1});
	assert_result(text, sizeof(text));
	deflateEnd(&sender.stream);
}

/* A stream of its own, which refers to what came before it. */
static void append_stream(uint8_t *data, size_t size, const uint8_t *before, size_t before_size)
{
	deflateReset(&sender.stream);
	if (before_size > 0)
		assert_int_equal(deflateSetDictionary(&sender.stream, before, (uInt)before_size),
				 Z_OK);
	append(data, size, Z_FINISH);
}

/* Each message is two final blocks or more, as those make them whose library cannot flush. */
static void test_senders_that_only_finish(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	static uint8_t text[KIB(100)];
	uint64_t random = 6;
	size_t before = 0, before_size = 0;

	(void)state;
	random_fill(&random, text, sizeof(text));
	sender_init(15, 6, Z_DEFAULT_STRATEGY);
	for (int message = 0; message < 60; message++) {
		size_t size = random_below(&random, sizeof(text));
		size_t at = random_below(&random, sizeof(text) - size);
		size_t cut = random_below(&random, size + 1);
		struct pieces pieces = {message % 2 ? random_below(&random, 2000) + 1 : WHOLE,
					message % 3 ? random_below(&random, 2000) + 1 : WHOLE};

		sender.size = 0;
		append_stream(text + at, cut, text + before, before_size);
		append_stream(text + at + cut, size - cut, text + at, cut);
		sender.data[sender.size++] = '\0';
		take_message(inflater, sender.data, sender.size, pieces);
		assert_result(text + at, size);
		before = at;
		before_size = size;
	}
	deflateEnd(&sender.stream);
}

/* 64 MiB from 64 KiB, through 64 KiB of memory. */
static void test_a_bomb(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	static uint8_t memory[KIB(64)];
	struct inflater_span span = {.from = sender.data};
	size_t made = 0;
	int r;

	(void)state;
	memset(memory, ' ', sizeof(memory));
	sender_init(15, 9, Z_DEFAULT_STRATEGY);
	for (size_t size = 0; size < MIB(64); size += sizeof(memory))
		append(memory, sizeof(memory), Z_NO_FLUSH);
	append(memory, 0, Z_SYNC_FLUSH);
	deflateEnd(&sender.stream);
	assert_true(sender.size < KIB(66));
	span.size = sender.size - 4;
	allocations = 0;
	do {
		span.to = memory;
		span.room = sizeof(memory);
		r = inflater_end(inflater, &span);
		made += sizeof(memory) - span.room;
		assert_true(span.to == memory || (memory[0] == ' ' && span.to[-1] == ' '));
	} while (r == 0);
	assert_int_equal(r, 1);
	assert_int_equal(made, MIB(64));
	assert_int_equal(allocations, 0);
}

static void test_a_reset(void **state)
{
	CLEANUP(inflater_free) struct inflater *inflater = make(false);
	static const struct pieces pieces = {WHOLE, 3};
	size_t used;

	(void)state;
	for (int i = 0; i < 3; i++) {
		take_message(inflater, HELLO, sizeof(HELLO) - 1, pieces);
		assert_result((const uint8_t *)"Hello", 5);
		inflater_reset(inflater, true);
		take_message(inflater, AGAIN, sizeof(AGAIN) - 1, pieces); /* the window is gone */
		assert_int_equal(result.r, -EBADMSG);
		inflater_reset(inflater, true);
		take_message(inflater, HELLO, sizeof(HELLO) - 1, pieces);
		take_message(inflater, AGAIN, sizeof(AGAIN) - 1, pieces);
		assert_int_equal(result.r, -EBADMSG);
		inflater_reset(inflater, false);
		take_message(inflater, HELLO, sizeof(HELLO) - 1, pieces);
		take_message(inflater, AGAIN, sizeof(AGAIN) - 1, pieces);
		assert_result((const uint8_t *)"Hello", 5);
		take_message(inflater, FINAL_HELLO "\xff", sizeof(FINAL_HELLO), pieces);
		assert_int_equal(result.r, -EBADMSG);
		inflater_reset(inflater, false);
		result.size = 0;
		assert_int_equal(call(inflater, (const uint8_t *)HELLO, 7, 1, true, &used), 0);
		inflater_reset(inflater, false); /* in the middle of a message */
		take_message(inflater, "", 0, pieces);
		assert_result((const uint8_t *)"", 0);
	}
}

/* Also says that all memory is taken at once, see test_a_bomb(). */
static void test_without_memory(void **state)
{
	struct inflater *inflater = NULL;
	int r = -ENOMEM;

	(void)state;
	for (fails_at = 1; r == -ENOMEM; fails_at++) {
		allocations = 0;
		r = inflater_new(false, &inflater);
		if (r < 0)
			assert_null(inflater);
	}
	assert_int_equal(r, 0);
	assert_int_equal(allocations, fails_at - 2);
	assert_true(fails_at > 2);
	fails_at = 0;
	inflater_free(inflater);
	inflater_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_everything_that_zlib_sends),
		cmocka_unit_test(test_all_pieces_of_one),
		cmocka_unit_test(test_output_without_input),
		cmocka_unit_test(test_truncated_ones),
		cmocka_unit_test(test_the_far_end_of_the_window),
		cmocka_unit_test(test_nine_bits_for_eight),
		cmocka_unit_test(test_senders_that_only_finish),
		cmocka_unit_test(test_a_bomb),
		cmocka_unit_test(test_a_reset),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}
