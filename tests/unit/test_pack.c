/* Compressed segments: what is read of them is what was written, whichever bytes are asked for and
 * whatever stops it, and damage costs no more than the part that it is in.
 * --wrap: none. */
#include "test_spool_support.h"

#include "spool/audit.h"
#include "spool/codec.h"
#include "spool/listing.h"
#include "spool/pack.h"
#include "spool/packed.h"
#include "spool/recover.h"
#include "spool/seek_table.h"
#include "spool/spool.h"

#include <sys/wait.h>

#define MESSAGES 3000

/* Each compressed file is synced, which is nobody's concern here: in memory, it costs nothing. */
static int setup_memory(void **state)
{
	snprintf(scratch, sizeof(scratch), "/dev/shm/test_weir.XXXXXX");
	return mkdtemp(scratch) ? 0 : setup_scratch(state);
}

#define TEST_IN_MEMORY(function)                                                                   \
	cmocka_unit_test_setup_teardown(function, setup_memory, teardown_scratch)

/* Long enough for many frames, and fit to be compressed. */
static size_t regular_sizes(uint64_t number)
{
	return number % 1000 == 7 ? 700000 : (size_t)(number * 31 % 400);
}

static uint8_t regular_byte(uint64_t number, size_t at)
{
	return (uint8_t)("abcdefgh"[(number + at / 16) % 8]);
}

/* One sealed segment with the number 0. */
static void make_segment_of(uint64_t messages, size_t (*size_of)(uint64_t number))
{
	struct spool_options options = {.path = scratch, .segment_bytes = MIB(64)};
	static struct message_batch batch;
	static uint8_t memory[MIB(1)];
	struct spool *spool = NULL;

	assert_int_equal(spool_open(&options, &spool), 0);
	for (uint64_t number = 0; number < messages; number++) {
		size_t size = size_of(number);

		for (size_t i = 0; i < size; i++)
			memory[i] = regular_byte(number, i);
		batch_of_one(&batch, number, memory, size);
		assert_int_equal(spool_append(spool, &batch), 0);
		assert_int_equal(spool_commit(spool), 0);
	}
	assert_int_equal(spool_seal(spool), 0);
	spool_free(spool);
}

static void make_segment(uint64_t messages)
{
	make_segment_of(messages, regular_sizes);
}

static struct pack_job job_in(int dir_fd)
{
	return (struct pack_job){
		.dir_fd = dir_fd, .level = CODEC_LEVEL_DEFAULT, .view_max_bytes = UINT64_MAX};
}

static void pack(int dir_fd)
{
	struct pack_job job = job_in(dir_fd);
	uint64_t bytes = 0;

	assert_int_equal(pack_segment(&job, &bytes), 0);
	assert_true(bytes > 0);
}

static off_t packed_size(int dir_fd)
{
	return size_of_file(dir_fd, 0, FORMAT_PACKED_SUFFIX);
}

/* Reads all records; returns how many are whole, and counts the others. */
static uint64_t read_all(int dir_fd, uint64_t *ret_damaged)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;
	uint64_t whole = 0;
	int r = reader_open(dir_fd, 0, true, &reader);

	*ret_damaged = 0;
	if (r < 0)
		return 0;
	while ((r = reader_next(reader, &record)) != 0) {
		assert_true(r > 0 || r == -EBADMSG);
		*ret_damaged += r < 0;
		if (r < 0)
			continue;
		assert_int_equal(record.entry.length, regular_sizes(record.seq));
		if (record.payload)
			for (size_t i = 0; i < record.entry.length; i++)
				if (record.payload[i] != regular_byte(record.seq, i))
					fail_msg("record %llu differs at %zu",
						 (unsigned long long)record.seq, i);
		whole++;
	}
	return whole;
}

static void assert_all_is_there(int dir_fd)
{
	uint64_t damaged;

	assert_int_equal(read_all(dir_fd, &damaged), MESSAGES);
	assert_int_equal(damaged, 0);
}

static void test_a_segment_becomes_one_file(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	off_t data, index;

	(void)state;
	make_segment(MESSAGES);
	data = size_of_file(dir_fd, 0, FORMAT_DATA_SUFFIX);
	index = size_of_file(dir_fd, 0, FORMAT_INDEX_SUFFIX);
	pack(dir_fd);
	assert_int_equal(count_entries(scratch), 2); /* with the lock */
	assert_true(packed_size(dir_fd) < data / 4 + index);
	assert_all_is_there(dir_fd);
}

