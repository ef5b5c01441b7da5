/* The spool as its users see it: segments come out in order and are deleted when they are
 * acknowledged, and what was committed survives the end of the process.
 * --wrap: none. */
#include "test_spool_support.h"

#include "spool/spool.h"

static void spool_putp(struct spool **spool)
{
	spool_free(*spool);
}

#define SPOOL CLEANUP(spool_put) struct spool
#define MEMORY_SIZE KIB(16)

static uint8_t memory[MEMORY_SIZE];

static struct spool *open_spool(const struct spool_options *options)
{
	struct spool_options complete = *options;
	struct spool *spool = NULL;

	if (!complete.path && !complete.dir)
		complete.path = scratch;
	if (complete.segment_bytes == 0)
		complete.segment_bytes = MIB(1);
	assert_int_equal(spool_open(&complete, &spool), 0);
	return spool;
}

static struct spool *open_plain(void)
{
	return open_spool(&(struct spool_options){.path = scratch});
}

/* Receives once, up to message `until`. */
static void append(struct spool *spool, struct source *source, uint64_t until)
{
	static struct message_batch batch;

	source_fill(source, &batch, memory, sizeof(memory), until);
	assert_int_equal(spool_append(spool, &batch), 0);
}

static void send_until(struct spool *spool, struct source *source, uint64_t until)
{
	while (source->number < until) {
		append(spool, source, until);
		assert_int_equal(spool_commit(spool), 0);
	}
}

static void assert_on_disk(uint64_t messages, size_t (*size_of)(uint64_t))
{
	CLEANUP_FD int dir_fd = open_dir(scratch);

	assert_int_equal(check_directory(dir_fd, size_of).messages, messages);
}

static size_t size_ten(uint64_t number)
{
	(void)number;
	return 10;
}

static size_t size_of_a_buffer_or_three(uint64_t number)
{
	return number % 2 ? 3 * MEMORY_SIZE : 100;
}

static void test_segments_of_so_many_messages(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 7});
	struct source source = {.size_of = small_sizes};

	(void)state;
	send_until(spool, &source, 50);
	assert_int_equal(spool_counters(spool).sealed, 7);
	assert_int_equal(spool_counters(spool).messages, 50);
	for (uint64_t seq = 0; seq < 49; seq += 7)
		assert_int_equal(size_of_file(spool_dir_fd(spool), seq, FORMAT_INDEX_SUFFIX),
				 FORMAT_HEADER_SIZE + 7 * FORMAT_ENTRY_SIZE);
	assert_on_disk(50, small_sizes);
}

static void test_segments_of_so_many_bytes(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_bytes = 33});
	struct source source = {.size_of = size_ten};

	(void)state;
	send_until(spool, &source, 10);
	assert_int_equal(spool_counters(spool).sealed, 3);
	for (uint64_t seq = 0; seq < 9; seq += 3)
		assert_int_equal(size_of_file(spool_dir_fd(spool), seq, FORMAT_DATA_SUFFIX), 33);
	assert_on_disk(10, size_ten);
}

static void test_messages_larger_than_segments_and_buffers(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_bytes = 1000});
	struct source source = {.size_of = size_of_a_buffer_or_three};

	(void)state;
	send_until(spool, &source, 20);
	assert_int_equal(spool_seal(spool), 0);
	assert_on_disk(20, size_of_a_buffer_or_three);
}

static void test_segments_come_out_in_order(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 5});
	struct source source = {.size_of = small_sizes};
	struct segment *segment;

	(void)state;
	send_until(spool, &source, 17);
	for (uint64_t seq = 0; seq < 15; seq += 5) {
		segment = spool_take(spool);
		assert_non_null(segment);
		assert_int_equal(segment->first_seq, seq);
		assert_int_equal(segment->records, 5);
		assert_int_equal(segment->messages, 5);
		assert_true(segment->counted);
		assert_int_equal(spool_ack(spool, segment), 0);
		assert_int_equal(size_of_file(spool_dir_fd(spool), seq, FORMAT_DATA_SUFFIX), -1);
		assert_int_equal(size_of_file(spool_dir_fd(spool), seq, FORMAT_INDEX_SUFFIX), -1);
	}
	assert_null(spool_take(spool));
	send_until(spool, &source, 20);
	segment = spool_take(spool); /* the queue was empty in between */
	assert_non_null(segment);
	assert_int_equal(segment->first_seq, 15);
	spool_keep(spool, segment);
}

