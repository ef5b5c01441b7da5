/* What a crash can leave: an index and a data file that are torn or damaged at any byte, each
 * without the other. Everything that is whole stays with its number, what is lost is on record, and
 * nothing is deleted that somebody might miss.
 * --wrap: fsync renameat2. */
#include "test_spool_support.h"

#include "base/crc32c.h"
#include "spool/recover.h"

#define MESSAGES 6
#define INDEX_SIZE (FORMAT_HEADER_SIZE + MESSAGES * FORMAT_ENTRY_SIZE)
#define CREATED_NS 5

static bool sync_fails;

int __wrap_fsync(int fd);
int __real_fsync(int fd);

int __wrap_fsync(int fd)
{
	if (sync_fails)
		errno = EIO;
	return sync_fails ? -1 : __real_fsync(fd);
}

static bool knows_no_flags; /* the file system, as NFS */

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags);

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	if (knows_no_flags && flags != 0) {
		errno = EINVAL;
		return -1;
	}
	return __real_renameat2(from_fd, from, to_fd, to, flags);
}

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
	const struct format_header header = {.first_seq = 0, .created_ns = CREATED_NS};

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

/* What was told. */
struct told {
	int lost, mended, aside, left; /* how often */
	uint64_t records;	       /* in the last of them */
	int error;
};

static struct image image;
static struct told told;
static int dir_fd = -1;

static void note(void *data, const struct recover_news *news)
{
	(void)data;
	assert_int_equal(news->first_seq, 0);
	told.lost += news->kind == RECOVER_LOST;
	told.mended += news->kind == RECOVER_MENDED;
	told.aside += news->kind == RECOVER_ASIDE;
	told.left += news->kind == RECOVER_LEFT;
	told.records = news->records;
	told.error = news->error;
}

static int setup(void **state)
{
	sync_fails = knows_no_flags = false;
	draw(&image);
	return setup_scratch_fd(state, &dir_fd);
}

static int teardown(void **state)
{
	return teardown_scratch_fd(state, dir_fd);
}

static int recover_within(uint64_t spare, struct listing_entry *ret_entry)
{
	const struct recovery recovery = {
		.dir_fd = dir_fd, .same_boot = true, .spare = spare, .tell = note};
	CLEANUP(listing_done) struct listing listing = {0};
	int r;

	told = (struct told){0};
	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count, 1);
	r = recover_segment(&recovery, &listing.entries[0]);
	*ret_entry = listing.entries[0];
	return r;
}

/* Brings what is there into order; false: no segment is left of it. */
static bool recovers(void)
{
	struct listing_entry entry, found = {0};
	CLEANUP(listing_done) struct listing listing = {0};

	assert_int_equal(recover_within(UINT64_MAX, &entry), 0);
	assert_int_equal(listing_read(dir_fd, &listing), 0);
	if (listing.count > 0)
		found = listing.entries[0];
	assert_int_equal(entry.data, found.data);
	assert_int_equal(entry.sealed, found.sealed);
	assert_int_equal(entry.cut, found.cut);
	assert_false(found.open || found.fresh || entry.open);
	assert_int_equal(found.data, found.sealed);
	return found.sealed;
}

#define NAME(suffix) "00000000000000000000" suffix
#define ASIDE(suffix) NAME(suffix) ".aside1"

static off_t size_of_suffix(const char *suffix)
{
	return size_of_file(dir_fd, 0, suffix);
}

static void assert_event(const struct record *record, uint8_t kind, uint8_t cause, uint64_t value)
{
	assert_int_equal(record->entry.kind, kind);
	assert_int_equal(record->entry.flags, FORMAT_FLAG_CAUSE(cause));
	assert_int_equal(record->entry.source, FORMAT_SOURCE_ANY);
	assert_int_equal(record->entry.length, value);
}

static void expect_message(struct reader *reader, const struct record *record)
{
	assert_int_equal(record->entry.kind, message_kind(record->seq));
	assert_int_equal(record->entry.time_ns, MESSAGE_TIME_NS(record->seq));
	assert_int_equal(record->entry.length, few_sizes(record->seq));
	check_payload(reader, record, record->seq);
}

/* The segment holds `keep` records: the messages whose bits are set in `whole`, and in the place of
 * the others gaps; behind them it says that `lost` more are missing. Nothing in it is damaged. */