/* Any bytes, from anywhere. */
static void test_reading_at_random(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP_FREE uint8_t *data = NULL;
	CLEANUP_FREE uint8_t *got = malloc(MIB(1));
	CLEANUP(packed_free) struct packed *packed = NULL;
	size_t size;
	uint64_t dice = 1;

	(void)state;
	make_segment(MESSAGES);
	data = get_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, &size);
	pack(dir_fd);
	assert_int_equal(
		packed_open(openat(dir_fd, "00000000000000000000.data.zst", O_RDONLY), &packed), 0);
	assert_int_equal(packed_data_size(packed), size);
	assert_int_equal(packed_index_size(packed),
			 FORMAT_HEADER_SIZE + MESSAGES * FORMAT_ENTRY_SIZE);
	for (int i = 0; i < 2000; i++) {
		size_t at, want, there;

		dice = dice * 6364136223846793005u + 1442695040888963407u;
		at = (size_t)(dice >> 33) % (size + 100);
		want = (size_t)(dice >> 20) % (i % 2 ? 1000 : MIB(1));
		there = at < size ? MIN(want, size - at) : 0;
		assert_int_equal(packed_read(packed, at, got, want), (ssize_t)there);
		assert_memory_equal(got, data + MIN(at, size), there);
	}
}

static void test_a_view(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(pack_view_done) struct pack_view view = {0};
	struct pack_job job = job_in(dir_fd);
	CLEANUP_FREE uint8_t *data = NULL, *index = NULL, *got = NULL;
	size_t data_size, index_size;

	(void)state;
	make_segment(MESSAGES);
	data = get_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, &data_size);
	index = get_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, &index_size);
	got = malloc(data_size + 1);
	pack(dir_fd);
	assert_int_equal(pack_open_view(&job, &view), 0);
	assert_int_equal(count_entries(scratch), 2);
	assert_int_equal(pread(tempfile_fd(view.data), got, data_size + 1, 0), data_size);
	assert_memory_equal(got, data, data_size);
	assert_int_equal(pread(tempfile_fd(view.index), got, data_size + 1, 0), index_size);
	assert_memory_equal(got, index, index_size);
	assert_true(view.disk_bytes >= data_size + index_size);
}

/* The public tool makes the data of it. */
static void test_others_can_read_it(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	char command[256];

	(void)state;
	if (system("command -v zstd >/dev/null 2>&1") != 0)
		skip();
	make_segment(MESSAGES);
	snprintf(command, sizeof(command), "cp %s/*0.data %s/copy", scratch, scratch);
	assert_int_equal(system(command), 0);
	pack(dir_fd);
	snprintf(command, sizeof(command), "zstd -qdc %s/*.zst | cmp - %s/copy", scratch, scratch);
	assert_int_equal(system(command), 0);
}

static void test_what_is_not_worth_it(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct pack_job job = job_in(dir_fd);
	CLEANUP_FREE uint8_t *noise = malloc(MIB(1));
	atomic_bool cancel = true;
	uint64_t dice = 7, bytes = 12345;

	(void)state;
	make_segment(MESSAGES);
	job.cancel = &cancel;
	assert_int_equal(pack_segment(&job, &bytes), -ECANCELED);
	assert_all_is_there(dir_fd);
	assert_int_equal(count_entries(scratch), 3);
	job.cancel = NULL;
	for (size_t i = 0; i < MIB(1); i++) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		noise[i] = (uint8_t)(dice >> 40);
	}
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, noise, MIB(1));
	assert_int_equal(pack_segment(&job, &bytes), -EFBIG);
	assert_int_equal(bytes, 12345);
	assert_int_equal(count_entries(scratch), 3);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_DATA_SUFFIX), MIB(1));
	job.first_seq = 77;
	assert_int_equal(pack_segment(&job, &bytes), -ENOENT);
}

/* Puts a copy of a file in its place that has been damaged. */
static void damage(int dir_fd, const uint8_t *content, size_t size, size_t at, uint8_t change)
{
	CLEANUP_FREE uint8_t *changed = malloc(size);

	memcpy(changed, content, size);
	changed[at] ^= change;
	put_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, changed, size);
}

/* WEIR_TEST_FLIPS asks for more. */
static long flips(void)
{
	const char *text = getenv("WEIR_TEST_FLIPS");

	return text ? atol(text) : 200;
}

