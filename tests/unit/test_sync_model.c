/* What is said to be durable, against a disk that keeps nothing but what was synced: at any moment
 * of any order of calls, every record in front of the mark is on it, unless it was acknowledged;
 * and no number is forgotten with the last segment that would tell it.
 * --wrap: fsync fdatasync fstatfs fstatfs64. */
#include "test_spool_support.h"

#include "spool/spool.h"

#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <sys/vfs.h>

#define RECORDS_MAX 6000
#define MESSAGE_SIZE 10
#define STEPS 300
#define STEPS_MESSAGES_MAX 16
#define WAIT_MS 20000

/* Of the segment that begins with each number: what is on the disk. */
struct on_disk {
	off_t data, index; /* sizes */
	bool data_named, index_named;
};

static struct {
	pthread_mutex_t mutex;
	uint64_t random; /* of the thread that syncs */
	struct on_disk segments[RECORDS_MAX];
	uint64_t noted;
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static bool is_index(const char *name, uint64_t *ret_seq)
{
	return format_parse_name(name, FORMAT_INDEX_SUFFIX, ret_seq) ||
	       format_parse_name(name, FORMAT_OPEN_SUFFIX, ret_seq);
}

/* While it is written, more comes; so whoever syncs takes a moment, in which others go on. */
static void take_a_moment(void)
{
	if (random_below(&disk.random, 3) == 0)
		usleep((useconds_t)random_below(&disk.random, 200));
}

static void find_name(ino_t number, char name[NAME_MAX + 1])
{
	DIR *dir = opendir(scratch);

	name[0] = '\0';
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_ino == number)
			memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
	closedir(dir);
}

static uint64_t read_note(int fd)
{
	char text[32] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 5 ? strtoull(text + 5, NULL, 10) : 0;
}

int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	struct stat before;
	char name[NAME_MAX + 1];
	uint64_t noted = 0, seq = 0;
	bool lock;

	assert_int_equal(fstat(fd, &before), 0);
	find_name(before.st_ino, name);
	lock = strcmp(name, FORMAT_LOCK_NAME) == 0;
	noted = lock ? read_note(fd) : 0;
	take_a_moment();
	pthread_mutex_lock(&disk.mutex);
	if (lock)
		disk.noted = noted;
	else if (format_parse_name(name, FORMAT_DATA_SUFFIX, &seq))
		disk.segments[seq].data = before.st_size;
	else if (is_index(name, &seq))
		disk.segments[seq].index = before.st_size;
	pthread_mutex_unlock(&disk.mutex);
	return 0;
}

/* The names that are there now are on the disk, and no others. */
static void sync_names(void)
{
	static bool data[RECORDS_MAX], index[RECORDS_MAX];
	DIR *dir = opendir(scratch);
	uint64_t seq;

	memset(data, 0, sizeof(data));
	memset(index, 0, sizeof(index));
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (format_parse_name(entry->d_name, FORMAT_DATA_SUFFIX, &seq))
			data[seq] = true;
		else if (is_index(entry->d_name, &seq))
			index[seq] = true;
	}
	closedir(dir);
	take_a_moment();
	pthread_mutex_lock(&disk.mutex);
	for (size_t i = 0; i < RECORDS_MAX; i++) {
		disk.segments[i].data_named = data[i];
		disk.segments[i].index_named = index[i];
	}
	pthread_mutex_unlock(&disk.mutex);
}

int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	struct stat status, own;

	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(stat(scratch, &own), 0);
	if (status.st_ino == own.st_ino)
		sync_names();
	return 0;
}

int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);

int __wrap_fstatfs(int fd, struct statfs *fs)
{
	(void)fd;
	*fs = (struct statfs){.f_type = EXT4_SUPER_MAGIC};
	return 0;
}

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	return __wrap_fstatfs(fd, fs);
}

struct story {
	uint64_t random;
	struct spool *spool;
	struct source source;
	bool acked[RECORDS_MAX];
	uint64_t acked_end;
};

static size_t size_of_message(uint64_t number)
{
	(void)number;
	return MESSAGE_SIZE;
}