static void test_counters(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 2});
	struct source source = {.size_of = size_ten};
	struct spool_counters counters;

	(void)state;
	assert_int_equal(spool_counters(spool).held_bytes, 0);
	send_until(spool, &source, 9);
	assert_int_equal(spool_ack(spool, spool_take(spool)), 0);
	spool_keep(spool, spool_take(spool));
	append(spool, &source, 10);
	counters = spool_counters(spool); /* the tenth message sealed a segment */
	assert_int_equal(counters.messages, 10);
	assert_int_equal(counters.bytes, 100);
	assert_int_equal(counters.sealed, 5);
	assert_int_equal(counters.acked, 1);
	assert_int_equal(counters.kept, 1);
	assert_int_equal(counters.backlog, 3);
	assert_int_equal(counters.held_bytes,
			 space_on_disk(spool_dir_fd(spool)) - KIB(4)); /* the lock */
	assert_true(counters.peak_bytes >= counters.held_bytes);
	append(spool, &source, 11); /* not committed: does not count */
	assert_int_equal(spool_counters(spool).messages, 10);
}

static void test_a_kept_segment_stays(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 3});
	struct source source = {.size_of = size_ten};

	(void)state;
	send_until(spool, &source, 3);
	spool_keep(spool, spool_take(spool));
	assert_null(spool_take(spool));
	assert_on_disk(3, size_ten);
	assert_true(spool_counters(spool).held_bytes > 0);
}

static void test_a_segment_that_is_gone_can_be_acknowledged(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 3});
	struct source source = {.size_of = size_ten};
	struct segment *segment;

	(void)state;
	send_until(spool, &source, 3);
	segment = spool_take(spool);
	assert_int_equal(unlink(in_scratch("00000000000000000000.data")), 0);
	assert_int_equal(spool_ack(spool, segment), 0);
	assert_int_equal(count_entries(scratch), 1); /* the lock */
	assert_int_equal(spool_counters(spool).held_bytes, 0);
}

static void test_seal_ends_what_is_open(void **state)
{
	SPOOL *spool = open_plain();
	struct source source = {.size_of = size_ten};

	(void)state;
	assert_int_equal(spool_open_since_ns(spool), 0);
	assert_int_equal(spool_seal(spool), 0);
	assert_null(spool_take(spool));
	append(spool, &source, 2);
	assert_true(spool_open_since_ns(spool) > 0);
	assert_int_equal(spool_seal(spool), 0); /* commits too */
	assert_int_equal(spool_open_since_ns(spool), 0);
	assert_int_equal(spool_counters(spool).messages, 2);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_counters(spool).sealed, 1);
}

/* A segment of which everything was dropped holds nothing: it does not come out, and its number is
 * still to be had. */
static void test_seal_of_a_segment_that_holds_nothing(void **state)
{
	SPOOL *spool = open_plain();
	struct source source = {.size_of = size_of_a_buffer_or_three, .number = 1};

	(void)state;
	append(spool, &source, 2);
	assert_int_equal(spool_commit(spool), 0);
	assert_true(spool_in_message(spool));
	assert_int_equal(spool_drop_open_message(spool), 0);
	assert_false(spool_in_message(spool));
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_counters(spool).sealed, 0);
	assert_null(spool_take(spool));
	source = (struct source){.size_of = small_sizes};
	send_until(spool, &source, 3);
	assert_int_equal(spool_seal(spool), 0);
	assert_on_disk(3, small_sizes);
}

static void add_event(struct spool *spool, enum format_kind kind, uint8_t flags, uint64_t value)
{
	const struct spool_event event = {
		.kind = kind, .flags = flags, .source = 7, .connection = 65535, .value = value};

	assert_int_equal(spool_add_event(spool, &event), 0);
}

static void assert_event(struct reader *reader, const struct format_entry *expected)
{
	struct record record;

	do
		assert_int_equal(reader_next(reader, &record), 1);
	while (!format_is_event(&record.entry));
	assert_int_equal(record.entry.kind, expected->kind);
	assert_int_equal(record.entry.flags, expected->flags);
	assert_int_equal(record.entry.length, expected->length);
	assert_int_equal(record.entry.source, 7);
	assert_int_equal(record.entry.connection, 65535);
	assert_true(record.entry.time_ns > UINT64_C(1600000000) * 1000000000);
}

