/* Which segments a spool compresses, and when they come out again: a random sequence of what can
 * happen to them, against a list of what should be there. WEIR_TEST_SEED replays one.
 * --wrap: fsync. */
#include "test_spool_support.h"

#include "spool/codec.h"
#include "spool/space.h"
#include "spool/spool_state.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <tempfile.h>
#include <time.h>

#define PAYLOAD ((size_t)3000)
#define SEGMENT_BYTES KIB(80)
#define WAIT_MS 10000
#define SEALED_MAX 400

static atomic_bool fsync_fails;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	if (!fsync_fails)
		return __real_fsync(fd);
	errno = EIO;
	return -1;
}

/* Each compressed file is synced, which is nobody's concern here: in memory, it costs nothing. */
static int setup_memory(void **state)
{
	snprintf(scratch, sizeof(scratch), "/dev/shm/test_weir.XXXXXX");
	return mkdtemp(scratch) ? 0 : setup_scratch(state);
}

#define TEST_IN_MEMORY(function)                                                                   \
	cmocka_unit_test_setup_teardown(function, setup_memory, teardown_scratch)

static void spool_putp(struct spool **spool)
{
	spool_free(*spool);
}

#define SPOOL CLEANUP(spool_put) struct spool

static struct spool *open_spool(const struct spool_options *more)
{
	struct spool_options options = *more;
	struct spool *spool = NULL;

	options.path = scratch;
	options.segment_bytes = SEGMENT_BYTES;
	assert_int_equal(spool_open(&options, &spool), 0);
	return spool;
}

static struct spool *open_packing(bool all)
{
	return open_spool(&(struct spool_options){.pack_level = 1, .pack_all = all});
}

/* A message that says its number, again and again. */
static void append(struct spool *spool, uint64_t number)
{
	static struct message_batch batch;
	static uint8_t memory[PAYLOAD + 1];

	char text[11];

	snprintf(text, sizeof(text), "%010llu", (unsigned long long)number);
	for (size_t i = 0; i + 10 <= PAYLOAD; i += 10)
		memcpy(memory + i, text, 10);
	batch_of_one(&batch, number, memory, PAYLOAD);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
}

static void append_segment(struct spool *spool, uint64_t *number)
{
	uint64_t sealed = spool_counters(spool).sealed;

	while (spool_counters(spool).sealed == sealed && !spool_is_full(spool))
		append(spool, (*number)++);
}

/* Waits for what the packer says next. */
static void wait_for_progress(struct spool *spool)
{
	struct pollfd poll_fd = {.fd = spool_pack_fd(spool), .events = POLLIN};

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	spool_pack_collect(spool);
}

static void wait_until_idle(struct spool *spool)
{
	while (spool_is_packing(spool))
		wait_for_progress(spool);
}

static struct segment *take(struct spool *spool)
{
	struct segment *segment;

	while (!(segment = spool_take(spool)))
		wait_for_progress(spool);
	assert_int_equal(segment->view_error, 0);
	return segment;
}

static int count_of(const char *suffix)
{
	DIR *dir = opendir(scratch);
	int count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += strlen(entry->d_name) > 20 && strcmp(entry->d_name + 20, suffix) == 0;
	closedir(dir);
	return count;
}

/* Each message is one record, so that its number is its sequence number. */
static void check_data(const struct spool *spool, const struct segment *segment)
{
	CLEANUP_FD int fd = -1;
	static char data[SEGMENT_BYTES + PAYLOAD + 2];
	size_t records = (size_t)segment->records;
	char text[11];

	assert_int_equal(spool_open_data(spool, segment, &fd), 0);
	assert_int_equal(read(fd, data, sizeof(data)), (ssize_t)(records * (PAYLOAD + 1)));
	for (size_t i = 0; i < records; i++) {
		snprintf(text, sizeof(text), "%010llu",
			 (unsigned long long)(segment->first_seq + i));
		assert_memory_equal(data + i * (PAYLOAD + 1), text, 10);
		assert_memory_equal(data + i * (PAYLOAD + 1) + PAYLOAD - 10, text, 10);
		assert_int_equal(data[i * (PAYLOAD + 1) + PAYLOAD], '\n');
	}
}

/* What is told of the disk space is what all files take; the lock file may have been empty when it
 * was looked at. */
static void check_space(const struct spool *spool)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	uint64_t held = spool_counters(spool).held_bytes;
	struct space space;

	assert_int_equal(space_of_all(dir_fd, &space), 0);
	assert_in_range(space.bytes, held, held + 4096);
}