/* How many records of a segment a start would find on that disk. */
static uint64_t found_in(const struct on_disk *segment)
{
	uint64_t entries =
		segment->index < FORMAT_HEADER_SIZE
			? 0
			: (uint64_t)(segment->index - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE;

	if (!segment->data_named || !segment->index_named)
		return 0;
	return MIN(entries, (uint64_t)segment->data / (MESSAGE_SIZE + 1));
}

static void check(const struct story *story)
{
	struct sync_mark mark = spool_durable(story->spool).durable;
	uint64_t end = 0, noted;

	assert_int_equal(mark.messages, mark.end_seq);
	assert_int_equal(mark.bytes, mark.messages * MESSAGE_SIZE);
	assert_true(mark.messages <= spool_counters(story->spool).messages);
	pthread_mutex_lock(&disk.mutex);
	noted = disk.noted;
	for (uint64_t seq = 0; seq < mark.end_seq; seq++) {
		end = MAX(end, seq + found_in(&disk.segments[seq]));
		if (seq >= end && !story->acked[seq])
			break;
		end = MAX(end, seq + 1);
	}
	pthread_mutex_unlock(&disk.mutex);
	if (end < mark.end_seq)
		fail_msg("record %llu is not durable, the mark is %llu", (unsigned long long)end,
			 (unsigned long long)mark.end_seq);
	if (spool_counters(story->spool).acked > 0 && spool_counters(story->spool).backlog == 0)
		assert_true(noted >= story->acked_end);
}

static void send_some(struct story *story)
{
	static uint8_t memory[KIB(4)];
	static struct message_batch batch;
	uint64_t count = 1 + random_below(&story->random, STEPS_MESSAGES_MAX);

	if (spool_must_wait(story->spool) && random_below(&story->random, 4) > 0)
		return;
	source_fill(&story->source, &batch, memory, sizeof(memory), story->source.number + count);
	assert_int_equal(spool_append(story->spool, &batch), 0);
	assert_int_equal(spool_commit(story->spool), 0);
}

static void acknowledge(struct story *story)
{
	struct segment *segment = spool_take(story->spool);

	if (!segment)
		return;
	for (uint64_t i = 0; i < segment->records; i++)
		story->acked[segment->first_seq + i] = true;
	story->acked_end = segment->first_seq + segment->records;
	assert_int_equal(spool_ack(story->spool, segment), 0);
}

static void step(struct story *story)
{
	switch (random_below(&story->random, 8)) {
	case 0:
		assert_int_equal(spool_seal(story->spool), 0);
		break;
	case 1:
		assert_int_equal(spool_sync(story->spool), 0);
		break;
	case 2:
		acknowledge(story);
		break;
	case 3:
		assert_int_equal(spool_collect(story->spool), 0);
		break;
	default:
		send_some(story);
	}
}

static void end(struct story *story)
{
	struct pollfd progress = {.fd = spool_sync_fd(story->spool), .events = POLLIN};
	int r = spool_seal(story->spool);

	while (r >= 0 && (r = spool_settle(story->spool)) == 0) {
		assert_int_equal(poll(&progress, 1, WAIT_MS), 1);
		r = spool_collect(story->spool);
		check(story);
	}
	assert_int_equal(r, 1);
	check(story);
	assert_int_equal(spool_durable(story->spool).durable.messages, story->source.number);
}

static void tell_a_story(uint64_t seed)
{
	static struct story story;
	struct spool_options options = {.path = scratch};

	story = (struct story){.random = seed, .source = {.size_of = size_of_message}};
	memset(disk.segments, 0, sizeof(disk.segments));
	disk.noted = 0;
	disk.random = ~seed;
	options.sync = SPOOL_SYNC_INTERVAL + (enum spool_sync)random_below(&story.random, 4);
	options.sync_bytes = 1 + random_below(&story.random, 2000);
	options.segment_bytes = 1 + random_below(&story.random, 3000);
	options.take_early = random_below(&story.random, 2) == 0;
	assert_int_equal(spool_open(&options, &story.spool), 0);
	for (int i = 0; i < STEPS; i++) {
		step(&story);
		check(&story);
	}
	end(&story);
	spool_free(story.spool);
	empty_scratch();
}

static void test_any_order(void **state)
{
	const char *seed = getenv("SEED");

	(void)state;
	if (seed)
		return tell_a_story(strtoull(seed, NULL, 10));
	for (uint64_t i = 1; i <= 40; i++) {
		print_message("SEED=%llu\n", (unsigned long long)i);
		tell_a_story(i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
