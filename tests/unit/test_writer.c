/* One segment: what is appended in any pieces stands in the files, in order and exactly, and the
 * limits hold to the byte.
 * --wrap: none. */
#include "test_spool_support.h"

#include "spool/runs.h"
#include "spool/writer.h"

#define ENTRIES_AT_ONCE 16384 /* of the writer's own buffer */

DEFINE_CLEANUP(struct writer *, writer_free);

struct place {
	int dir_fd;
	struct writer *writer;
	struct source source;
	struct message_batch batch;
	uint8_t *memory; /* the receive buffer, of exactly its size */
	size_t memory_size;
};

static void place_open(struct place *place, size_t (*size_of)(uint64_t), size_t memory_size,
		       const struct writer_options *limits)
{
	struct writer_options options = *limits;

	*place = (struct place){.dir_fd = open_dir(scratch),
				.source = {.size_of = size_of},
				.memory = malloc(memory_size),
				.memory_size = memory_size};
	options.path = scratch;
	options.dir_fd = place->dir_fd;
	assert_non_null(place->memory);
	assert_int_equal(writer_open(&options, &place->writer), 0);
}

static void place_donep(struct place *place)
{
	writer_free(place->writer);
	free(place->memory);
	close(place->dir_fd);
}

#define PLACE CLEANUP(place_done) struct place
#define UNLIMITED (&(struct writer_options){.bytes_max = UINT64_MAX})

/* Receives once, up to message `until`, and appends; nothing is committed. */
static void append(struct place *place, uint64_t until)
{
	size_t at = 0;

	source_fill(&place->source, &place->batch, place->memory, place->memory_size, until);
	writer_append(place->writer, &place->batch, &at);
	assert_int_equal(at, place->batch.count);
}

static void send_until(struct place *place, uint64_t until)
{
	while (place->source.number < until) {
		append(place, until);
		assert_int_equal(writer_commit(place->writer, UINT64_MAX), 0);
	}
}

static void add_event(struct place *place, enum format_kind kind, uint64_t value)
{
	struct format_entry event = {.kind = (uint8_t)kind, .length = value, .connection = 3};

	assert_int_equal(writer_add_event(place->writer, &event), 0);
}

static void assert_holds(struct place *place, uint64_t messages, bool sealed)
{
	struct check check = {.size_of = place->source.size_of};

	check_segment(&check, place->dir_fd, 0, sealed);
	assert_int_equal(check.messages, messages);
}

static void seal(struct place *place)
{
	assert_int_equal(writer_seal(place->writer), 0);
	assert_int_equal(size_of_file(place->dir_fd, 0, FORMAT_OPEN_SUFFIX), -1);
}

static void test_an_empty_segment(void **state)
{
	PLACE place;
	struct format_header header;
	size_t size;

	(void)state;
	place_open(&place, small_sizes, 100, UNLIMITED);
	CLEANUP_FREE uint8_t *index = get_segment_file(place.dir_fd, 0, FORMAT_OPEN_SUFFIX, &size);
	assert_int_equal(size, FORMAT_HEADER_SIZE);
	assert_int_equal(format_read_header(index, &header), 0);
	assert_int_equal(header.first_seq, 0);
	assert_true(header.created_ns > UINT64_C(1600000000000000000));
	assert_int_equal(size_of_file(place.dir_fd, 0, FORMAT_DATA_SUFFIX), 0);
	assert_int_equal(writer_committed(place.writer).records, 0);
	assert_false(writer_is_full(place.writer));
}

static void test_what_is_written_is_read_back(void **state)
{
	static const size_t memory_sizes[] = {4, 5, 17, 100, 4096, KIB(64) + 1, MIB(1)};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(memory_sizes); i++) {
		PLACE place;
		size_t (*size_of)(uint64_t) = memory_sizes[i] < 1000 ? small_sizes : mixed_sizes;

		place_open(&place, size_of, memory_sizes[i], UNLIMITED);
		send_until(&place, 150);
		assert_holds(&place, 150, false);
		seal(&place);
		assert_holds(&place, 150, true);
		empty_scratch();
	}
}

static void test_the_data_file_is_payloads_and_newlines(void **state)
{
	PLACE place;
	size_t size, at = 0;

	(void)state;
	place_open(&place, small_sizes, 333, UNLIMITED);
	send_until(&place, 100);
	seal(&place);
	CLEANUP_FREE uint8_t *data = get_segment_file(place.dir_fd, 0, FORMAT_DATA_SUFFIX, &size);
	for (uint64_t number = 0; number < 100; number++) {
		for (size_t i = 0; i < small_sizes(number); i++)
			assert_int_equal(data[at++], message_byte(number, i));
		assert_int_equal(data[at++], '\n');
	}
	assert_int_equal(at, size);
}

