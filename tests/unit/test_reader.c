/* Reading a segment back: large and small payloads, and files that are damaged, cut or not ours.
 * Whatever was done to them, a record that comes out is one that was written.
 * --wrap: pread pread64. */
#include "test_spool_support.h"

#include "base/crc32c.h"

static int dir_fd = -1;
static size_t bytes_read;

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __real_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t size, off64_t offset);
ssize_t __real_pread64(int fd, void *data, size_t size, off64_t offset);

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset)
{
	ssize_t n = __real_pread(fd, data, size, offset);

	bytes_read += n > 0 ? (size_t)n : 0;
	return n;
}

ssize_t __wrap_pread64(int fd, void *data, size_t size, off64_t offset)
{
	ssize_t n = __real_pread64(fd, data, size, offset);

	bytes_read += n > 0 ? (size_t)n : 0;
	return n;
}

static int setup(void **state)
{
	return setup_scratch_fd(state, &dir_fd);
}

static int teardown(void **state)
{
	return teardown_scratch_fd(state, dir_fd);
}

#define READER CLEANUP(reader_free) struct reader

/* A segment in memory, to be damaged before it is put on the disk. */
struct image {
	uint8_t *index, *data;
	size_t index_size, data_size;
	size_t data_ends[64];
};

static void add_message(struct image *image, uint64_t number, size_t size)
{
	struct format_entry entry = {.offset = image->data_size,
				     .length = size,
				     .time_ns = MESSAGE_TIME_NS(number),
				     .kind = message_kind(number)};
	uint8_t *payload;

	image->data = realloc(image->data, image->data_size + size + 1);
	image->index = realloc(image->index, image->index_size + FORMAT_ENTRY_SIZE);
	assert_non_null(image->data);
	assert_non_null(image->index);
	payload = image->data + image->data_size;
	for (size_t i = 0; i < size; i++)
		payload[i] = message_byte(number, i);
	payload[size] = '\n';
	format_write_entry(image->index + image->index_size, &entry, crc32c(0, payload, size));
	image->data_ends[number] = image->data_size += size + 1;
	image->index_size += FORMAT_ENTRY_SIZE;
}

static void draw(struct image *image, size_t (*size_of)(uint64_t), uint64_t messages)
{
	*image = (struct image){.index = malloc(FORMAT_HEADER_SIZE),
				.index_size = FORMAT_HEADER_SIZE};
	assert_non_null(image->index);
	format_write_header(image->index, &(struct format_header){.first_seq = 0});
	for (uint64_t number = 0; number < messages; number++)
		add_message(image, number, size_of(number));
}

static void image_donep(struct image *image)
{
	free(image->index);
	free(image->data);
}

#define IMAGE CLEANUP(image_done) struct image

static void put(const struct image *image, bool sealed)
{
	put_segment_file(dir_fd, 0, sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX, image->index,
			 image->index_size);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image->data, image->data_size);
}

static size_t few_sizes(uint64_t number)
{
	static const size_t sizes[] = {10, 0, 3, 25, 1, 12};

	return sizes[number % ARRAY_SIZE(sizes)];
}

static size_t sizes_around_the_window(uint64_t number)
{
	return READER_WINDOW - 2 + (size_t)number;
}

static void test_sealed_and_open(void **state)
{
	(void)state;
	for (int sealed = 0; sealed < 2; sealed++) {
		struct check check = {.size_of = mixed_sizes};
		IMAGE image;

		draw(&image, mixed_sizes, 60);
		put(&image, sealed);
		check_segment(&check, dir_fd, 0, sealed);
		assert_int_equal(check.messages, 60);
		empty_scratch();
	}
}

static void test_payloads_around_the_size_of_the_window(void **state)
{
	struct check check = {.size_of = sizes_around_the_window};
	IMAGE image;

	(void)state;
	draw(&image, sizes_around_the_window, 5);
	put(&image, true);
	check_segment(&check, dir_fd, 0, true);
	assert_int_equal(check.messages, 5);
}

static size_t one_large_size(uint64_t number)
{
	(void)number;
	return 700000;
}

static void test_a_large_payload_in_parts(void **state)
{
	static uint8_t part[10007];
	READER *reader = NULL;
	struct record record;
	size_t at = 0;
	IMAGE image;

	(void)state;
	draw(&image, one_large_size, 1);
	put(&image, true);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_null(record.payload);
	for (;;) {
		ssize_t n = reader_payload(reader, at, part, sizeof(part));

		assert_true(n >= 0);
		if (n == 0)
			break;
		for (size_t i = 0; i < (size_t)n; i++, at++)
			if (part[i] != message_byte(0, at))
				fail_msg("byte %zu", at);
	}
	assert_int_equal(at, 700000);
}