static void test_events(void **state)
{
	SPOOL *spool = open_plain();
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct source source = {.size_of = size_ten};
	struct segment *segment;

	(void)state;
	add_event(spool, FORMAT_CONNECTED, 0, 0);
	send_until(spool, &source, 2);
	add_event(spool, FORMAT_DISCONNECTED, FORMAT_FLAG_CUT, FORMAT_DISCONNECTED_VALUE(1006, 12));
	assert_int_equal(spool_seal(spool), 0);
	segment = spool_take(spool);
	assert_int_equal(segment->records, 4);
	assert_int_equal(segment->messages, 2);
	assert_int_equal(reader_open(spool_dir_fd(spool), 0, true, &reader), 0);
	assert_event(reader, &(struct format_entry){.kind = FORMAT_CONNECTED});
	assert_event(reader, &(struct format_entry){
				     .kind = FORMAT_DISCONNECTED,
				     .flags = FORMAT_FLAG_CUT,
				     .length = FORMAT_DISCONNECTED_VALUE(1006, 12),
			     });
	spool_keep(spool, segment);
	send_until(spool, &source, 3);
	assert_int_equal(size_of_file(spool_dir_fd(spool), 4, FORMAT_DATA_SUFFIX), 11);
	assert_on_disk(3, size_ten);
}

static void test_how_far_the_open_segment_is_captured(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 3});
	struct source source = {.size_of = size_ten};
	struct spool_view view = {.data_size = 1};

	(void)state;
	assert_false(spool_view_open(spool, &view));
	send_until(spool, &source, 2);
	append(spool, &source, 2);
	assert_true(spool_view_open(spool, &view));
	assert_int_equal(view.first_seq, 0);
	assert_int_equal(view.data_size, 22);
	send_until(spool, &source, 3);
	assert_false(spool_view_open(spool, &view));
	send_until(spool, &source, 4);
	assert_true(spool_view_open(spool, &view));
	assert_int_equal(view.first_seq, 3);
	assert_int_equal(view.data_size, 11);
}

static void test_after_a_crash_everything_committed_is_there(void **state)
{
	struct spool_options options = {.segment_messages = 8};
	struct source source = {.size_of = small_sizes};
	uint64_t committed = 0;

	(void)state;
	for (uint64_t run = 0; run < 5; run++) {
		SPOOL *spool = open_spool(&options);
		uint64_t sealed = 0;

		assert_int_equal(spool_counters(spool).messages, 0); /* of this run */
		committed += 13;
		send_until(spool, &source, committed);
		append(spool, &source, committed + 3); /* and then the process dies */
		sealed = spool_counters(spool).messages;
		assert_true(sealed >= 13 && sealed <= 16);
		committed += sealed - 13; /* a segment that got full meanwhile is committed */
		source = (struct source){.size_of = small_sizes, .number = committed};
	}
	assert_on_disk(committed, small_sizes);
}

static void test_what_was_left_comes_out_first(void **state)
{
	struct spool_options options = {.segment_messages = 4};
	struct source source = {.size_of = small_sizes};
	static const uint64_t expected[][2] = {{0, 4}, {4, 4}, {8, 1}, {9, 4}};
	SPOOL *spool = open_spool(&options);

	(void)state;
	send_until(spool, &source, 9);
	spool_free(TAKE_PTR(spool));
	spool = open_spool(&options);
	assert_int_equal(spool_counters(spool).backlog, 3);
	assert_true(spool_counters(spool).held_bytes > 0);
	send_until(spool, &source, 13);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct segment *segment = spool_take(spool);

		assert_non_null(segment);
		assert_int_equal(segment->first_seq, expected[i][0]);
		assert_int_equal(segment->records, expected[i][1]);
		assert_int_equal(segment->counted, i == 3);
		if (!segment->counted)
			assert_int_equal(segment_check(spool_dir_fd(spool), segment), 0);
		assert_int_equal(segment->messages, expected[i][1]);
		spool_keep(spool, segment);
	}
	assert_null(spool_take(spool));
	assert_on_disk(13, small_sizes);
}

/* As a loss of power leaves it: the sizes are there, and nothing of what was written. */
static void test_a_segment_of_nothing_but_zeros_is_put_aside(void **state)
{
	struct spool_options options = {.segment_messages = 4};
	struct source source = {.size_of = small_sizes};
	uint8_t zeros[FORMAT_HEADER_SIZE + 4 * FORMAT_ENTRY_SIZE] = {0};
	SPOOL *spool = open_spool(&options);
	struct segment *segment;

	(void)state;
	send_until(spool, &source, 4);
	spool_free(TAKE_PTR(spool));
	spool = open_spool(&options);
	put_segment_file(spool_dir_fd(spool), 0, FORMAT_INDEX_SUFFIX, zeros, sizeof(zeros));
	segment = spool_take(spool);
	assert_int_equal(spool_check(spool, segment), 0);
	assert_int_equal(segment->messages, 0);
	assert_int_equal(spool_ack(spool, segment), 0);
	assert_int_equal(size_of_file(spool_dir_fd(spool), 0, FORMAT_INDEX_SUFFIX), -1);
	assert_int_equal(size_at(spool_dir_fd(spool), "00000000000000000000.index.aside1"),
			 sizeof(zeros));
	assert_true(size_at(spool_dir_fd(spool), "00000000000000000000.data.aside1") > 0);
	assert_true(spool_counters(spool).held_bytes > 0);
}