static void test_a_writer_that_dies_leaves_what_was_committed(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, small_sizes, KIB(4), UNLIMITED);
	send_until(&place, 20);
	append(&place, 30);
	writer_free(TAKE_PTR(place.writer));
	assert_holds(&place, 20, false);
}

static void test_what_is_known_of_a_segment(void **state)
{
	PLACE place;
	struct segment segment;
	uint64_t bytes = 0;

	(void)state;
	place_open(&place, small_sizes, 700, UNLIMITED);
	add_event(&place, FORMAT_CONNECTED, 0);
	send_until(&place, 50);
	for (uint64_t number = 0; number < 50; number++)
		bytes += small_sizes(number);
	append(&place, 51);
	segment = writer_committed(place.writer);
	assert_int_equal(segment.messages, 50);
	assert_int_equal(segment.records, 51);
	assert_int_equal(segment.bytes, bytes);
	assert_true(segment.counted);
	assert_int_equal(segment.first_time_ns, MESSAGE_TIME_NS(0));
	assert_true(segment.last_time_ns > segment.first_time_ns &&
		    segment.last_time_ns <= MESSAGE_TIME_NS(49));
	assert_int_equal(writer_data_size(place.writer), bytes + 50);
	assert_int_equal(segment.disk_bytes, writer_held(place.writer));
}

static size_t size_ten(uint64_t number)
{
	(void)number;
	return 10;
}

static void test_full_with_so_many_messages(void **state)
{
	PLACE place;
	size_t at = 0;

	(void)state;
	place_open(&place, size_ten, KIB(4),
		   &(struct writer_options){.bytes_max = UINT64_MAX, .messages_max = 7});
	add_event(&place, FORMAT_CONNECTED, 0); /* does not count */
	source_fill(&place.source, &place.batch, place.memory, place.memory_size, 6);
	writer_append(place.writer, &place.batch, &at);
	assert_int_equal(at, 6);
	assert_false(writer_is_full(place.writer));
	assert_int_equal(writer_commit(place.writer, 0), 0);
	source_fill(&place.source, &place.batch, place.memory, place.memory_size, 20);
	at = 0;
	writer_append(place.writer, &place.batch, &at);
	assert_int_equal(at, 1);
	assert_true(writer_is_full(place.writer));
	writer_append(place.writer, &place.batch, &at);
	assert_int_equal(at, 1);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	assert_true(writer_is_full(place.writer));
	assert_holds(&place, 7, false);
}

static void test_full_with_so_many_bytes(void **state)
{
	static const struct {
		uint64_t bytes_max;
		size_t messages;
	} limits[] = {{1, 1}, {10, 1}, {11, 1}, {12, 2}, {22, 2}, {23, 3}, {110, 10}, {111, 11}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		PLACE place;
		size_t at = 0;

		place_open(&place, size_ten, KIB(4),
			   &(struct writer_options){.bytes_max = limits[i].bytes_max});
		source_fill(&place.source, &place.batch, place.memory, place.memory_size, 40);
		writer_append(place.writer, &place.batch, &at);
		assert_int_equal(at, limits[i].messages);
		assert_true(writer_is_full(place.writer));
		empty_scratch();
	}
}

static size_t size_five_thousand(uint64_t number)
{
	(void)number;
	return 5000;
}

static void test_never_full_inside_a_message(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, size_five_thousand, 1000,
		   &(struct writer_options){.bytes_max = 100, .messages_max = 1});
	while (place.source.number == 0) {
		assert_false(writer_is_full(place.writer));
		append(&place, 1);
		assert_int_equal(writer_in_message(place.writer), place.source.number == 0);
		assert_int_equal(writer_commit(place.writer, UINT64_MAX), 0);
	}
	assert_true(writer_is_full(place.writer));
	assert_holds(&place, 1, false);
}

/* Appends a batch, with commits in between when the writer wants them. Returns how many. */
static size_t append_and_commit(struct place *place)
{
	size_t at = 0, commits = 0;

	for (;;) {
		writer_append(place->writer, &place->batch, &at);
		if (at == place->batch.count)
			return commits;
		assert_int_equal(writer_commit(place->writer, UINT64_MAX), 0);
		commits++;
	}
}

/* Sends messages of no size from one buffer. Returns how many commits the writer wanted. */
static size_t send_from_one_buffer(struct place *place, uint64_t messages)
{
	size_t commits = 0;

	place->source.free = place->memory;
	for (uint8_t *to = place->memory + 1; place->source.number < messages;) {
		for (place->batch.count = 0;
		     place->batch.count < MESSAGE_BATCH_MAX && place->source.number < messages;
		     place->batch.count++)
			assert_true(source_put(&place->source,
					       &place->batch.pieces[place->batch.count], &to,
					       place->memory + place->memory_size));
		commits += append_and_commit(place);
	}
	return commits;
}