static void test_an_open_segment_that_grows(void **state)
{
	READER *reader = NULL;
	struct record record;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, 4);
	image.index_size -= FORMAT_ENTRY_SIZE + 5; /* two, and a part of the third */
	put(&image, false);
	assert_int_equal(reader_open(dir_fd, 0, false, &reader), 0);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(reader_next(reader, &record), 0);
	image.index_size = FORMAT_HEADER_SIZE + 4 * FORMAT_ENTRY_SIZE;
	put(&image, false);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record.seq, 2);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(reader_next(reader, &record), 0);
	assert_int_equal(reader_data_end(reader), image.data_size);
}

/* Reads a damaged segment to its end: each of the records that come out must be as written.
 * Returns how often damage was told. */
static size_t read_damaged(uint64_t messages, uint64_t *ret_whole, uint64_t *ret_missing)
{
	READER *reader = NULL;
	struct record record;
	size_t damage = 0;
	uint64_t seen = 0;
	int r;

	*ret_whole = 0;
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	while ((r = reader_next(reader, &record)) != 0) {
		if (r < 0) {
			assert_int_equal(r, -EBADMSG);
			assert_true(++damage <= messages + 1);
			continue;
		}
		assert_true(record.seq < messages);
		assert_int_equal(record.entry.length, few_sizes(record.seq));
		check_payload(reader, &record, record.seq);
		seen |= UINT64_C(1) << record.seq;
		++*ret_whole;
	}
	assert_int_equal(reader_next(reader, &record), 0);
	*ret_missing = ~seen & ((UINT64_C(1) << messages) - 1);
	return damage;
}

#define MESSAGES 12

/* Damage to an entry loses that record, and no other. */
static void test_every_byte_of_the_entries_changed(void **state)
{
	uint64_t whole, missing;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	for (size_t at = FORMAT_HEADER_SIZE; at < image.index_size; at++) {
		uint64_t hit = (at - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE;

		image.index[at] ^= (uint8_t)(1 << at % 8);
		put(&image, true);
		assert_true(read_damaged(MESSAGES, &whole, &missing) >= 1);
		assert_int_equal(missing, UINT64_C(1) << hit);
		image.index[at] ^= (uint8_t)(1 << at % 8);
	}
}

/* The same of a payload. Separators belong to none. */
static void test_every_byte_of_the_data_changed(void **state)
{
	uint64_t whole, missing, number = 0;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	for (size_t at = 0; at < image.data_size; at++) {
		number += at >= image.data_ends[number];
		if (at + 1 == image.data_ends[number])
			continue;
		image.data[at] ^= 0x10;
		put(&image, true);
		assert_int_equal(read_damaged(MESSAGES, &whole, &missing), 1);
		assert_int_equal(missing, UINT64_C(1) << number);
		image.data[at] ^= 0x10;
	}
}

/* In batches, every record is the same, and what stands in a row in the file does so in memory. */
static void test_batches(void **state)
{
	struct record records[7];
	READER *reader = NULL;
	uint64_t number = 0;
	ssize_t n;
	IMAGE image;

	(void)state;
	draw(&image, mixed_sizes, 60);
	put(&image, true);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	while ((n = reader_next_batch(reader, records, ARRAY_SIZE(records))) > 0) {
		assert_true(n <= (ssize_t)ARRAY_SIZE(records));
		for (ssize_t i = 0; i < n; i++, number++) {
			size_t size = mixed_sizes(number);

			assert_int_equal(records[i].seq, number);
			assert_int_equal(records[i].entry.length, size);
			assert_false(records[i].loose);
			assert_ptr_equal(records[i].payload,
					 records[0].payload + (records[i].entry.offset -
							       records[0].entry.offset));
			for (size_t at = 0; at < size; at++)
				assert_int_equal(records[i].payload[at], message_byte(number, at));
			assert_int_equal(records[i].payload[size], '\n');
		}
		assert_int_equal(reader_seq(reader), number);
	}
	assert_int_equal(n, 0);
	assert_int_equal(number, 60);
}

/* What is whole before a damaged record comes first. */
static void test_a_batch_ends_before_damage(void **state)
{
	struct record records[MESSAGES];
	READER *reader = NULL;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	image.index[FORMAT_HEADER_SIZE + 5 * FORMAT_ENTRY_SIZE + 20] ^= 1;
	put(&image, true);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	assert_int_equal(reader_next_batch(reader, records, MESSAGES), 5);
	assert_int_equal(reader_next_batch(reader, records, MESSAGES), -EBADMSG);
	assert_int_equal(reader_seq(reader), 6);
	assert_int_equal(reader_next_batch(reader, records, MESSAGES), MESSAGES - 6);
	assert_int_equal(records[0].seq, 6);
	assert_int_equal(reader_next_batch(reader, records, MESSAGES), 0);
}

/* A message that had begun is taken back, and another one stands in its place: what was read ahead
 * is not shown. */
static void test_an_open_segment_whose_end_is_written_again(void **state)
{
	READER *reader = NULL;
	struct record record;
	size_t whole;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, 4);
	whole = image.index_size;
	image.index_size -= FORMAT_ENTRY_SIZE;
	image.data[image.data_ends[2]] ^= 0x55;
	put(&image, false);
	assert_int_equal(reader_open(dir_fd, 0, false, &reader), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(reader_next(reader, &record), 0);
	image.data[image.data_ends[2]] ^= 0x55;
	image.index_size = whole;
	put(&image, false);
	assert_int_equal(reader_next(reader, &record), 1);
	check_payload(reader, &record, 3);
}

/* As after a loss of power: the files are long enough, and nothing is in them. */
static void test_much_damage_is_read_once(void **state)
{
	static const uint8_t nothing[FORMAT_HEADER_SIZE + 10000 * FORMAT_ENTRY_SIZE];
	READER *reader = NULL;
	struct record record;
	int damaged = 0;

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_OPEN_SUFFIX, nothing, sizeof(nothing));
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, nothing, 100);
	assert_int_equal(reader_open_lenient(dir_fd, 0, false, &reader), 0);
	bytes_read = 0;
	while (reader_next(reader, &record) == -EBADMSG)
		damaged++;
	assert_int_equal(damaged, 10000);
	assert_true(bytes_read < 2 * sizeof(nothing));
}