/* Also when the segment that was open is acknowledged, and the process dies before it seals. */
static void test_numbers_go_on_after_two_crashes(void **state)
{
	struct spool_options options = {.segment_messages = 100};
	struct source source = {.size_of = small_sizes};
	SPOOL *spool = open_spool(&options);
	struct segment *segment;

	(void)state;
	send_until(spool, &source, 9);
	spool_free(TAKE_PTR(spool));
	spool = open_spool(&options);
	assert_int_equal(spool_ack(spool, spool_take(spool)), 0);
	spool_free(TAKE_PTR(spool));
	spool = open_spool(&options);
	send_until(spool, &source, 10);
	assert_int_equal(spool_seal(spool), 0);
	segment = spool_take(spool);
	assert_int_equal(segment->first_seq, 9);
	spool_keep(spool, segment);
}

static void test_only_one_owner(void **state)
{
	struct spool_options options = {.path = scratch, .segment_bytes = 100};
	SPOOL *spool = open_plain();
	struct spool *second = NULL;

	(void)state;
	assert_int_equal(spool_open(&options, &second), -EWOULDBLOCK);
	assert_null(second);
	spool_free(TAKE_PTR(spool));
	assert_int_equal(spool_open(&options, &second), 0);
	spool_free(second);
}

static void test_a_spool_of_our_own_goes_when_it_is_empty(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){
		.dir = scratch, .prefix = "a-", .suffix = "-z", .segment_messages = 1});
	struct source source = {.size_of = small_sizes};
	const char *name = strrchr(spool_path(spool), '/') + 1;
	struct stat status;

	(void)state;
	assert_memory_equal(name, "a-", 2);
	assert_string_equal(name + strlen(name) - 2, "-z");
	assert_int_equal(stat(spool_path(spool), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	send_until(spool, &source, 1);
	assert_int_equal(spool_remove(spool), 0); /* it holds a segment: stays */
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(spool_ack(spool, spool_take(spool)), 0);
	assert_int_equal(spool_remove(spool), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_a_spool_of_our_own_stays_with_what_was_kept(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.dir = scratch, .segment_messages = 1});
	struct source source = {.size_of = small_sizes};

	(void)state;
	send_until(spool, &source, 1);
	spool_keep(spool, spool_take(spool));
	assert_int_equal(spool_remove(spool), 0);
	assert_int_equal(count_entries(spool_path(spool)), 3);
}

static void test_a_named_spool_is_never_removed(void **state)
{
	SPOOL *spool = open_plain();

	(void)state;
	assert_int_equal(spool_remove(spool), 0);
	assert_int_equal(count_entries(scratch), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_segments_of_so_many_messages),
		TEST_IN_SCRATCH(test_segments_of_so_many_bytes),
		TEST_IN_SCRATCH(test_messages_larger_than_segments_and_buffers),
		TEST_IN_SCRATCH(test_segments_come_out_in_order),
		TEST_IN_SCRATCH(test_counters),
		TEST_IN_SCRATCH(test_a_kept_segment_stays),
		TEST_IN_SCRATCH(test_a_segment_that_is_gone_can_be_acknowledged),
		TEST_IN_SCRATCH(test_seal_ends_what_is_open),
		TEST_IN_SCRATCH(test_seal_of_a_segment_that_holds_nothing),
		TEST_IN_SCRATCH(test_events),
		TEST_IN_SCRATCH(test_how_far_the_open_segment_is_captured),
		TEST_IN_SCRATCH(test_after_a_crash_everything_committed_is_there),
		TEST_IN_SCRATCH(test_what_was_left_comes_out_first),
		TEST_IN_SCRATCH(test_a_segment_of_nothing_but_zeros_is_put_aside),
		TEST_IN_SCRATCH(test_numbers_go_on_after_two_crashes),
		TEST_IN_SCRATCH(test_only_one_owner),
		TEST_IN_SCRATCH(test_a_spool_of_our_own_goes_when_it_is_empty),
		TEST_IN_SCRATCH(test_a_spool_of_our_own_stays_with_what_was_kept),
		TEST_IN_SCRATCH(test_a_named_spool_is_never_removed),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