static void expect_segment(uint64_t keep, unsigned int whole, uint64_t lost)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	uint64_t time_ns = CREATED_NS;
	struct record record;

	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	for (uint64_t seq = 0; seq < keep; seq++) {
		assert_int_equal(reader_next(reader, &record), 1);
		assert_int_equal(record.seq, seq);
		assert_false(record.loose);
		if (whole >> seq & 1)
			expect_message(reader, &record);
		else
			assert_event(&record, FORMAT_GAP, FORMAT_CAUSE_DAMAGED, 1);
		if (told.mended && !(whole >> seq & 1))
			assert_int_equal(record.entry.time_ns, time_ns);
		time_ns = record.entry.time_ns;
	}
	if (lost > 0) {
		assert_int_equal(reader_next(reader, &record), 1);
		assert_event(&record, FORMAT_GAP, FORMAT_CAUSE_LOST, lost);
		assert_int_equal(reader_next(reader, &record), 1);
		assert_event(&record, FORMAT_GAP_END, 0, 0);
	}
	assert_int_equal(reader_next(reader, &record), 0);
}

static void put_open_segment(size_t index_size, size_t data_size)
{
	put_segment_file(dir_fd, 0, FORMAT_OPEN_SUFFIX, image.index, index_size);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, data_size);
}

static void expect_file(const char *name, const uint8_t *bytes, size_t size)
{
	uint8_t found[sizeof(struct image)];
	CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, found, sizeof(found)), size);
	assert_memory_equal(found, bytes, size);
}

/* What was cut off stands beside the segment; −1: there is no such file. */
static void expect_cuts(size_t index_size, size_t index_end, size_t data_size, size_t data_end)
{
	if (index_size > index_end)
		expect_file(NAME(FORMAT_INDEX_CUT_SUFFIX), image.index + index_end,
			    index_size - index_end);
	else
		assert_int_equal(size_of_suffix(FORMAT_INDEX_CUT_SUFFIX), -1);
	if (data_size > data_end)
		expect_file(NAME(FORMAT_DATA_CUT_SUFFIX), image.data + data_end,
			    data_size - data_end);
	else
		assert_int_equal(size_of_suffix(FORMAT_DATA_CUT_SUFFIX), -1);
}

static void expect_damaged_files_aside(size_t data_size)
{
	assert_int_equal(size_of_suffix(FORMAT_INDEX_SUFFIX ".aside1"), INDEX_SIZE);
	assert_int_equal(size_of_suffix(FORMAT_DATA_SUFFIX ".aside1"), data_size);
}

static void test_an_index_torn_at_every_byte(void **state)
{
	(void)state;
	for (size_t size = 0; size <= INDEX_SIZE; size++) {
		uint64_t keep = size < FORMAT_HEADER_SIZE
					? 0
					: (size - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE;

		put_open_segment(size, image.data_size);
		assert_int_equal(recovers(), keep > 0);
		assert_int_equal(told.lost + told.mended + told.left, 0);
		assert_int_equal(told.aside, size < FORMAT_HEADER_SIZE);
		if (keep > 0) {
			expect_segment(keep, ~0u, 0);
			expect_cuts(size, FORMAT_HEADER_SIZE + keep * FORMAT_ENTRY_SIZE,
				    image.data_size, image.data_ends[keep]);
		} else {
			assert_int_equal(size_of_suffix(FORMAT_DATA_SUFFIX ".aside1"),
					 size < FORMAT_HEADER_SIZE ? (off_t)image.data_size : -1);
			assert_int_equal(count_entries(scratch), size < FORMAT_HEADER_SIZE);
		}
		empty_scratch();
	}
}

/* As after a loss of power: entries are there, and what they speak of is not. */
static void test_data_torn_at_every_byte(void **state)
{
	(void)state;
	for (size_t size = 0; size < image.data_size; size++) {
		unsigned int whole = 0;
		uint64_t keep = 0;

		for (uint64_t number = 0; number < MESSAGES; number++)
			if (image.data_ends[number + 1] - 1 <= size || few_sizes(number) == 0) {
				whole |= 1u << number;
				keep = number + 1;
			}
		put_open_segment(INDEX_SIZE, size);
		assert_true(recovers());
		expect_segment(keep, whole, MESSAGES - keep);
		assert_int_equal(told.lost, keep < MESSAGES);
		empty_scratch();
	}
}

static void test_data_beyond_the_index_does_not_count(void **state)
{
	(void)state;
	memset(image.data + image.data_size, 'x', 20);
	put_open_segment(INDEX_SIZE, image.data_size + 20);
	assert_true(recovers());
	expect_segment(MESSAGES, ~0u, 0);
	expect_cuts(INDEX_SIZE, INDEX_SIZE, image.data_size + 20, image.data_size);
	assert_int_equal(told.lost + told.mended + told.aside + told.left, 0);
}

/* Message `number` is damaged: nothing else is lost, and the damaged files are still there. */
static void expect_one_damaged(uint64_t number)
{
	put_open_segment(INDEX_SIZE, image.data_size);
	assert_true(recovers());
	if (number == MESSAGES - 1) {
		expect_segment(MESSAGES - 1, ~0u, 1);
		assert_int_equal(told.lost, 1);
		expect_cuts(INDEX_SIZE, INDEX_SIZE - FORMAT_ENTRY_SIZE, image.data_size,
			    image.data_ends[MESSAGES - 1]);
	} else {
		expect_segment(MESSAGES, ~(1u << number), 0);
		assert_int_equal(told.mended, 1);
		expect_damaged_files_aside(image.data_size);
	}
	assert_int_equal(told.records, 1);
	empty_scratch();
}

static void test_every_byte_of_the_entries_changed(void **state)
{
	(void)state;
	for (size_t at = FORMAT_HEADER_SIZE; at < INDEX_SIZE; at++) {
		image.index[at] ^= 0x40;
		expect_one_damaged((at - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE);
		image.index[at] ^= 0x40;
	}
}

static void test_every_byte_of_the_payloads_changed(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < MESSAGES; number++)
		for (size_t i = 0; i < few_sizes(number); i++) {
			image.data[image.data_ends[number] + i] ^= 1;
			expect_one_damaged(number);
			image.data[image.data_ends[number] + i] ^= 1;
		}
}

/* All payloads are whole: only the lines are mended. */
static void test_every_separator_changed(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < MESSAGES; number++) {
		image.data[image.data_ends[number + 1] - 1] ^= 1;
		put_open_segment(INDEX_SIZE, image.data_size);
		assert_true(recovers());
		expect_segment(MESSAGES, ~0u, 0);
		assert_int_equal(told.mended, 1);
		assert_int_equal(told.records, 0);
		expect_damaged_files_aside(image.data_size);
		image.data[image.data_ends[number + 1] - 1] ^= 1;
		empty_scratch();
	}
}

