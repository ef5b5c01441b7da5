/* Every message once: examples, and random deliveries against a model that is as simple as can be.
 * --wrap: calloc getrandom. */
#include "test_support.h"

#include "base/message.h"
#include "pipeline/duplicates.h"

#include <sys/random.h>

DEFINE_CLEANUP(struct duplicates *, duplicates_free);

#define DUPLICATES CLEANUP(duplicates_free) struct duplicates
#define SECOND UINT64_C(1000000000)
#define LATER (DUPLICATES_OVERLAP_NS + SECOND)

static int fails_at, allocations;
static ssize_t random_result; /* what getrandom() returns; 0: the real one */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
ssize_t __real_getrandom(void *data, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags);

void *__wrap_calloc(size_t count, size_t size)
{
	return ++allocations == fails_at ? NULL : __real_calloc(count, size);
}

ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags)
{
	if (random_result < 0)
		errno = ENOSYS;
	return random_result ? random_result : __real_getrandom(data, size, flags);
}

static struct duplicates *make(size_t window, bool unique)
{
	struct duplicates *duplicates = NULL;

	assert_int_equal(
		duplicates_new(&(struct duplicates_options){.window = window, .unique = unique},
			       &duplicates),
		0);
	return duplicates;
}

static uint64_t now_ns; /* every test begins at 0 */

static bool passes(struct duplicates *duplicates, unsigned member, const char *text)
{
	const struct duplicates_origin origin = {
		.member = member, .kind = MESSAGE_TEXT, .now_ns = now_ns};

	return !duplicates_seen(duplicates, &origin, text, strlen(text));
}

static int reset(void **state)
{
	(void)state;
	now_ns = 0;
	fails_at = 0;
	random_result = 0;
	return 0;
}

static void test_one_connection_has_no_duplicates(void **state)
{
	DUPLICATES *duplicates = make(4, false);

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_true(passes(duplicates, 0, "heartbeat"));
		assert_true(passes(duplicates, 0, "trade"));
	}
}

/* Two of A and two of B, in all six orders: two come out, each as soon as it can be. */
static void test_every_order_of_two_repetitions(void **state)
{
	static const char *const orders[] = {"AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		DUPLICATES *duplicates = make(4, false);
		int delivered[2] = {0}, passed = 0;

		for (const char *at = orders[i]; *at; at++) {
			unsigned member = *at == 'B';
			bool is_new = ++delivered[member] > passed;

			assert_int_equal(passes(duplicates, member, "trade"), is_new);
			passed += is_new;
		}
		assert_int_equal(passed, 2);
	}
}

static void test_a_key_is_let_through_once(void **state)
{
	DUPLICATES *duplicates = make(2, true);

	(void)state;
	assert_true(passes(duplicates, 0, "1"));
	assert_false(passes(duplicates, 0, "1"));
	assert_false(passes(duplicates, 7, "1"));
	now_ns = LATER;
	duplicates_joined(duplicates, 7, now_ns);
	assert_false(passes(duplicates, 7, "1"));
	assert_true(passes(duplicates, 7, "2"));
	assert_false(passes(duplicates, 0, "1")); /* which makes it no younger: */
	assert_true(passes(duplicates, 0, "3"));
	assert_false(passes(duplicates, 1, "2"));
	assert_true(passes(duplicates, 1, "1"));
}

static void test_the_window_is_exact(void **state)
{
	enum {
		WINDOW = 100
	};
	DUPLICATES *duplicates = make(WINDOW, false);
	char text[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_true(passes(duplicates, 0, text));
		if (i < WINDOW)
			continue;
		snprintf(text, sizeof(text), "%d", i - WINDOW + 1);
		assert_false(passes(duplicates, 1, text));
	}
	assert_false(passes(duplicates, 2, "900"));
	assert_true(passes(duplicates, 2, "899"));
	assert_true(passes(duplicates, 2, "900")); /* the one before took its place */
}

/* What is let through again is as young as what is new. */
static void test_what_repeats_is_not_forgotten(void **state)
{
	DUPLICATES *duplicates = make(2, false);
	char text[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_true(passes(duplicates, 0, "heartbeat"));
		assert_true(passes(duplicates, 0, text));
		assert_false(passes(duplicates, 1, "heartbeat"));
	}
}

static void test_a_window_of_one(void **state)
{
	DUPLICATES *duplicates = make(1, false);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(passes(duplicates, 0, "a"));
		assert_false(passes(duplicates, 1, "a"));
		assert_true(passes(duplicates, 0, "b"));
		assert_false(passes(duplicates, 1, "b"));
	}
}