/* More records than the writer keeps. */
static void test_many_records_in_one_buffer(void **state)
{
	PLACE place;
	const uint64_t messages = ENTRIES_AT_ONCE + 100;

	(void)state;
	place_open(&place, no_sizes, 2 * (ENTRIES_AT_ONCE + 200), UNLIMITED);
	place.source.all_moved = true;
	assert_int_equal(send_from_one_buffer(&place, messages), 1);
	assert_int_equal(writer_committed(place.writer).messages, ENTRIES_AT_ONCE);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	seal(&place);
	assert_holds(&place, messages, true);
}

/* More stretches of memory than it keeps: each message that was not moved is one, and its separator
 * another. */
static void test_many_stretches_in_one_buffer(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, no_sizes, KIB(8), UNLIMITED);
	assert_true(send_from_one_buffer(&place, 4000) > 4000 / 4 * 2 / RUNS_MAX - 1);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	seal(&place);
	assert_holds(&place, 4000, true);
}

static void test_many_events_in_one_commit(void **state)
{
	PLACE place;
	struct check check = {.size_of = no_sizes};

	(void)state;
	place_open(&place, no_sizes, 100, UNLIMITED);
	for (size_t i = 0; i < ENTRIES_AT_ONCE + 5; i++)
		add_event(&place, FORMAT_GAP, i);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	check_segment(&check, place.dir_fd, 0, false);
	assert_int_equal(check.events, ENTRIES_AT_ONCE + 5);
}

static void assert_event(const struct record *record, uint64_t seq, uint8_t kind, uint64_t offset,
			 uint64_t value)
{
	assert_int_equal(record->seq, seq);
	assert_int_equal(record->entry.kind, kind);
	assert_int_equal(record->entry.offset, offset);
	assert_int_equal(record->entry.length, value);
	assert_int_equal(record->entry.connection, 3);
	assert_null(record->payload);
}

static void test_events_stand_between_messages(void **state)
{
	PLACE place;
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;

	(void)state;
	place_open(&place, size_ten, KIB(1), UNLIMITED);
	place.source.connection = 3;
	add_event(&place, FORMAT_CONNECTED, 0);
	append(&place, 2);
	add_event(&place, FORMAT_GAP, UINT64_MAX);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	send_until(&place, 3);
	add_event(&place, FORMAT_DISCONNECTED, FORMAT_DISCONNECTED_VALUE(1006, 77));
	assert_int_equal(writer_commit(place.writer, 0), 0);
	seal(&place);
	assert_int_equal(reader_open(place.dir_fd, 0, true, &reader), 0);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_event(&record, 0, FORMAT_CONNECTED, 0, 0);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record.entry.connection, 3);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_event(&record, 3, FORMAT_GAP, 22, UINT64_MAX);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record.entry.kind, message_kind(2));
	assert_int_equal(reader_next(reader, &record), 1);
	assert_event(&record, 5, FORMAT_DISCONNECTED, 33, 77 << 16 | 1006);
	assert_int_equal(reader_next(reader, &record), 0);
}

static void assert_next(struct reader *reader, uint8_t flags, uint16_t source, uint64_t time_ns)
{
	struct record record;

	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record.entry.flags, flags);
	assert_int_equal(record.entry.source, source);
	assert_int_equal(record.entry.connection, 65535);
	assert_int_equal(record.entry.time_ns, time_ns);
}

/* A message that comes in pieces has the time of its last one, and says where that is from. */
static void test_where_a_message_came_from_and_when(void **state)
{
	PLACE place;
	CLEANUP(reader_free) struct reader *reader = NULL;

	(void)state;
	place_open(&place, size_ten, KIB(1), UNLIMITED);
	place.source.connection = 65535;
	place.source.origin = 65535;
	send_until(&place, 1);
	place.source.kernel_time = true;
	send_until(&place, 2);
	place.source.origin = 1;
	source_fill(&place.source, &place.batch, place.memory, 8, 3);
	append_and_commit(&place);
	assert_true(writer_in_message(place.writer));
	assert_int_equal(writer_commit(place.writer, 0), 0);
	place.source.kernel_time = false;
	source_fill(&place.source, &place.batch, place.memory, place.memory_size, 3);
	place.batch.time_ns = 5;
	append_and_commit(&place);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	seal(&place);
	assert_int_equal(reader_open(place.dir_fd, 0, true, &reader), 0);
	assert_next(reader, 0, 65535, MESSAGE_TIME_NS(0));
	assert_next(reader, FORMAT_FLAG_KERNEL_TIME, 65535, MESSAGE_TIME_NS(1));
	assert_next(reader, 0, 1, 5);
}

static void drop(struct place *place)
{
	assert_true(writer_in_message(place->writer));
	assert_int_equal(writer_drop_open_message(place->writer), 0);
	assert_false(writer_in_message(place->writer));
	assert_int_equal(writer_drop_open_message(place->writer), 0);
	place->source.at = 0; /* it will be sent again */
}