static void test_a_sealed_index_cut_at_every_byte(void **state)
{
	uint64_t whole, missing;
	IMAGE image;
	size_t size;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	size = image.index_size;
	for (size_t cut = FORMAT_HEADER_SIZE; cut < size; cut++) {
		image.index_size = cut;
		put(&image, true);
		assert_int_equal(read_damaged(MESSAGES, &whole, &missing), 1);
		assert_int_equal(whole, (cut - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE);
	}
}

static void test_sealed_data_cut_at_every_byte(void **state)
{
	uint64_t whole, missing;
	IMAGE image;
	size_t size;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	size = image.data_size;
	for (size_t cut = 0; cut < size; cut++) {
		image.data_size = cut;
		put(&image, true);
		assert_true(read_damaged(MESSAGES, &whole, &missing) >= 1);
		for (uint64_t number = 0; number < MESSAGES; number++)
			if (image.data_ends[number] - 1 <= cut)
				assert_false(missing >> number & 1);
			else if (few_sizes(number) > 0)
				assert_true(missing >> number & 1);
	}
}

static void test_data_behind_a_sealed_segment_is_damage(void **state)
{
	uint64_t whole, missing;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	image.data_size--;
	add_message(&image, 12, 30);
	image.index_size -= FORMAT_ENTRY_SIZE;
	put(&image, true);
	assert_int_equal(read_damaged(MESSAGES, &whole, &missing), 1);
	assert_int_equal(whole, MESSAGES);
}

/* Entries whose checksum is right, and which point outside. */
static void test_entries_that_point_nowhere(void **state)
{
	static const struct format_entry entries[] = {
		{.kind = MESSAGE_TEXT, .offset = 1000, .length = 5},
		{.kind = MESSAGE_TEXT, .offset = 0, .length = 1000},
		{.kind = MESSAGE_TEXT, .offset = 0, .length = UINT64_MAX},
		{.kind = MESSAGE_TEXT, .offset = FORMAT_OFFSET_MAX, .length = 5},
		{.kind = MESSAGE_TEXT, .offset = FORMAT_OFFSET_MAX, .length = INT64_MAX},
		{.kind = MESSAGE_TEXT, .offset = FORMAT_OFFSET_MAX, .length = INT64_MAX / 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		READER *reader = NULL;
		struct record record;
		IMAGE image;

		draw(&image, few_sizes, 2);
		format_write_entry(image.index + FORMAT_HEADER_SIZE, &entries[i], 0);
		put(&image, true);
		assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
		assert_int_equal(reader_next(reader, &record), -EBADMSG);
		assert_int_equal(reader_next(reader, &record), 1);
		assert_int_equal(record.seq, 1);
	}
}

static void assert_open_fails(const struct image *image, int error)
{
	struct reader *reader = NULL;

	put(image, true);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), -error);
	assert_null(reader);
}

/* Another version, with the checksum that belongs to it. */
static void set_version(uint8_t header[FORMAT_HEADER_SIZE], uint8_t version)
{
	uint32_t crc;

	header[8] = version;
	crc = crc32c(0, header, 60);
	for (size_t i = 0; i < 4; i++)
		header[60 + i] = (uint8_t)(crc >> 8 * i);
}