static void test_kinds_are_different(void **state)
{
	struct duplicates_origin origin = {.kind = MESSAGE_TEXT};
	DUPLICATES *duplicates = make(4, true);

	(void)state;
	assert_false(duplicates_seen(duplicates, &origin, "a", 1));
	origin.kind = MESSAGE_BINARY;
	assert_false(duplicates_seen(duplicates, &origin, "a", 1));
	assert_true(duplicates_seen(duplicates, &origin, "a", 1));
	assert_false(duplicates_seen(duplicates, &origin, NULL, 0));
	assert_true(duplicates_seen(duplicates, &origin, NULL, 0));
	assert_false(duplicates_seen(duplicates, &origin, "\0", 1));
	assert_false(duplicates_seen(duplicates, &origin, "\0\0", 2));
}

/* While B was away, a heartbeat passed a hundred times. Then A goes. */
static void test_who_was_away_catches_up(void **state)
{
	DUPLICATES *duplicates = make(4, false);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(passes(duplicates, 0, "heartbeat"));
	assert_true(passes(duplicates, 0, "once"));
	now_ns += LATER;
	duplicates_joined(duplicates, 1, now_ns);
	for (int i = 0; i < 3; i++)
		assert_true(passes(duplicates, 1, "heartbeat"));
	assert_false(passes(duplicates, 0, "heartbeat"));
}

/* The same, but the last heartbeat came just before: B may bring a copy of it. */
static void test_what_is_under_way_is_expected(void **state)
{
	DUPLICATES *duplicates = make(4, false);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(passes(duplicates, 0, "heartbeat"));
	assert_true(passes(duplicates, 0, "once"));
	now_ns += DUPLICATES_OVERLAP_NS;
	duplicates_joined(duplicates, 1, now_ns);
	assert_false(passes(duplicates, 1, "once"));
	assert_false(passes(duplicates, 1, "heartbeat"));
	assert_true(passes(duplicates, 1, "heartbeat"));
	assert_true(passes(duplicates, 1, "once"));
	duplicates_joined(duplicates, 1, now_ns); /* nobody is behind: nothing changes */
	assert_true(passes(duplicates, 1, "heartbeat"));
}

/* More repetitions than a count can hold, and two connections that are far apart. */
static void test_counts_do_not_overflow(void **state)
{
	enum {
		LAG = 20000,
		TIMES = 200000
	};
	DUPLICATES *duplicates = make(4, false);
	int passed = 0;

	(void)state;
	for (int i = 0; i < TIMES + LAG; i++) {
		if (i < TIMES)
			passed += passes(duplicates, 0, "same");
		if (i >= LAG)
			passed += passes(duplicates, 1, "same");
	}
	assert_int_equal(passed, TIMES);
}

static void test_pieces(void **state)
{
	const struct duplicates_origin a = {.member = 0, .kind = MESSAGE_BINARY},
				       b = {.member = 1, .kind = MESSAGE_BINARY};
	DUPLICATES *duplicates = make(1000, false);
	uint64_t random = 4418;
	static uint8_t data[5000];

	(void)state;
	random_fill(&random, data, sizeof(data));
	for (size_t i = 0; i < 300; i++) {
		size_t size = random_below(&random, sizeof(data)), at = 0, left = 0;
		struct duplicates_message message, other;

		data[i] ^= 1; /* a message that was not there before */
		size = MAX(size, i + 1);
		duplicates_begin(duplicates, &message);
		duplicates_begin(duplicates, &other); /* never ends */
		for (; at < size; at += left) {
			left = MIN(1 + random_below(&random, 1500), size - at);
			duplicates_update(&message, data + at, left);
			duplicates_update(&other, data + at, left / 2);
		}
		assert_false(duplicates_seen(duplicates, &a, data, size));
		assert_true(duplicates_end(duplicates, &message, &b));
	}
}

/* The reference: what was let through, oldest first, in a list. */
enum {
	CONNECTIONS = 3,
	TEXTS_MAX = 400
};

struct model {
	size_t window, count;
	struct {
		int text;
		int delivered[CONNECTIONS];
		int passed;
		uint64_t passed_ns;
	} known[TEXTS_MAX];
};