static void test_every_byte_of_the_header_changed(void **state)
{
	(void)state;
	for (size_t at = 0; at < FORMAT_HEADER_SIZE; at++) {
		image.index[at] ^= 2;
		put_open_segment(INDEX_SIZE, image.data_size);
		assert_true(recovers());
		expect_segment(MESSAGES, ~0u, 0);
		assert_int_equal(told.mended, 1);
		expect_damaged_files_aside(image.data_size);
		image.index[at] ^= 2;
		empty_scratch();
	}
}

/* Whatever a later version wrote may mean something else. */
static void test_another_version_is_not_touched(void **state)
{
	struct listing_entry entry;
	uint32_t crc;

	(void)state;
	image.index[8] = 3;
	crc = crc32c(0, image.index, 60);
	for (size_t i = 0; i < 4; i++)
		image.index[60 + i] = (uint8_t)(crc >> 8 * i);
	put_open_segment(INDEX_SIZE, image.data_size);
	assert_int_equal(recover_within(UINT64_MAX, &entry), -EPROTO);
	assert_int_equal(count_entries(scratch), 2);
	assert_int_equal(size_of_suffix(FORMAT_OPEN_SUFFIX), INDEX_SIZE);
	assert_int_equal(size_of_suffix(FORMAT_DATA_SUFFIX), image.data_size);
}

static void test_a_segment_of_which_nothing_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < MESSAGES; i++)
		image.index[FORMAT_HEADER_SIZE + i * FORMAT_ENTRY_SIZE + 20] ^= 1;
	put_open_segment(INDEX_SIZE, image.data_size);
	assert_true(recovers());
	expect_segment(MESSAGES, 0, 0);
	assert_int_equal(told.mended, 1);
	assert_int_equal(told.records, MESSAGES);
	expect_damaged_files_aside(image.data_size);
}

static void test_an_index_of_somebody_else(void **state)
{
	(void)state;
	memset(image.index, 'x', INDEX_SIZE);
	put_open_segment(INDEX_SIZE, image.data_size);
	assert_false(recovers());
	assert_int_equal(told.aside, 1);
	expect_file(ASIDE(FORMAT_OPEN_SUFFIX), image.index, INDEX_SIZE);
	expect_file(ASIDE(FORMAT_DATA_SUFFIX), image.data, image.data_size);
	assert_int_equal(count_entries(scratch), 2);
}