static void test_what_waits_is_compressed(void **state)
{
	SPOOL *spool = open_packing(false);
	uint64_t number = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		append_segment(spool, &number);
	wait_until_idle(spool);
	assert_int_equal(spool_counters(spool).packed, 4); /* not the one that is next */
	assert_int_equal(count_of(FORMAT_PACKED_SUFFIX), 4);
	assert_int_equal(count_of(FORMAT_DATA_SUFFIX), 1);
	check_space(spool);
	for (uint64_t seq = 0; seq < number;) {
		struct segment *segment = take(spool);

		assert_int_equal(segment->first_seq, seq);
		assert_int_equal(segment->data_file != NULL, seq > 0);
		check_data(spool, segment);
		seq += segment->records;
		assert_int_equal(spool_ack(spool, segment), 0);
	}
	check_space(spool);
	assert_int_equal(count_entries(scratch), 1);
}

static void test_all_that_stays_is_compressed(void **state)
{
	SPOOL *spool = open_packing(true);
	uint64_t number = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		append_segment(spool, &number);
	wait_until_idle(spool);
	assert_int_equal(count_of(FORMAT_PACKED_SUFFIX), 3);
	assert_int_equal(count_of(FORMAT_INDEX_SUFFIX), 0);
	check_space(spool);
}

/* Where it is not sure that the compressed file will be found, the others stay. They count, and go
 * with it. */
static void test_the_plain_files_stay(void **state)
{
	SPOOL *spool = open_packing(true);
	uint64_t number = 0;

	(void)state;
	fsync_fails = true;
	append_segment(spool, &number);
	wait_until_idle(spool);
	fsync_fails = false;
	assert_int_equal(count_of(FORMAT_PACKED_SUFFIX), 1);
	assert_int_equal(count_of(FORMAT_DATA_SUFFIX), 1);
	check_space(spool);
	assert_int_equal(spool_ack(spool, take(spool)), 0);
	check_space(spool);
	assert_int_equal(count_entries(scratch), 1);
}

/* One that is kept loses its view, and stays as it is on the disk. */
static void test_a_segment_that_is_kept(void **state)
{
	SPOOL *spool = open_packing(false);
	uint64_t number = 0;
	int fds;

	(void)state;
	for (int i = 0; i < 3; i++)
		append_segment(spool, &number);
	wait_until_idle(spool);
	assert_int_equal(spool_ack(spool, take(spool)), 0);
	fds = count_fds();
	spool_keep(spool, take(spool));
	assert_int_equal(count_fds(), fds);
	assert_int_equal(count_of(FORMAT_PACKED_SUFFIX), 2);
	check_space(spool);
}

/* Without the option too, what was compressed comes out plain. */
static void test_the_next_run(void **state)
{
	struct spool *spool = open_packing(true);
	uint64_t number = 0, seq = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		append_segment(spool, &number);
	wait_until_idle(spool);
	spool_free(spool);
	spool = open_spool(&(struct spool_options){.pack_level = 0});
	while (seq < number) {
		struct segment *segment = take(spool);

		assert_int_equal(segment->first_seq, seq);
		check_data(spool, segment);
		seq += segment->records;
		assert_int_equal(spool_ack(spool, segment), 0);
	}
	check_space(spool);
	spool_free(spool);
	assert_int_equal(count_entries(scratch), 1);
}

/* Nothing is compressed for which there would be no room under the cap. */
static void test_under_a_cap(void **state)
{
	SPOOL *spool = open_spool(
		&(struct spool_options){.pack_level = 1, .disk_max = SPOOL_DISK_MAX_MIN});
	uint64_t number = 0;

	(void)state;
	while (spool_room(spool, 0) >= KIB(16) && spool_counters(spool).sealed < 60)
		append_segment(spool, &number);
	wait_until_idle(spool);
	assert_true(spool_counters(spool).packed > 0);
	for (struct segment *segment; spool_has_waiting(spool);) {
		segment = take(spool);
		assert_true(spool_counters(spool).held_bytes <= SPOOL_DISK_MAX_MIN);
		assert_int_equal(spool_ack(spool, segment), 0);
	}
	assert_true(spool_counters(spool).peak_bytes <= SPOOL_DISK_MAX_MIN);
}