static bool model_passes(struct model *model, unsigned member, int text)
{
	size_t i = 0;
	__typeof__(model->known[0]) it = {.text = text};

	while (i < model->count && model->known[i].text != text)
		i++;
	if (i < model->count) {
		model->known[i].delivered[member]++;
		it = model->known[i];
		if (it.delivered[member] <= it.passed)
			return false;
	} else {
		it.delivered[member] = 1;
		if (model->count == model->window)
			i = 0;
		else
			model->count++;
	}
	it.passed++;
	it.passed_ns = now_ns;
	memmove(&model->known[i], &model->known[i + 1],
		(model->count - i - 1) * sizeof(model->known[0]));
	model->known[model->count - 1] = it;
	return true;
}

static void model_joined(struct model *model, unsigned member)
{
	for (size_t i = 0; i < model->count; i++) {
		bool recent = now_ns - model->known[i].passed_ns <= DUPLICATES_OVERLAP_NS;
		int *delivered = &model->known[i].delivered[member];

		*delivered = MAX(*delivered, model->known[i].passed - recent);
	}
}

/* A feed of `count` texts, `kinds` different ones, and how far each connection is. */
struct feed {
	int texts[2000];
	size_t count;
	size_t at[CONNECTIONS];
};

static void feed_make(struct feed *feed, uint64_t *random, size_t count, size_t kinds)
{
	*feed = (struct feed){.count = count};
	for (size_t i = 0; i < count; i++)
		feed->texts[i] = kinds > 0 ? (int)random_below(random, kinds) : (int)i;
}

static bool deliver(struct duplicates *duplicates, unsigned member, int text)
{
	char payload[16];

	snprintf(payload, sizeof(payload), "text %d", text);
	return passes(duplicates, member, payload);
}

/* Any deliveries, any reconnects: the same answers. */
static void test_random_deliveries_against_the_model(void **state)
{
	static struct model model;
	uint64_t random = 77;
	size_t answers[2] = {0};

	(void)state;
	for (size_t round = 0; round < 60; round++) {
		size_t window = 1 + random_below(&random, 60);
		size_t texts = 1 + random_below(&random, 2 * window + 1);
		DUPLICATES *duplicates = make(window, false);

		model = (struct model){.window = window};
		for (size_t i = 0; i < 2000; i++) {
			unsigned member = (unsigned)random_below(&random, CONNECTIONS);
			int text = (int)random_below(&random, texts);
			bool expected;

			now_ns += random_below(&random, SECOND);
			if (random_below(&random, 50) == 0) {
				duplicates_joined(duplicates, member, now_ns);
				model_joined(&model, member);
			}
			expected = model_passes(&model, member, text);
			answers[expected]++;
			assert_int_equal(deliver(duplicates, member, text), expected);
		}
	}
	assert_true(answers[0] > 10000 && answers[1] > 10000);
}

/* Connections that bring the same sequence, at any distance: what comes out is the sequence, but
 * for the order, whatever repeats in it. */
static void test_nothing_is_lost_and_nothing_is_twice(void **state)
{
	uint64_t random = 5;

	(void)state;
	for (size_t round = 0; round < 40; round++) {
		static struct feed feed;
		DUPLICATES *duplicates = make(4000, false);
		int balance[2000] = {0};
		size_t out = 0, connections = 2 + random_below(&random, 2);

		feed_make(&feed, &random, 2000, random_below(&random, 300));
		for (size_t left = connections * feed.count; left > 0;) {
			unsigned member = (unsigned)random_below(&random, connections);
			size_t run = random_below(&random, 200);

			for (; run > 0 && feed.at[member] < feed.count; run--, left--) {
				int text = feed.texts[feed.at[member]++];

				if (!deliver(duplicates, member, text))
					continue;
				balance[text]++;
				out++;
			}
		}
		assert_int_equal(out, feed.count);
		for (size_t i = 0; i < feed.count; i++)
			balance[feed.texts[i]]--;
		for (size_t i = 0; i < feed.count; i++)
			assert_int_equal(balance[i], 0);
	}
}

/* Where a connection begins that is opened now: with what comes next, or a little before, as far as
 * that was let through not longer ago than the overlap, and not brought by the one before it. */
static size_t live_position(const struct feed *feed, unsigned member, const uint64_t *passed_ns,
			    size_t before)
{
	size_t at = 0;

	for (size_t i = 0; i < CONNECTIONS; i++)
		at = MAX(at, feed->at[i]);
	for (; before > 0 && at > feed->at[member]; before--, at--)
		if (now_ns - passed_ns[at - 1] > DUPLICATES_OVERLAP_NS)
			break;
	return at;
}