/* The start goes on: what cannot be mended now is sealed, and may be mended later. */
static void test_no_space_for_cuts_and_copies(void **state)
{
	struct listing_entry entry;

	(void)state;
	image.data[0] ^= 1;
	memset(image.data + image.data_size, 'x', 20);
	put_open_segment(INDEX_SIZE, image.data_size + 20);
	assert_int_equal(recover_within(0, &entry), 0);
	assert_true(entry.data && entry.sealed && !entry.open && !entry.cut);
	assert_int_equal(told.left, 1);
	assert_int_equal(told.error, -ENOSPC);
	assert_int_equal(count_entries(scratch), 2);
	format_write_header(image.index,
			    &(struct format_header){.created_ns = CREATED_NS, .records = MESSAGES});
	expect_file(NAME(FORMAT_INDEX_SUFFIX), image.index, INDEX_SIZE);
	expect_file(NAME(FORMAT_DATA_SUFFIX), image.data, image.data_size);
}

/* The process died right after it began a segment. */
static void test_a_segment_without_a_record_leaves_nothing(void **state)
{
	(void)state;
	put_open_segment(FORMAT_HEADER_SIZE, 0);
	assert_false(recovers());
	assert_int_equal(count_entries(scratch), 0);
}

static void test_a_sealed_segment_is_left_alone(void **state)
{
	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
	assert_true(recovers());
	assert_int_equal(check_directory(dir_fd, few_sizes).messages, MESSAGES);
	assert_int_equal(count_entries(scratch), 2);
}

/* The process died between the two deletions of an acknowledgement, and what was cut off before is
 * still there. */
static void test_a_sealed_index_without_data_is_deleted(void **state)
{
	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	put_segment_file(dir_fd, 0, FORMAT_DATA_CUT_SUFFIX, "x", 1);
	put_segment_file(dir_fd, 0, FORMAT_INDEX_CUT_SUFFIX, "x", 1);
	assert_false(recovers());
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(told.aside, 0);
}

/* Without an entry, a start died that was deleting it. With one, its data was taken away. */
static void test_an_open_index_without_data(void **state)
{
	(void)state;
	for (size_t torn = 0; torn < FORMAT_ENTRY_SIZE; torn++) {
		put_segment_file(dir_fd, 0, FORMAT_OPEN_SUFFIX, image.index,
				 FORMAT_HEADER_SIZE + torn);
		assert_false(recovers());
		assert_int_equal(count_entries(scratch), 0);
	}
	put_segment_file(dir_fd, 0, FORMAT_OPEN_SUFFIX, image.index, INDEX_SIZE);
	assert_false(recovers());
	assert_int_equal(told.aside, 1);
	expect_file(ASIDE(FORMAT_OPEN_SUFFIX), image.index, INDEX_SIZE);
}

static void test_two_indexes_of_one_segment(void **state)
{
	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	put_open_segment(INDEX_SIZE - 1, image.data_size);
	assert_true(recovers());
	expect_segment(MESSAGES, ~0u, 0);
	assert_int_equal(told.aside, 1);
	expect_file(ASIDE(FORMAT_OPEN_SUFFIX), image.index, INDEX_SIZE - 1);
}

static void test_data_without_an_index_is_put_aside(void **state)
{
	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
	assert_false(recovers());
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(told.aside, 1);
	expect_file(ASIDE(FORMAT_DATA_SUFFIX), image.data, image.data_size);
}

static void test_data_put_aside_before_is_not_lost(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 3; size++) {
		put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, size);
		assert_false(recovers());
		assert_int_equal(count_entries(scratch), size);
	}
	assert_int_equal(size_of_suffix(FORMAT_DATA_SUFFIX ".aside1"), 1);
	assert_int_equal(size_of_suffix(FORMAT_DATA_SUFFIX ".aside3"), 3);
}

static void test_where_renames_know_no_flags(void **state)
{
	knows_no_flags = true;
	test_data_put_aside_before_is_not_lost(state);
}

static void test_an_empty_data_file_is_deleted(void **state)
{
	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "", 0);
	assert_false(recovers());
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(told.aside, 0);
}

static void put_odd(const char *name, int kind)
{
	unlinkat(dir_fd, name, 0);
	if (kind == 0)
		assert_int_equal(symlinkat("target", dir_fd, name), 0);
	else if (kind == 1)
		assert_int_equal(mkfifoat(dir_fd, name, 0600), 0);
	else
		assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
}

/* A link, a pipe or a directory in the place of any file: neither followed, nor waited for, nor
 * deleted. */
