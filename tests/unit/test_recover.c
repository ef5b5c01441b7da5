/* What a crash can leave: an index and a data file that are torn at any byte, each without the
 * other. Everything that is whole stays, and nothing else.
 * --wrap: none. */
#include "test_spool_support.h"

#include "base/crc32c.h"
#include "spool/recover.h"

#define MESSAGES 6
#define INDEX_SIZE (FORMAT_HEADER_SIZE + MESSAGES * FORMAT_ENTRY_SIZE)

static size_t few_sizes(uint64_t number)
{
	static const size_t sizes[] = {10, 0, 3, 25, 1, 12};

	return sizes[number % ARRAY_SIZE(sizes)];
}

/* A segment as the writer makes it. */
struct image {
	uint8_t index[INDEX_SIZE];
	uint8_t data[200];
	size_t data_size;
	size_t data_ends[MESSAGES + 1]; /* of the first 0, 1, 2, … messages */
};

static void draw(struct image *image)
{
	const struct format_header header = {.first_seq = 0, .created_ns = 5};

	image->data_size = 0;
	format_write_header(image->index, &header);
	for (uint64_t number = 0; number < MESSAGES; number++) {
		const struct format_entry entry = {.offset = image->data_size,
						   .length = few_sizes(number),
						   .time_ns = MESSAGE_TIME_NS(number),
						   .kind = message_kind(number)};
		uint8_t *payload = image->data + image->data_size;

		for (size_t i = 0; i < entry.length; i++)
			payload[i] = message_byte(number, i);
		payload[entry.length] = '\n';
		format_write_entry(image->index + FORMAT_HEADER_SIZE + number * FORMAT_ENTRY_SIZE,
				   &entry, crc32c(0, payload, entry.length));
		image->data_ends[number] = image->data_size;
		image->data_size += entry.length + 1;
	}
	image->data_ends[MESSAGES] = image->data_size;
}

static struct image image;
static int dir_fd = -1;

static int setup(void **state)
{
	draw(&image);
	if (setup_scratch(state) < 0)
		return -1;
	dir_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	close(dir_fd);
	return teardown_scratch(state);
}

#define ASIDE(suffix) "00000000000000000000" suffix ".aside1"

static void assert_no_segments(void)
{
	CLEANUP(listing_done) struct listing listing = {0};

	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count, 0);
}

static void put_open_segment(size_t index_size, size_t data_size)
{
	put_segment_file(dir_fd, 0, FORMAT_OPEN_SUFFIX, image.index, index_size);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, data_size);
}

/* Puts a segment there that was open, recovers it, and looks whether `messages` are left of it. If
 * none are, the data is put aside. */
static void expect(size_t index_size, size_t data_size, uint64_t messages)
{
	struct listing_entry entry = {.data = true, .open = true};
	/* No entry was ever written: the data was never captured. */
	bool just_begun = index_size >= FORMAT_HEADER_SIZE &&
			  index_size < FORMAT_HEADER_SIZE + FORMAT_ENTRY_SIZE;
	uint64_t found = 0;

	put_open_segment(index_size, data_size);
	assert_int_equal(recover_segment(dir_fd, &entry), 0);
	if (entry.data)
		found = check_directory(dir_fd, few_sizes).messages;
	else
		assert_no_segments();
	if (found != messages)
		fail_msg("%zu bytes of index, %zu of data: %llu messages, not %llu", index_size,
			 data_size, (unsigned long long)found, (unsigned long long)messages);
	assert_false(entry.open);
	assert_int_equal(entry.sealed, messages > 0);
	assert_int_equal(entry.data, messages > 0);
	assert_int_equal(size_at(dir_fd, ASIDE(FORMAT_DATA_SUFFIX)),
			 messages == 0 && data_size > 0 && !just_begun ? (off_t)data_size : -1);
	empty_scratch();
}

static void test_an_index_torn_at_every_byte(void **state)
{
	(void)state;
	for (size_t size = 0; size <= INDEX_SIZE; size++)
		expect(size, image.data_size,
		       size < FORMAT_HEADER_SIZE ? 0
						 : (size - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE);
}

/* A message counts when its data is whole, with the separator behind it. */
static void test_data_torn_at_every_byte(void **state)
{
	(void)state;
	for (size_t size = 0; size <= image.data_size; size++) {
		uint64_t messages = 0;

		while (messages < MESSAGES && image.data_ends[messages + 1] <= size)
			messages++;
		expect(INDEX_SIZE, size, messages);
	}
}

static void test_data_beyond_the_index_does_not_count(void **state)
{
	(void)state;
	memset(image.data + image.data_size, 'x', 20);
	expect(INDEX_SIZE, image.data_size + 20, MESSAGES);
}

static void test_an_entry_that_was_changed_ends_the_segment(void **state)
{
	(void)state;
	for (size_t at = FORMAT_HEADER_SIZE; at < INDEX_SIZE; at++) {
		image.index[at] ^= 0x40;
		expect(INDEX_SIZE, image.data_size, (at - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE);
		image.index[at] ^= 0x40;
	}
}

static void test_data_that_was_changed_ends_the_segment(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < MESSAGES; number++) {
		size_t at = image.data_ends[number];

		if (few_sizes(number) == 0)
			continue;
		image.data[at] ^= 1;
		expect(INDEX_SIZE, image.data_size, number);
		image.data[at] ^= 1;
	}
}

/* As after a loss of power, or of another program, or of a later version. */
static void test_a_header_that_cannot_be_read(void **state)
{
	static const size_t places[] = {0, 8, 20, 60};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		image.index[places[i]] ^= 2;
		expect(INDEX_SIZE, image.data_size, 0);
		image.index[places[i]] ^= 2;
	}
}