static int open_leniently(struct reader **ret_reader)
{
	return reader_open_files(
		&(struct reader_files){
			.index_fd = open(in_scratch("00000000000000000000.index"), O_RDONLY),
			.data_fd = open(in_scratch("00000000000000000000.data"), O_RDONLY),
			.sealed = true,
			.lenient = true,
		},
		ret_reader);
}

/* Damage to the header hides nothing from who asks for what there is. */
static void test_every_byte_of_the_header_changed(void **state)
{
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	for (size_t at = 0; at < FORMAT_HEADER_SIZE; at++) {
		READER *reader = NULL;
		struct record record;
		uint64_t found = 0;

		image.index[at] ^= (uint8_t)(1 << at % 8);
		put(&image, true);
		assert_int_equal(open_leniently(&reader), 0);
		assert_false(reader_has_header(reader));
		while (reader_next(reader, &record) > 0)
			check_payload(reader, &record, found++);
		assert_int_equal(found, MESSAGES);
		assert_int_equal(reader_passed(reader), MESSAGES);
		image.index[at] ^= (uint8_t)(1 << at % 8);
	}
	set_version(image.index, 3);
	put(&image, true);
	{
		struct reader *reader = NULL;

		assert_int_equal(open_leniently(&reader), -EPROTO);
	}
}

/* The payload is whole then, but a reader of lines would not see where it ends. */
static void test_every_separator_changed(void **state)
{
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, MESSAGES);
	for (uint64_t number = 0; number < MESSAGES; number++) {
		size_t at = image.data_ends[number] - 1;
		READER *reader = NULL;
		struct record record;

		image.data[at] ^= 4;
		put(&image, true);
		assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
		while (reader_next(reader, &record) > 0)
			assert_int_equal(record.loose, record.seq == number);
		assert_int_equal(reader_passed(reader), MESSAGES);
		image.data[at] ^= 4;
	}
}

static void test_headers_that_are_not_right(void **state)
{
	static const struct {
		size_t at;
		int error;
	} bytes[] = {{0, ENOMSG},   {7, ENOMSG},   {8, EBADMSG},  {9, EBADMSG},	 {10, EBADMSG},
		     {16, EBADMSG}, {31, EBADMSG}, {40, EBADMSG}, {60, EBADMSG}, {63, EBADMSG}};
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, 2);
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		image.index[bytes[i].at] ^= 0x08;
		assert_open_fails(&image, bytes[i].error);
		image.index[bytes[i].at] ^= 0x08;
	}
	set_version(image.index, 3);
	assert_open_fails(&image, EPROTO);
	format_write_header(image.index, &(struct format_header){.first_seq = 1});
	assert_open_fails(&image, EBADMSG); /* another segment's */
	for (image.index_size = 0; image.index_size < FORMAT_HEADER_SIZE; image.index_size++)
		assert_open_fails(&image, EBADMSG);
}

static void test_files_that_are_missing(void **state)
{
	struct reader *reader = NULL;
	IMAGE image;

	(void)state;
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), -ENOENT);
	draw(&image, few_sizes, 2);
	put(&image, true);
	assert_int_equal(reader_open(dir_fd, 0, false, &reader), -ENOENT);
	assert_int_equal(reader_open(dir_fd, 1, true, &reader), -ENOENT);
	assert_int_equal(unlink(in_scratch("00000000000000000000.data")), 0);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), -ENOENT);
	assert_null(reader);
}

static void test_links_are_not_followed(void **state)
{
	static const char *const names[] = {"00000000000000000000.data",
					    "00000000000000000000.index"};
	struct reader *reader = NULL;
	IMAGE image;

	(void)state;
	draw(&image, few_sizes, 2);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		put(&image, true);
		assert_int_equal(renameat(dir_fd, names[i], dir_fd, "target"), 0);
		assert_int_equal(symlinkat("target", dir_fd, names[i]), 0);
		assert_int_equal(reader_open(dir_fd, 0, true, &reader), -ELOOP);
		empty_scratch();
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sealed_and_open),
		TEST(test_payloads_around_the_size_of_the_window),
		TEST(test_a_large_payload_in_parts),
		TEST(test_an_open_segment_that_grows),
		TEST(test_every_byte_of_the_entries_changed),
		TEST(test_every_byte_of_the_data_changed),
		TEST(test_batches),
		TEST(test_a_batch_ends_before_damage),
		TEST(test_an_open_segment_whose_end_is_written_again),
		TEST(test_much_damage_is_read_once),
		TEST(test_a_sealed_index_cut_at_every_byte),
		TEST(test_sealed_data_cut_at_every_byte),
		TEST(test_data_behind_a_sealed_segment_is_damage),
		TEST(test_entries_that_point_nowhere),
		TEST(test_every_byte_of_the_header_changed),
		TEST(test_every_separator_changed),
		TEST(test_headers_that_are_not_right),
		TEST(test_files_that_are_missing),
		TEST(test_links_are_not_followed),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