/* What is for compressing stays free of events, and of what is reserved ahead. */
static void test_events_under_a_cap(void **state)
{
	const struct spool_event event = {.kind = FORMAT_CONNECTED};
	SPOOL *spool = open_spool(
		&(struct spool_options){.pack_level = 1, .disk_max = SPOOL_DISK_MAX_MIN});
	uint64_t most = SPOOL_DISK_MAX_MIN - spool_pack_reserve(spool);

	(void)state;
	assert_true(spool_spare(spool) <= most / 2);
	for (uint64_t i = 0; spool_counters(spool).lost_events == 0; i++) {
		assert_true(i < SPOOL_DISK_MAX_MIN / FORMAT_ENTRY_SIZE);
		assert_int_equal(spool_add_event(spool, &event), 0);
		if (i % 1000 == 0)
			assert_int_equal(spool_commit(spool), 0);
	}
	assert_int_equal(spool_commit(spool), 0);
	assert_in_range(spool_counters(spool).held_bytes, most / 10 * 9, most);
}

/* The oldest one is dropped, whatever is being done to it. */
static void test_dropping(void **state)
{
	SPOOL *spool = open_spool(
		&(struct spool_options){.pack_level = 1, .pack_all = true, .may_drop = true});
	uint64_t number = 0;
	int dropped = 0;

	(void)state;
	for (int i = 0; i < 6; i++)
		append_segment(spool, &number);
	while (spool_has_waiting(spool)) {
		int r = spool_drop_oldest(spool);

		assert_true(r >= 0);
		dropped += r;
		if (r == 0)
			wait_for_progress(spool);
	}
	wait_until_idle(spool);
	assert_int_equal(dropped, 6);
	check_space(spool);
	assert_int_equal(count_of(FORMAT_PACKED_SUFFIX) + count_of(FORMAT_DATA_SUFFIX) +
				 count_of(FORMAT_PACKING_SUFFIX),
			 0);
}

/* The reference: segments that are there, by their first numbers. */
struct model {
	uint64_t number; /* of the next message */
	uint64_t first[SEALED_MAX];
	size_t count; /* sealed, and not acknowledged */
};

static void model_append(struct model *model, struct spool *spool)
{
	model->first[model->count++] = model->number;
	append_segment(spool, &model->number);
}

static void model_take(struct model *model, struct spool *spool, bool keep)
{
	struct segment *segment = take(spool);

	assert_int_equal(segment->first_seq, model->first[0]);
	check_data(spool, segment);
	if (keep) {
		spool_keep(spool, segment); /* comes again in the next run */
		return;
	}
	assert_int_equal(spool_ack(spool, segment), 0);
	memmove(model->first, model->first + 1, --model->count * sizeof(model->first[0]));
}

static uint64_t seed(void)
{
	const char *text = getenv("WEIR_TEST_SEED");

	return text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
}

static void test_at_random(void **state)
{
	struct spool *spool = open_packing(false);
	struct model model = {.number = 0};
	uint64_t dice = seed();

	(void)state;
	print_message("WEIR_TEST_SEED=%llu\n", (unsigned long long)dice);
	for (int i = 0; i < 400; i++) {
		dice = dice * 6364136223846793005u + 1442695040888963407u;
		switch ((dice >> 40) % 8) {
		case 0:
			spool_free(spool); /* as by a kill between two steps */
			spool = open_packing((dice >> 50) % 4 == 0);
			break;
		case 1:
		case 2:
			if (spool_is_packing(spool))
				wait_for_progress(spool);
			break;
		case 3:
		case 4:
			if (model.count > 0)
				model_take(&model, spool, false);
			break;
		default:
			if (model.count < SEALED_MAX)
				model_append(&model, spool);
		}
	}
	while (model.count > 0)
		model_take(&model, spool, false);
	check_space(spool);
	spool_free(spool);
	assert_int_equal(count_entries(scratch), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_MEMORY(test_what_waits_is_compressed),
		TEST_IN_MEMORY(test_all_that_stays_is_compressed),
		TEST_IN_MEMORY(test_the_plain_files_stay),
		TEST_IN_MEMORY(test_a_segment_that_is_kept),
		TEST_IN_MEMORY(test_the_next_run),
		TEST_IN_MEMORY(test_under_a_cap),
		TEST_IN_MEMORY(test_events_under_a_cap),
		TEST_IN_MEMORY(test_dropping),
		TEST_IN_MEMORY(test_at_random),
	};

	if (!codec_exists())
		return 0;
	return cmocka_run_group_tests_name("spool_pack", tests, NULL, NULL);
}
