/* The cap on disk space: whatever comes, the files never take more, by stat(2) and not by the
 * spool's own count; and nearly all of it is used before anything has to wait.
 * --wrap: none. */
#include "test_spool_support.h"

#include "spool/spool.h"

#define DISK_MAX SPOOL_DISK_MAX_MIN
#define RECEIVE_MAX MIB(2)
#define LOCK_SIZE KIB(4)

static size_t large_sizes(uint64_t number)
{
	return 150000 + (size_t)(number % 7) * 20000;
}

/* One kind of stream, and what the spool is told about segments. */
struct load {
	size_t (*size_of)(uint64_t number);
	uint64_t segment_bytes;
	uint64_t segment_messages;
	size_t rounds;
	uint64_t unused; /* of the cap, at most, when there is no room */
};

static void receive(struct spool *spool, struct source *source, uint8_t *memory, size_t room)
{
	static struct message_batch batch;
	uint8_t *to = memory + 1, *end = to + MIN(room, RECEIVE_MAX);
	bool more = true;

	source->free = memory;
	while (more && !spool_is_full(spool)) {
		batch.count = 0;
		batch.time_ns = MESSAGE_TIME_NS(source->number);
		while (more && batch.count < MESSAGE_BATCH_MAX) {
			more = source_put(source, &batch.pieces[batch.count], &to, end);
			batch.count += more;
		}
		assert_int_equal(spool_append(spool, &batch), 0);
	}
	assert_int_equal(spool_commit(spool), 0);
}

static void assert_below_cap(struct spool *spool, const char *after)
{
	uint64_t bytes = space_on_disk(spool_dir_fd(spool));

	if (bytes > DISK_MAX)
		fail_msg("%llu bytes after %s", (unsigned long long)bytes, after);
	assert_true(spool_counters(spool).held_bytes + LOCK_SIZE >= bytes);
	assert_true(spool_counters(spool).peak_bytes <= DISK_MAX);
}

/* At the cap: what is there can be sealed, and that takes nothing. */
static void make_room(struct spool *spool, uint64_t unused)
{
	uint64_t before = space_on_disk(spool_dir_fd(spool));
	struct segment *segment;

	if (!spool_in_message(spool)) {
		assert_int_equal(spool_seal(spool), 0);
		assert_true(space_on_disk(spool_dir_fd(spool)) <= before);
	}
	assert_true(before >= DISK_MAX - unused);
	segment = spool_take(spool);
	assert_non_null(segment);
	assert_int_equal(spool_ack(spool, segment), 0);
	assert_true(space_on_disk(spool_dir_fd(spool)) < before);
	assert_below_cap(spool, "acknowledging");
	assert_int_equal(spool_retry(spool), 0);
}

static void run(const struct load *load)
{
	struct spool_options options = {.path = scratch,
					.segment_bytes = load->segment_bytes,
					.segment_messages = load->segment_messages,
					.disk_max = DISK_MAX};
	struct source source = {.size_of = load->size_of};
	CLEANUP_FREE uint8_t *memory = malloc(RECEIVE_MAX + 1);
	CLEANUP(spool_free) struct spool *spool = NULL;
	size_t full = 0;

	assert_non_null(memory);
	assert_int_equal(spool_open(&options, &spool), 0);
	for (size_t i = 0; i < load->rounds; i++) {
		size_t room = spool_room(spool, 0);

		if (room == 0) {
			full++;
			make_room(spool, load->unused);
		} else {
			receive(spool, &source, memory, room);
		}
		assert_below_cap(spool, room == 0 ? "making room" : "receiving");
	}
	assert_true(full > 5); /* or this would test nothing */
}

static void test_empty_messages(void **state)
{
	(void)state;
	run(&(struct load){
		.size_of = no_sizes, .segment_bytes = MIB(64), .rounds = 200, .unused = KIB(160)});
}

static void test_small_messages(void **state)
{
	(void)state;
	run(&(struct load){.size_of = small_sizes,
			   .segment_bytes = MIB(64),
			   .rounds = 600,
			   .unused = KIB(160)});
}

static void test_mixed_messages(void **state)
{
	(void)state;
	run(&(struct load){.size_of = mixed_sizes,
			   .segment_bytes = MIB(64),
			   .rounds = 300,
			   .unused = KIB(160)});
}

static void test_large_messages(void **state)
{
	(void)state;
	run(&(struct load){.size_of = large_sizes,
			   .segment_bytes = KIB(100),
			   .rounds = 1500,
			   .unused = KIB(400)});
}

/* Every segment costs a header too. */
static void test_segments_of_one_message(void **state)
{
	(void)state;
	run(&(struct load){.size_of = no_sizes,
			   .segment_bytes = MIB(64),
			   .segment_messages = 1,
			   .rounds = 200,
			   .unused = KIB(160)});
}

static void test_segments_of_one_byte(void **state)
{
	(void)state;
	run(&(struct load){
		.size_of = no_sizes, .segment_bytes = 1, .rounds = 200, .unused = KIB(160)});
}

static void test_without_a_cap_there_is_always_room(void **state)
{
	CLEANUP(spool_free) struct spool *spool = NULL;

	(void)state;
	assert_int_equal(
		spool_open(&(struct spool_options){.path = scratch, .segment_bytes = 1}, &spool),
		0);
	assert_int_equal(spool_room(spool, 0), SIZE_MAX);
}