static void test_what_is_no_regular_file(void **state)
{
	static const char *const names[] = {
		NAME(FORMAT_DATA_SUFFIX),      NAME(FORMAT_OPEN_SUFFIX),
		NAME(FORMAT_INDEX_SUFFIX),     NAME(FORMAT_DATA_CUT_SUFFIX),
		NAME(FORMAT_DATA_NEW_SUFFIX),  NAME(FORMAT_DRAFT_SUFFIX),
		NAME(FORMAT_INDEX_NEW_SUFFIX),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (int kind = 0; kind < 3; kind++) {
			char aside[64];

			put_file(dir_fd, "target", "mine", 4);
			put_open_segment(INDEX_SIZE, image.data_size);
			put_odd(names[i], kind);
			assert_false(recovers());
			assert_int_equal(told.aside, 1);
			snprintf(aside, sizeof(aside), "%s.aside1", names[i]);
			assert_true(size_at(dir_fd, aside) >= 0);
			assert_int_equal(size_at(dir_fd, names[i]), -1);
			expect_file("target", (const uint8_t *)"mine", 4);
			empty_scratch();
		}
}

/* Nobody can make anything of data whose index is gone: so the index is not what is left alone, and
 * deleted by the next start, when a start dies or fails in between. Here no name is free for it. */
static void test_an_index_is_put_aside_before_its_data(void **state)
{
	const struct recovery recovery = {.dir_fd = dir_fd, .spare = UINT64_MAX, .tell = note};
	struct listing_entry entry = {.data = true, .sealed = true};
	char name[64];

	(void)state;
	for (int i = 1; i <= 1000; i++) {
		snprintf(name, sizeof(name), NAME(FORMAT_INDEX_SUFFIX) ".aside%d", i);
		put_file(dir_fd, name, "", 0);
	}
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
	assert_int_equal(recover_put_aside(&recovery, &entry), -EEXIST);
	assert_int_equal(size_of_suffix(FORMAT_INDEX_SUFFIX), INDEX_SIZE);
	assert_int_equal(size_of_suffix(FORMAT_DATA_SUFFIX), image.data_size);
}

/* A segment that is half mended is finished first, whatever becomes of the next attempt. */
static void test_a_copy_that_was_decided_for_is_not_deleted(void **state)
{
	const struct recovery recovery = {.dir_fd = dir_fd, .tell = note};

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, "damaged", 7);
	put_segment_file(dir_fd, 0, FORMAT_INDEX_NEW_SUFFIX, image.index, INDEX_SIZE);
	put_segment_file(dir_fd, 0, FORMAT_DATA_NEW_SUFFIX, image.data, image.data_size);
	recover_mend(&recovery, 0, MESSAGES); /* there is no space for another copy */
	assert_true(recovers());
	expect_segment(MESSAGES, ~0u, 0);
	expect_file(ASIDE(FORMAT_DATA_SUFFIX), (const uint8_t *)"damaged", 7);
}

static void test_a_decision_that_cannot_be_synced(void **state)
{
	const struct recovery recovery = {.dir_fd = dir_fd, .spare = UINT64_MAX, .tell = note};

	(void)state;
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, image.index, INDEX_SIZE);
	image.data[0] ^= 1;
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, image.data, image.data_size);
	image.data[0] ^= 1;
	sync_fails = true;
	assert_int_equal(recover_mend(&recovery, 0, MESSAGES), -EIO);
	sync_fails = false;
	assert_true(recovers());
	expect_segment(MESSAGES, ~1u, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_index_torn_at_every_byte),
		TEST(test_data_torn_at_every_byte),
		TEST(test_data_beyond_the_index_does_not_count),
		TEST(test_every_byte_of_the_entries_changed),
		TEST(test_every_byte_of_the_payloads_changed),
		TEST(test_every_separator_changed),
		TEST(test_every_byte_of_the_header_changed),
		TEST(test_another_version_is_not_touched),
		TEST(test_a_segment_of_which_nothing_is_whole),
		TEST(test_an_index_of_somebody_else),
		TEST(test_no_space_for_cuts_and_copies),
		TEST(test_a_segment_without_a_record_leaves_nothing),
		TEST(test_a_sealed_segment_is_left_alone),
		TEST(test_a_sealed_index_without_data_is_deleted),
		TEST(test_an_open_index_without_data),
		TEST(test_two_indexes_of_one_segment),
		TEST(test_data_without_an_index_is_put_aside),
		TEST(test_data_put_aside_before_is_not_lost),
		TEST(test_where_renames_know_no_flags),
		TEST(test_an_empty_data_file_is_deleted),
		TEST(test_what_is_no_regular_file),
		TEST(test_an_index_is_put_aside_before_its_data),
		TEST(test_a_copy_that_was_decided_for_is_not_deleted),
		TEST(test_a_decision_that_cannot_be_synced),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