/* Nothing that is damaged is taken for whole, and what is in other parts is still there. */
static void test_flipped_bits(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP_FREE uint8_t *content = NULL;
	uint64_t dice = 3, damaged;
	size_t size;

	(void)state;
	make_segment(MESSAGES);
	pack(dir_fd);
	content = get_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, &size);
	for (long i = 0; i < flips(); i++) {
		uint64_t whole;

		dice = dice * 6364136223846793005u + 1442695040888963407u;
		damage(dir_fd, content, size, (size_t)(dice >> 33) % size,
		       (uint8_t)(1u << (dice >> 60) % 8));
		whole = read_all(dir_fd, &damaged);
		assert_true(whole <= MESSAGES);
		if (whole == MESSAGES)
			assert_int_equal(damaged, 0);
	}
	damage(dir_fd, content, size, 1000, 1); /* in the first frame */
	assert_true(read_all(dir_fd, &damaged) > MESSAGES / 3);
	assert_true(damaged > 0);
}

/* The second message ends with a frame, and its separator is the first byte of the next one. */
static size_t up_to_one_frame(uint64_t number)
{
	return number == 1 ? SEEK_TABLE_FRAME_SIZE - 101 : 100;
}

static size_t up_to_three_frames(uint64_t number)
{
	return number == 1 ? 3 * SEEK_TABLE_FRAME_SIZE - 101 : 100;
}

static void lose_last_frame(int dir_fd)
{
	CLEANUP_FREE uint8_t *content = NULL;
	struct seek_table table;
	size_t size;
	CLEANUP_FD int fd = openat(dir_fd, "00000000000000000000.data.zst", O_RDONLY | O_CLOEXEC);

	assert_int_equal(seek_table_read(fd, &table), 0);
	content = get_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, &size);
	damage(dir_fd, content, size, (size_t)table.frames[table.count - 1].at, 1);
	seek_table_done(&table);
}

static void test_a_separator_in_a_damaged_frame(void **state)
{
	size_t (*const sizes[])(uint64_t) = {up_to_one_frame, up_to_three_frames};
	CLEANUP_FD int dir_fd = open_dir(scratch);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		CLEANUP(reader_free) struct reader *reader = NULL;
		struct record record;

		make_segment_of(3, sizes[i]);
		pack(dir_fd);
		lose_last_frame(dir_fd);
		assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
		assert_int_equal(reader_next(reader, &record), 1);
		assert_false(record.loose);
		assert_int_equal(reader_next(reader, &record), 1);
		assert_true(record.loose);
		assert_int_equal(reader_next(reader, &record), -EBADMSG);
		assert_int_equal(unlinkat(dir_fd, "00000000000000000000.data.zst", 0), 0);
		assert_int_equal(unlinkat(dir_fd, FORMAT_LOCK_NAME, 0), 0);
	}
}

static void test_files_that_are_cut(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP_FREE uint8_t *content = NULL;
	CLEANUP(reader_free) struct reader *reader = NULL;
	size_t size;

	(void)state;
	make_segment(MESSAGES);
	pack(dir_fd);
	content = get_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, &size);
	for (size_t cut = 0; cut < size; cut += cut < 40 ? 1 : size / 50) {
		put_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, content, cut);
		assert_int_equal(reader_open(dir_fd, 0, true, &reader), -EBADMSG);
	}
}

/* What was in the damaged part is anything, the rest is as it was, and who gets it is told. */
static void test_a_view_of_what_is_damaged(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(pack_view_done) struct pack_view view = {0};
	struct pack_job job = job_in(dir_fd);
	CLEANUP_FREE uint8_t *content = NULL, *data = NULL, *got = NULL;
	size_t size, data_size;

	(void)state;
	make_segment(MESSAGES);
	data = get_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, &data_size);
	got = malloc(data_size);
	pack(dir_fd);
	content = get_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, &size);
	damage(dir_fd, content, size, 1000, 1);
	assert_int_equal(pack_open_view(&job, &view), 0);
	assert_int_equal(pread(tempfile_fd(view.data), got, data_size, 0), data_size);
	assert_true(view.damaged);
	assert_memory_not_equal(got, data, KIB(256));
	assert_memory_equal(got + KIB(256), data + KIB(256), data_size - KIB(256));
}