/* What an earlier run left counts. */
static void test_a_spool_that_is_full_from_the_start(void **state)
{
	CLEANUP(spool_free) struct spool *spool = NULL;
	CLEANUP_FREE uint8_t *memory = malloc(RECEIVE_MAX + 1);
	struct spool_options options = {.path = scratch, .segment_bytes = MIB(1)};
	struct source source = {.size_of = large_sizes};

	(void)state;
	assert_non_null(memory);
	assert_int_equal(spool_open(&options, &spool), 0);
	for (int i = 0; i < 3; i++)
		receive(spool, &source, memory, RECEIVE_MAX);
	spool_free(TAKE_PTR(spool));
	options.disk_max = DISK_MAX;
	assert_int_equal(spool_open(&options, &spool), 0);
	assert_true(spool_counters(spool).held_bytes > DISK_MAX);
	assert_int_equal(spool_room(spool, 0), 0);
}

static void put_foreign_file(size_t size)
{
	CLEANUP_FD int fd = open(in_scratch("somebody's"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)size), 0);
}

/* It makes the directory a spool first, or it would be somebody else's. */
static void test_files_of_others_count(void **state)
{
	struct spool_options options = {.path = scratch, .segment_bytes = MIB(1)};
	CLEANUP(spool_free) struct spool *spool = NULL;
	size_t room, less;

	(void)state;
	options.disk_max = DISK_MAX;
	assert_int_equal(spool_open(&options, &spool), 0);
	room = spool_room(spool, 0);
	spool_free(TAKE_PTR(spool));
	put_foreign_file(MIB(1));
	assert_int_equal(spool_open(&options, &spool), 0);
	less = spool_room(spool, 0);
	assert_true(less < room * 3 / 4 + 1 && less > 0);
	spool_free(TAKE_PTR(spool));
	put_foreign_file(MIB(4));
	assert_int_equal(spool_open(&options, &spool), 0);
	assert_int_equal(spool_room(spool, 0), 0);
	assert_int_equal(spool_lack(spool, 0), SPOOL_LACKS_CAP);
}

/* Connections that come and go do not fill the spool up beyond the cap. */
static void test_events_respect_the_cap(void **state)
{
	const struct spool_event event = {.kind = FORMAT_CONNECTED};
	struct spool_options options = {
		.path = scratch, .segment_bytes = MIB(1), .disk_max = DISK_MAX};
	const struct loss loss = {.messages = 7, .bytes = 100, .first_ns = 1, .last_ns = 2};
	CLEANUP(spool_free) struct spool *spool = NULL;
	size_t added = 0;

	(void)state;
	assert_int_equal(spool_open(&options, &spool), 0);
	while (spool_counters(spool).lost_events == 0) {
		assert_int_equal(spool_add_event(spool, &event), 0);
		assert_true(added++ < DISK_MAX / FORMAT_ENTRY_SIZE);
		if (added % 1000 == 0)
			assert_int_equal(spool_commit(spool), 0);
	}
	assert_int_equal(spool_commit(spool), 0);
	assert_true(added > DISK_MAX / FORMAT_ENTRY_SIZE * 9 / 10);
	assert_below_cap(spool, "events");
	/* There is still room for what was dropped. */
	spool_note_loss(spool, &loss);
	assert_int_equal(spool_record_loss(spool), 0);
	assert_false(spool_has_loss(spool));
	assert_int_equal(spool_commit(spool), 0);
	assert_below_cap(spool, "a gap");
	assert_int_equal(spool_counters(spool).lost_events, 1);
}

static uint64_t beside(void *data)
{
	return *(const uint64_t *)data;
}

/* Files elsewhere count when a damaged segment is written anew, too. */
static void test_mending_stays_below_the_cap(void **state)
{
	static uint8_t memory[KIB(64) + 2];
	uint64_t elsewhere = 0;
	struct spool_options options = {.path = scratch,
					.segment_bytes = MIB(1),
					.disk_max = DISK_MAX,
					.beside = beside,
					.data = &elsewhere};
	struct source source = {.size_of = small_sizes};
	CLEANUP(spool_free) struct spool *spool = NULL;
	CLEANUP_FREE uint8_t *data = NULL;
	struct segment *segment;
	size_t size;

	(void)state;
	assert_int_equal(spool_open(&options, &spool), 0);
	while (spool_counters(spool).sealed == 0)
		receive(spool, &source, memory, KIB(64));
	spool_free(TAKE_PTR(spool));
	assert_int_equal(spool_open(&options, &spool), 0);
	data = get_segment_file(spool_dir_fd(spool), 0, FORMAT_DATA_SUFFIX, &size);
	data[size / 2] ^= 1;
	put_segment_file(spool_dir_fd(spool), 0, FORMAT_DATA_SUFFIX, data, size);
	segment = spool_take(spool);
	assert_non_null(segment);
	elsewhere = DISK_MAX - space_on_disk(spool_dir_fd(spool)) - KIB(64);
	assert_int_equal(spool_check(spool, segment), -EBADMSG);
	assert_true(space_on_disk(spool_dir_fd(spool)) + elsewhere <= DISK_MAX);
	elsewhere = 0;
	assert_int_equal(spool_check(spool, segment), 0);
	assert_below_cap(spool, "mending");
	spool_keep(spool, segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_empty_messages),
		TEST_IN_SCRATCH(test_small_messages),
		TEST_IN_SCRATCH(test_mixed_messages),
		TEST_IN_SCRATCH(test_large_messages),
		TEST_IN_SCRATCH(test_segments_of_one_message),
		TEST_IN_SCRATCH(test_segments_of_one_byte),
		TEST_IN_SCRATCH(test_without_a_cap_there_is_always_room),
		TEST_IN_SCRATCH(test_a_spool_that_is_full_from_the_start),
		TEST_IN_SCRATCH(test_files_of_others_count),
		TEST_IN_SCRATCH(test_events_respect_the_cap),
		TEST_IN_SCRATCH(test_mending_stays_below_the_cap),
	};

	return cmocka_run_group_tests_name("spool_cap", tests, NULL, NULL);
}