static void finish_after_drop(struct place *place, uint64_t messages)
{
	add_event(place, FORMAT_DISCONNECTED, 1006);
	send_until(place, messages);
	assert_int_equal(writer_commit(place->writer, 0), 0);
	seal(place);
	assert_holds(place, messages, true);
}

static void test_drop_before_anything_was_written(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, size_ten, 1 + 3 * 12 + 7, UNLIMITED);
	append(&place, 9); /* three messages, and half of the fourth */
	drop(&place);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	assert_holds(&place, 3, false);
	finish_after_drop(&place, 6);
}

static void test_drop_after_a_part_was_written(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, size_five_thousand, 6000, UNLIMITED);
	for (int i = 0; i < 2; i++) {
		append(&place, 9);
		assert_int_equal(writer_commit(place.writer, UINT64_MAX), 0);
	}
	assert_int_equal(writer_data_size(place.writer), 2 * 5001);
	assert_true(size_of_file(place.dir_fd, 0, FORMAT_DATA_SUFFIX) > 2 * 5001);
	drop(&place);
	assert_int_equal(size_of_file(place.dir_fd, 0, FORMAT_DATA_SUFFIX), 2 * 5001);
	finish_after_drop(&place, 4);
}

static void test_drop_with_a_part_written_and_a_part_not(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, size_five_thousand, 2000, UNLIMITED);
	append(&place, 9);
	assert_int_equal(writer_commit(place.writer, UINT64_MAX), 0);
	append(&place, 9);
	drop(&place);
	assert_int_equal(writer_data_size(place.writer), 0);
	finish_after_drop(&place, 2);
}

static void test_drop_of_a_message_without_a_byte(void **state)
{
	PLACE place;
	size_t at = 0;

	(void)state;
	place_open(&place, size_ten, 100, UNLIMITED);
	send_until(&place, 2);
	place.batch.count = 1;
	place.batch.pieces[0] = (struct message_piece){
		.data = place.memory + 3, .kind = MESSAGE_TEXT, .first = true};
	writer_append(place.writer, &place.batch, &at);
	assert_int_equal(writer_commit(place.writer, 0), 0);
	drop(&place);
	finish_after_drop(&place, 3);
}

static void test_a_segment_may_begin_anywhere(void **state)
{
	PLACE place;

	(void)state;
	place_open(&place, size_ten, 100,
		   &(struct writer_options){.bytes_max = 100, .first_seq = UINT64_MAX - 100});
	send_until(&place, 3);
	assert_int_equal(writer_seal(place.writer), 0);
	assert_int_equal(size_at(place.dir_fd, "18446744073709551515.index"),
			 FORMAT_HEADER_SIZE + 3 * FORMAT_ENTRY_SIZE);
	assert_int_equal(size_at(place.dir_fd, "18446744073709551515.data"), 33);
}

static void test_files_that_are_there_are_left_alone(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(writer_free) struct writer *writer = NULL;
	struct writer_options options = {.path = scratch, .dir_fd = dir_fd, .bytes_max = 100};

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "mine", 4);
	assert_int_equal(writer_open(&options, &writer), -EEXIST);
	assert_null(writer);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_DATA_SUFFIX), 4);
	assert_int_equal(count_entries(scratch), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_an_empty_segment),
		TEST_IN_SCRATCH(test_what_is_written_is_read_back),
		TEST_IN_SCRATCH(test_the_data_file_is_payloads_and_newlines),
		TEST_IN_SCRATCH(test_a_writer_that_dies_leaves_what_was_committed),
		TEST_IN_SCRATCH(test_what_is_known_of_a_segment),
		TEST_IN_SCRATCH(test_full_with_so_many_messages),
		TEST_IN_SCRATCH(test_full_with_so_many_bytes),
		TEST_IN_SCRATCH(test_never_full_inside_a_message),
		TEST_IN_SCRATCH(test_many_records_in_one_buffer),
		TEST_IN_SCRATCH(test_many_stretches_in_one_buffer),
		TEST_IN_SCRATCH(test_many_events_in_one_commit),
		TEST_IN_SCRATCH(test_events_stand_between_messages),
		TEST_IN_SCRATCH(test_where_a_message_came_from_and_when),
		TEST_IN_SCRATCH(test_drop_before_anything_was_written),
		TEST_IN_SCRATCH(test_drop_after_a_part_was_written),
		TEST_IN_SCRATCH(test_drop_with_a_part_written_and_a_part_not),
		TEST_IN_SCRATCH(test_drop_of_a_message_without_a_byte),
		TEST_IN_SCRATCH(test_a_segment_may_begin_anywhere),
		TEST_IN_SCRATCH(test_files_that_are_there_are_left_alone),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