/* Connections at any distance that lose what was under way when they were opened again, of a feed
 * in which nothing repeats: what any of them brings comes out once. */
static void test_reconnects_of_a_feed_without_repetitions(void **state)
{
	uint64_t random = 6;

	(void)state;
	for (size_t round = 0; round < 40; round++) {
		static struct feed feed;
		DUPLICATES *duplicates = make(4000, false);
		int brought[2000] = {0}, out[2000] = {0};
		uint64_t passed_ns[2000] = {0};

		feed_make(&feed, &random, 2000, 0);
		for (size_t step = 0; step < 200; step++) {
			unsigned member = (unsigned)random_below(&random, CONNECTIONS);
			size_t run = random_below(&random, 40);

			now_ns += random_below(&random, 2 * SECOND);
			if (random_below(&random, 4) == 0) {
				duplicates_joined(duplicates, member, now_ns);
				feed.at[member] = live_position(&feed, member, passed_ns, run);
			}
			for (; run > 0 && feed.at[member] < feed.count; run--) {
				size_t text = feed.at[member]++;

				brought[text] = 1;
				if (!deliver(duplicates, member, (int)text))
					continue;
				out[text]++;
				passed_ns[text] = now_ns;
			}
		}
		assert_memory_equal(out, brought, sizeof(out));
	}
}

/* Of a feed in which payloads repeat, seconds apart, each connection in turn is away for a while.
 * One of them is there at any time. At most one repetition of a payload is lost for a reconnect. */
static void test_reconnects_of_a_feed_with_repetitions(void **state)
{
	enum {
		KINDS = 5,
		ROUNDS = 50
	};
	uint64_t random = 7;
	int sent[KINDS] = {0}, out[KINDS] = {0};
	DUPLICATES *duplicates = make(100, false);

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned away = round % 2;

		for (int i = 0; i < 100; i++) {
			int text = (int)random_below(&random, KINDS);

			now_ns += SECOND;
			sent[text]++;
			if (i == 50)
				duplicates_joined(duplicates, away, now_ns);
			out[text] += deliver(duplicates, 1 - away, text);
			if (i >= 50)
				out[text] += deliver(duplicates, away, text);
		}
	}
	for (int i = 0; i < KINDS; i++)
		assert_true(out[i] <= sent[i] && out[i] >= sent[i] - ROUNDS);
}

static void test_the_largest_windows(void **state)
{
	struct duplicates *duplicates = NULL;
	const struct duplicates_options too_large = {.window = DUPLICATES_WINDOW_MAX + 1};

	(void)state;
	assert_int_equal(duplicates_new(&too_large, &duplicates), -ERANGE);
	assert_null(duplicates);
	duplicates_free(NULL);
	duplicates = make(0, false);
	assert_true(passes(duplicates, 0, "a"));
	assert_false(passes(duplicates, 1, "a"));
	duplicates_free(duplicates);
}

static void test_what_cannot_be_had(void **state)
{
	static const struct duplicates_options options = {.window = 10};
	struct duplicates *duplicates = NULL;

	(void)state;
	for (fails_at = 1; fails_at <= 3; fails_at++) {
		allocations = 0;
		assert_int_equal(duplicates_new(&options, &duplicates), -ENOMEM);
		assert_null(duplicates);
	}
	fails_at = 0;
	random_result = -1;
	assert_int_equal(duplicates_new(&options, &duplicates), -ENOSYS);
	random_result = 3;
	assert_int_equal(duplicates_new(&options, &duplicates), -EIO);
	assert_null(duplicates);
}

#define TEST(function) cmocka_unit_test_setup(function, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_connection_has_no_duplicates),
		TEST(test_every_order_of_two_repetitions),
		TEST(test_a_key_is_let_through_once),
		TEST(test_the_window_is_exact),
		TEST(test_what_repeats_is_not_forgotten),
		TEST(test_a_window_of_one),
		TEST(test_kinds_are_different),
		TEST(test_who_was_away_catches_up),
		TEST(test_what_is_under_way_is_expected),
		TEST(test_counts_do_not_overflow),
		TEST(test_pieces),
		TEST(test_random_deliveries_against_the_model),
		TEST(test_nothing_is_lost_and_nothing_is_twice),
		TEST(test_reconnects_of_a_feed_without_repetitions),
		TEST(test_reconnects_of_a_feed_with_repetitions),
		TEST(test_the_largest_windows),
		TEST(test_what_cannot_be_had),
	};

	return cmocka_run_group_tests_name("duplicates", tests, NULL, NULL);
}