static void test_an_index_that_cannot_be_read_is_put_aside(void **state)
{
	struct listing_entry entry = {.data = true, .open = true};

	(void)state;
	image.index[20] ^= 1;
	put_open_segment(INDEX_SIZE, 0);
	assert_int_equal(recover_segment(dir_fd, &entry), 0);
	assert_int_equal(size_at(dir_fd, ASIDE(FORMAT_OPEN_SUFFIX)), INDEX_SIZE);
}

/* The process died right after it began a segment. */
static void test_a_segment_without_a_record_leaves_nothing(void **state)
{
	struct listing_entry entry = {.data = true, .open = true};

	(void)state;
	put_open_segment(FORMAT_HEADER_SIZE, 0);
	assert_int_equal(recover_segment(dir_fd, &entry), 0);
	assert_false(entry.data || entry.sealed || entry.open);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_a_sealed_index_without_an_entry(void **state)
{
	static const size_t sizes[] = {0, 10, FORMAT_HEADER_SIZE,
				       FORMAT_HEADER_SIZE + FORMAT_ENTRY_SIZE - 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct listing_entry entry = {.data = true, .sealed = true};

		put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, sizes[i]);
		put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
		assert_int_equal(recover_segment(dir_fd, &entry), 0);
		assert_false(entry.data || entry.sealed || entry.open);
		assert_no_segments();
		assert_int_equal(size_at(dir_fd, ASIDE(FORMAT_DATA_SUFFIX)), image.data_size);
		empty_scratch();
	}
}

static void test_a_sealed_segment_is_left_alone(void **state)
{
	struct listing_entry entry = {.data = true, .sealed = true};

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
	assert_int_equal(recover_segment(dir_fd, &entry), 0);
	assert_true(entry.data && entry.sealed && !entry.open);
	assert_int_equal(check_directory(dir_fd, few_sizes).messages, MESSAGES);
}

/* The process died between the two deletions of an acknowledgement. */
static void test_an_index_without_data_is_deleted(void **state)
{
	static const char *const suffixes[] = {FORMAT_INDEX_SUFFIX, FORMAT_OPEN_SUFFIX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		struct listing_entry entry = {.sealed = i == 0, .open = i == 1};

		put_segment_file(dir_fd, 0, suffixes[i], image.index, INDEX_SIZE);
		assert_int_equal(recover_segment(dir_fd, &entry), 0);
		assert_false(entry.sealed || entry.open || entry.data);
		assert_int_equal(count_entries(scratch), 0);
	}
}

static void test_data_without_an_index_is_put_aside(void **state)
{
	struct listing_entry entry = {.data = true};

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
	assert_int_equal(recover_segment(dir_fd, &entry), 0);
	assert_false(entry.sealed || entry.open || entry.data);
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(size_at(dir_fd, ASIDE(FORMAT_DATA_SUFFIX)), image.data_size);
}

static void test_data_put_aside_before_is_not_lost(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 3; size++) {
		struct listing_entry entry = {.data = true};

		put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, size);
		assert_int_equal(recover_segment(dir_fd, &entry), 0);
		assert_int_equal(count_entries(scratch), size);
	}
	assert_int_equal(size_at(dir_fd, ASIDE(FORMAT_DATA_SUFFIX)), 1);
	assert_int_equal(size_at(dir_fd, "00000000000000000000.data.aside3"), 3);
}

static void test_an_empty_data_file_is_deleted(void **state)
{
	struct listing_entry entry = {.data = true};

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "", 0);
	assert_int_equal(recover_segment(dir_fd, &entry), 0);
	assert_false(entry.data);
	assert_int_equal(count_entries(scratch), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_index_torn_at_every_byte),
		TEST(test_data_torn_at_every_byte),
		TEST(test_data_beyond_the_index_does_not_count),
		TEST(test_an_entry_that_was_changed_ends_the_segment),
		TEST(test_data_that_was_changed_ends_the_segment),
		TEST(test_a_header_that_cannot_be_read),
		TEST(test_an_index_that_cannot_be_read_is_put_aside),
		TEST(test_a_segment_without_a_record_leaves_nothing),
		TEST(test_a_sealed_index_without_an_entry),
		TEST(test_a_sealed_segment_is_left_alone),
		TEST(test_an_index_without_data_is_deleted),
		TEST(test_data_without_an_index_is_put_aside),
		TEST(test_data_put_aside_before_is_not_lost),
		TEST(test_an_empty_data_file_is_deleted),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