/* What a process that is killed while it compresses leaves behind. */
static void test_every_step(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP_FREE uint8_t *data = NULL, *index = NULL, *packed = NULL;
	size_t data_size, index_size, size;
	static const struct {
		bool data, index, packed, packing;
		bool cut; /* the compressed one is not whole */
		bool stays_packed;
	} steps[] = {
		{true, true, false, true, false, false}, {true, true, true, false, false, true},
		{false, true, true, false, false, true}, {false, false, true, false, false, true},
		{true, true, true, false, true, false},	 {true, false, true, false, false, true},
		{false, false, true, true, false, true},
	};

	(void)state;
	make_segment(MESSAGES);
	data = get_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, &data_size);
	index = get_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, &index_size);
	pack(dir_fd);
	packed = get_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, &size);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		CLEANUP(listing_done) struct listing listing = {0};

		empty_scratch();
		if (steps[i].data)
			put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, data, data_size);
		if (steps[i].index)
			put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, index, index_size);
		if (steps[i].packed)
			put_segment_file(dir_fd, 0, FORMAT_PACKED_SUFFIX, packed,
					 steps[i].cut ? size / 2 : size);
		if (steps[i].packing)
			put_segment_file(dir_fd, 0, FORMAT_PACKING_SUFFIX, packed, size / 2);
		assert_int_equal(listing_read(dir_fd, &listing), 0);
		assert_int_equal(listing.count, 1);
		assert_int_equal(listing.foreign, 0);
		assert_int_equal(
			recover_segment(&(struct recovery){.dir_fd = dir_fd}, &listing.entries[0]),
			0);
		assert_true(listing.entries[0].sealed && listing.entries[0].data);
		assert_int_equal(listing.entries[0].packed, steps[i].stays_packed);
		assert_int_equal(count_entries(scratch), steps[i].stays_packed ? 1 : 2);
		assert_all_is_there(dir_fd);
	}
}

/* The entry of the last message is missing, and nothing but the data says so. */
static void cut_index(int dir_fd)
{
	CLEANUP_FREE uint8_t *index = NULL;
	size_t size;

	index = get_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, &size);
	format_write_header(index, &(struct format_header){.first_seq = 0});
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, index, size - FORMAT_ENTRY_SIZE);
}

static void expect_data_end(void *data, const struct audit_finding *finding)
{
	int *count = data;

	assert_int_equal(finding->kind, AUDIT_DATA_END);
	++*count;
}

/* Its records are whole, whatever its end is. */
static void test_an_index_that_was_cut_before(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	const struct recovery recovery = {.dir_fd = dir_fd, .spare = UINT64_MAX};
	CLEANUP(reader_free) struct reader *reader = NULL;
	int whole = 0, gaps = 0, findings = 0;
	const struct audit audit = {.dir_fd = dir_fd, .tell = expect_data_end, .data = &findings};
	struct audit_totals totals;
	struct record record;

	(void)state;
	make_segment(MESSAGES);
	cut_index(dir_fd);
	pack(dir_fd);
	assert_int_equal(audit_spool(&audit, &totals), 0);
	assert_int_equal(totals.messages, MESSAGES - 1);
	assert_int_equal(findings, 1);
	assert_int_equal(recover_mend(&recovery, 0, MESSAGES), 0);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	while (reader_next(reader, &record) > 0) {
		whole += !format_is_event(&record.entry);
		gaps += record.entry.kind == FORMAT_GAP;
	}
	assert_int_equal(whole, MESSAGES - 1);
	assert_int_equal(gaps, 1);
}

static void test_a_lone_file_that_was_never_finished(void **state)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(listing_done) struct listing listing = {0};

	(void)state;
	put_segment_file(dir_fd, 5, FORMAT_PACKING_SUFFIX, "abc", 3);
	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count, 1);
	assert_int_equal(recover_segment(&(struct recovery){.dir_fd = dir_fd}, &listing.entries[0]),
			 0);
	assert_false(listing.entries[0].sealed);
	assert_int_equal(count_entries(scratch), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_MEMORY(test_a_segment_becomes_one_file),
		TEST_IN_MEMORY(test_reading_at_random),
		TEST_IN_MEMORY(test_a_view),
		TEST_IN_MEMORY(test_others_can_read_it),
		TEST_IN_MEMORY(test_what_is_not_worth_it),
		TEST_IN_MEMORY(test_flipped_bits),
		TEST_IN_MEMORY(test_a_separator_in_a_damaged_frame),
		TEST_IN_MEMORY(test_files_that_are_cut),
		TEST_IN_MEMORY(test_a_view_of_what_is_damaged),
		TEST_IN_MEMORY(test_every_step),
		TEST_IN_MEMORY(test_an_index_that_was_cut_before),
		TEST_IN_MEMORY(test_a_lone_file_that_was_never_finished),
	};

	if (!codec_exists())
		return 0;
	return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
