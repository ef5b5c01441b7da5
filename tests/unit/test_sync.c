/* A spool that makes durable what it captures: what is synced and in which order, what is said to
 * be durable while a sync is under way and after one has failed, and what waits for it.
 * --wrap: fsync fdatasync fstatfs fstatfs64 pthread_create syncfs. */
#include "test_spool_support.h"

#include "spool/spool.h"

#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#define WAIT_MS 20000
#define MEMORY_SIZE KIB(16)

/* The disk: every sync is noted by a letter, P the parent of the spool, N its names, L its lock
 * file, D data, I an open index, X a sealed one, G what has no name any more, F the file system. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	char log[4096];
	int calls;
	int hold; /* this call and later ones wait until it is raised */
	int fail_at, error;
	long type; /* of the file system */
	int thread_error;
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The name in the spool of the file with this number; "" if there is none. Files that were made
 * without a name have no path that would tell. */
static void find_name(ino_t number, char name[NAME_MAX + 1])
{
	DIR *dir = opendir(scratch);

	name[0] = '\0';
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_ino == number && entry->d_name[0] != '.')
			memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
	closedir(dir);
}

static char letter_of(int fd)
{
	struct stat status, own;
	char name[NAME_MAX + 1];

	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(stat(scratch, &own), 0);
	if (S_ISDIR(status.st_mode))
		return status.st_ino == own.st_ino ? 'N' : 'P';
	find_name(status.st_ino, name);
	if (strcmp(name, FORMAT_LOCK_NAME) == 0)
		return 'L';
	if (strstr(name, FORMAT_DATA_SUFFIX))
		return 'D';
	if (strstr(name, FORMAT_OPEN_SUFFIX))
		return 'I';
	return strstr(name, FORMAT_INDEX_SUFFIX) ? 'X' : 'G';
}

static int sync_call(char letter)
{
	int r = 0;

	pthread_mutex_lock(&disk.mutex);
	assert_true((size_t)disk.calls < sizeof(disk.log) - 1);
	disk.log[disk.calls++] = letter;
	pthread_cond_broadcast(&disk.changed);
	while (disk.calls >= disk.hold)
		pthread_cond_wait(&disk.changed, &disk.mutex);
	if (disk.calls == disk.fail_at)
		r = disk.error;
	pthread_mutex_unlock(&disk.mutex);
	errno = r;
	return r == 0 ? 0 : -1;
}

int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);

int __wrap_fsync(int fd)
{
	return sync_call(letter_of(fd));
}

int __wrap_fdatasync(int fd)
{
	return sync_call(letter_of(fd));
}

int __wrap_syncfs(int fd)
{
	assert_int_equal(letter_of(fd), 'N');
	return sync_call('F');
}

int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);

int __wrap_fstatfs(int fd, struct statfs *fs)
{
	assert_int_equal(letter_of(fd), 'N');
	*fs = (struct statfs){.f_type = disk.type};
	return 0;
}

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	return __wrap_fstatfs(fd, fs);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *data);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *data)
{
	return disk.thread_error ? disk.thread_error
				 : __real_pthread_create(thread, attributes, run, data);
}

static void hold_at(int call)
{
	pthread_mutex_lock(&disk.mutex);
	disk.hold = call;
	pthread_cond_broadcast(&disk.changed);
	pthread_mutex_unlock(&disk.mutex);
}

static void let_go(void)
{
	hold_at(INT_MAX);
}

static void fail_at(int call, int error)
{
	pthread_mutex_lock(&disk.mutex);
	disk.fail_at = call;
	disk.error = error;
	pthread_mutex_unlock(&disk.mutex);
}

static int calls_made(void)
{
	int calls;

	pthread_mutex_lock(&disk.mutex);
	calls = disk.calls;
	pthread_mutex_unlock(&disk.mutex);
	return calls;
}

/* Waits until so many calls have begun; the last one may be held. */
static void wait_for_calls(int calls)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&disk.mutex);
	while (disk.calls < calls && r == 0)
		r = pthread_cond_timedwait(&disk.changed, &disk.mutex, &until);
	pthread_mutex_unlock(&disk.mutex);
	assert_int_equal(r, 0);
}

/* What was synced since the last call. */
static void assert_synced(const char *expected)
{
	char log[sizeof(disk.log)];

	pthread_mutex_lock(&disk.mutex);
	memcpy(log, disk.log, sizeof(log));
	memset(disk.log, 0, sizeof(disk.log));
	disk.calls = 0;
	pthread_mutex_unlock(&disk.mutex);
	assert_string_equal(log, expected);
}

static int setup(void **state)
{
	memset(disk.log, 0, sizeof(disk.log));
	disk.calls = disk.fail_at = disk.thread_error = 0;
	disk.hold = INT_MAX;
	disk.type = EXT4_SUPER_MAGIC;
	return setup_scratch(state);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown_scratch)

static void spool_putp(struct spool **spool)
{
	let_go();
	spool_free(*spool);
}

#define SPOOL CLEANUP(spool_put) struct spool

static uint8_t memory[MEMORY_SIZE];
static struct source source;

static size_t size_ten(uint64_t number)
{
	(void)number;
	return 10;
}

static struct spool *open_spool(const struct spool_options *options)
{
	struct spool_options complete = *options;
	struct spool *spool = NULL;

	complete.path = scratch;
	if (complete.segment_bytes == 0)
		complete.segment_bytes = MIB(1);
	source = (struct source){.size_of = size_ten};
	assert_int_equal(spool_open(&complete, &spool), 0);
	return spool;
}

/* Waits for progress, once. */
static int collect(struct spool *spool)
{
	struct pollfd progress = {.fd = spool_sync_fd(spool), .events = POLLIN};

	assert_int_equal(poll(&progress, 1, WAIT_MS), 1);
	return spool_collect(spool);
}

/* Waits until nothing is being synced any more. Returns the first error. */
static int collect_all(struct spool *spool)
{
	int r = spool_collect(spool);

	while (spool_is_syncing(spool)) {
		int next = collect(spool);

		r = r < 0 ? r : next;
	}
	return r < 0 ? r : spool_collect(spool);
}

static struct spool *open_settled(const struct spool_options *options)
{
	struct spool *spool = open_spool(options);

	assert_int_equal(collect_all(spool), 0);
	assert_synced("PNL");
	return spool;
}

static int send(struct spool *spool, uint64_t messages)
{
	static struct message_batch batch;
	int r;

	source_fill(&source, &batch, memory, sizeof(memory), source.number + messages);
	assert_int_equal(batch.count, messages);
	r = spool_append(spool, &batch);
	return r < 0 ? r : spool_commit(spool);
}

static void assert_durable(struct spool *spool, uint64_t messages)
{
	struct sync_mark mark = spool_durable(spool).durable;

	assert_int_equal(mark.messages, messages);
	assert_int_equal(mark.bytes, messages * 10);
	assert_int_equal(mark.end_seq, messages);
}

static void test_without_sync_nothing_is_synced(void **state)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 2});

	(void)state;
	assert_int_equal(spool_sync_fd(spool), -1);
	assert_int_equal(send(spool, 5), 0);
	assert_int_equal(spool_sync(spool), 0);
	assert_int_equal(spool_collect(spool), 0);
	assert_false(spool_must_wait(spool));
	assert_int_equal(spool_settle(spool), 1);
	assert_durable(spool, 0);
	assert_synced("");
}

static void test_names_are_synced_with_what_is_new_under_them(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_EVERY});

	(void)state;
	assert_int_equal(send(spool, 2), 0);
	assert_int_equal(collect_all(spool), 0);
	assert_synced("DIN");
	assert_durable(spool, 2);
	assert_int_equal(send(spool, 1), 0);
	assert_int_equal(collect_all(spool), 0);
	assert_synced("DI");
	assert_durable(spool, 3);
	assert_int_equal(spool_commit(spool), 0); /* nothing new */
	assert_int_equal(collect_all(spool), 0);
	assert_synced("");
}

/* The index is renamed when both files are on the disk, and before the directory is synced. */
static void test_a_seal(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});
	int dir_fd = spool_dir_fd(spool);

	(void)state;
	hold_at(2);
	assert_int_equal(send(spool, 3), 0);
	assert_int_equal(calls_made(), 0);
	assert_int_equal(spool_seal(spool), 0);
	wait_for_calls(2);
	assert_true(size_of_file(dir_fd, 0, FORMAT_OPEN_SUFFIX) > 0);
	hold_at(3);
	wait_for_calls(3);
	assert_int_equal(size_of_file(dir_fd, 0, FORMAT_OPEN_SUFFIX), -1);
	assert_true(size_of_file(dir_fd, 0, FORMAT_INDEX_SUFFIX) > 0);
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_synced("DINL");
	assert_durable(spool, 3);
}

static void test_nothing_is_durable_before_all_of_its_syncs(void **state)
{
	(void)state;
	for (int call = 1; call <= 4; call++) {
		SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});

		hold_at(call);
		assert_int_equal(send(spool, 3), 0);
		assert_int_equal(spool_seal(spool), 0);
		wait_for_calls(call);
		assert_true(spool_is_syncing(spool));
		assert_int_equal(spool_collect(spool), 0);
		assert_durable(spool, 0);
		assert_null(spool_take(spool));
		let_go();
		assert_int_equal(collect_all(spool), 0);
		assert_durable(spool, 3);
		assert_synced("DINL");
		spool_free(TAKE_PTR(spool));
		empty_scratch();
	}
}

static void test_after_so_many_bytes(void **state)
{
	SPOOL *spool =
		open_settled(&(struct spool_options){.sync = SPOOL_SYNC_BYTES, .sync_bytes = 100});

	(void)state;
	assert_int_equal(send(spool, 9), 0);
	assert_false(spool_is_syncing(spool));
	hold_at(1);
	assert_int_equal(send(spool, 1), 0);
	wait_for_calls(1);
	assert_int_equal(send(spool, 10), 0);
	assert_false(spool_must_wait(spool)); /* 200 are not durable */
	assert_int_equal(send(spool, 1), 0);
	assert_true(spool_must_wait(spool));
	let_go();
	assert_int_equal(collect(spool), 0); /* and begins the next one */
	assert_int_equal(collect_all(spool), 0);
	assert_false(spool_must_wait(spool));
	assert_durable(spool, 21);
	assert_synced("DINDI");
}

static void test_when_it_is_wanted(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_INTERVAL});

	(void)state;
	assert_int_equal(spool_sync(spool), 0); /* nothing is there */
	assert_int_equal(send(spool, 1), 0);
	assert_false(spool_is_syncing(spool));
	hold_at(1);
	assert_int_equal(spool_sync(spool), 0);
	wait_for_calls(1);
	assert_int_equal(send(spool, 1), 0);
	assert_int_equal(spool_sync(spool), 0); /* one at a time: this is the next one */
	assert_int_equal(send(spool, 1), 0);
	assert_false(spool_must_wait(spool));
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_durable(spool, 3);
	assert_synced("DINDI");
}

static void test_every_commit_is_waited_for(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_EVERY});

	(void)state;
	assert_false(spool_must_wait(spool));
	hold_at(1);
	assert_int_equal(send(spool, 1), 0);
	assert_true(spool_must_wait(spool));
	assert_int_equal(send(spool, 1), 0); /* as what was read already */
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_false(spool_must_wait(spool));
	assert_durable(spool, 2);
}

static void test_a_segment_comes_out_when_it_is_durable(void **state)
{
	SPOOL *spool = open_settled(
		&(struct spool_options){.sync = SPOOL_SYNC_INTERVAL, .segment_messages = 2});
	struct segment *segment;

	(void)state;
	hold_at(4);
	assert_int_equal(send(spool, 2), 0);
	wait_for_calls(4);
	assert_null(spool_take(spool));
	let_go();
	assert_int_equal(collect_all(spool), 0);
	segment = spool_take(spool);
	assert_non_null(segment);
	assert_int_equal(spool_ack(spool, segment), 0);
	assert_int_equal(spool_counters(spool).acked, 1);
	assert_int_equal(count_entries(scratch), 1); /* the lock */
	assert_int_equal(spool_settle(spool), 0);
	assert_int_equal(collect_all(spool), 0);
	assert_synced("DINLN");
	assert_int_equal(spool_settle(spool), 1);
}

/* Its number must not be forgotten by a loss of power that does not undo the deletion. */
static void test_one_that_came_out_early_is_deleted_when_its_number_is_durable(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){
		.sync = SPOOL_SYNC_INTERVAL, .segment_messages = 2, .take_early = true});

	(void)state;
	hold_at(4);
	assert_int_equal(send(spool, 4), 0);
	for (int i = 0; i < 2; i++) {
		struct segment *segment = spool_take(spool);

		assert_non_null(segment);
		assert_int_equal(spool_ack(spool, segment), 0);
	}
	wait_for_calls(4);
	assert_int_equal(spool_counters(spool).acked, 0);
	assert_int_equal(spool_counters(spool).backlog, 2);
	assert_int_equal(count_entries(scratch), 5);
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_int_equal(spool_counters(spool).acked, 2);
	assert_int_equal(spool_counters(spool).backlog, 0);
	assert_int_equal(count_entries(scratch), 1);
}

static const int errors[] = {EIO, ENOSPC, EDQUOT, EINTR};

/* A failure at the very beginning, of any of the syncs. */
static void test_a_failure_at_the_start(void **state)
{
	(void)state;
	for (int call = 1; call <= 3; call++) {
		SPOOL *spool = NULL;

		fail_at(call, errors[call]);
		spool = open_spool(&(struct spool_options){.sync = SPOOL_SYNC_EVERY});
		assert_int_equal(collect(spool), -errors[call]);
		assert_int_equal(calls_made(), call);
		spool_free(TAKE_PTR(spool));
		empty_scratch();
		setup(state);
	}
}

/* Whichever sync fails: the mark stays, and nothing is tried again, however often it is asked. */
static void assert_failed_for_ever(struct spool *spool, int calls)
{
	assert_int_equal(spool_durable(spool).error, -disk.error);
	assert_durable(spool, 2);
	assert_false(spool_must_wait(spool));
	assert_int_equal(send(spool, 3), 0);
	assert_int_equal(spool_sync(spool), 0);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_collect(spool), 0); /* it was told */
	assert_null(spool_take(spool));
	assert_int_equal(spool_settle(spool), 1);
	assert_durable(spool, 2);
	assert_int_equal(calls_made(), calls);
	assert_false(spool_is_syncing(spool));
}

static void test_a_failure_is_final(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		for (int call = 1; call <= 4; call++) {
			SPOOL *spool = open_settled(&(struct spool_options){
				.sync = SPOOL_SYNC_INTERVAL, .segment_messages = 5});
			int fds;

			assert_int_equal(send(spool, 2), 0);
			assert_int_equal(spool_sync(spool), 0);
			assert_int_equal(collect_all(spool), 0);
			assert_synced("DIN");
			fail_at(call, errors[i]);
			assert_int_equal(send(spool, 3), 0); /* seals */
			fds = count_fds();
			assert_int_equal(collect_all(spool), -errors[i]);
			assert_true(count_fds() <= fds);
			assert_failed_for_ever(spool, call);
			spool_free(TAKE_PTR(spool));
			empty_scratch();
			setup(state);
		}
	}
}

static void test_a_failure_is_told_by_settle_too(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});

	(void)state;
	fail_at(1, EIO);
	assert_int_equal(send(spool, 2), 0);
	assert_int_equal(spool_seal(spool), 0);
	wait_for_calls(1);
	while (spool_is_syncing(spool))
		usleep(1000);
	assert_int_equal(spool_settle(spool), -EIO);
	assert_int_equal(spool_settle(spool), 1);
}

/* An acknowledged segment stays when nobody knows what is on the disk. */
static void test_after_a_failure_nothing_is_deleted(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){
		.sync = SPOOL_SYNC_SEAL, .segment_messages = 2, .take_early = true});

	(void)state;
	fail_at(2, EIO);
	assert_int_equal(send(spool, 2), 0);
	assert_int_equal(spool_ack(spool, spool_take(spool)), 0);
	assert_int_equal(collect_all(spool), -EIO);
	assert_int_equal(spool_counters(spool).acked, 0);
	assert_int_equal(count_entries(scratch), 3);
}

/* A slow disk: what waits is bounded, and so are the descriptors that it needs. */
static void test_the_queue_is_bounded(void **state)
{
	SPOOL *spool = open_settled(
		&(struct spool_options){.sync = SPOOL_SYNC_SEAL, .segment_messages = 1});
	int fds = count_fds();

	(void)state;
	hold_at(1);
	assert_int_equal(send(spool, 1), 0);
	wait_for_calls(1);
	while (!spool_must_wait(spool))
		assert_int_equal(send(spool, 1), 0);
	assert_true(source.number > 4 && source.number <= SYNCER_QUEUE);
	while (spool_durable(spool).jobs < SYNCER_QUEUE)
		assert_int_equal(send(spool, 1), 0); /* as what was read already */
	assert_int_equal(count_fds(), fds + 2 * SYNCER_QUEUE);
	let_go();
	while (source.number < 5 * SYNCER_QUEUE)
		assert_int_equal(send(spool, 1), 0); /* waits for the disk */
	assert_int_equal(collect_all(spool), 0);
	assert_durable(spool, source.number);
	assert_int_equal(count_fds(), fds);
}

static void test_one_sync_of_the_names_for_all_that_wait(void **state)
{
	SPOOL *spool = open_settled(
		&(struct spool_options){.sync = SPOOL_SYNC_SEAL, .segment_messages = 1});

	(void)state;
	hold_at(1);
	assert_int_equal(send(spool, 1), 0);
	wait_for_calls(1);
	assert_int_equal(send(spool, 3), 0);
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_synced("DINLDIDIDINL");
}

static void test_what_waits_is_closed_at_the_end(void **state)
{
	int fds = count_fds();
	SPOOL *spool = open_settled(
		&(struct spool_options){.sync = SPOOL_SYNC_SEAL, .segment_messages = 1});

	(void)state;
	hold_at(1);
	assert_int_equal(send(spool, 1), 0);
	wait_for_calls(1);
	assert_int_equal(send(spool, 5), 0);
	let_go();
	spool_free(TAKE_PTR(spool));
	assert_int_equal(count_fds(), fds);
}

static void leave_two_segments(void)
{
	SPOOL *spool = open_spool(&(struct spool_options){.segment_messages = 2});

	assert_int_equal(send(spool, 3), 0); /* the second is open */
}

/* They may come from a run that synced nothing. */
static void test_what_earlier_runs_left_is_synced_first(void **state)
{
	SPOOL *spool = NULL;
	struct segment *segment;

	(void)state;
	leave_two_segments();
	hold_at(6);
	spool = open_spool(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});
	wait_for_calls(6);
	assert_int_equal(spool_collect(spool), 0);
	segment = spool_take(spool);
	assert_non_null(segment);
	assert_int_equal(spool_ack(spool, segment), 0);
	assert_null(spool_take(spool));
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_synced("PNLDXDX");
	segment = spool_take(spool);
	assert_non_null(segment);
	assert_int_equal(segment->first_seq, 2);
	assert_int_equal(spool_durable(spool).durable.messages, 0); /* of this run */
	assert_int_equal(spool_durable(spool).durable.end_seq, 3);
	spool_keep(spool, segment);
}

/* As when there are no descriptors left: then everything on the disk is. */
static void test_what_cannot_be_opened_is_synced_too(void **state)
{
	struct rlimit limit, none;
	SPOOL *spool = NULL;

	(void)state;
	leave_two_segments();
	hold_at(3);
	spool = open_spool(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});
	wait_for_calls(3);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = STDERR_FILENO + 1, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	let_go();
	assert_int_equal(collect_all(spool), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_synced("PNLFFFF");
}

static void test_many_that_earlier_runs_left(void **state)
{
	CLEANUP(spool_free)
	struct spool *spool = open_spool(&(struct spool_options){.segment_messages = 1});

	(void)state;
	for (int i = 0; i < 65; i++)
		assert_int_equal(send(spool, 1), 0);
	spool_free(TAKE_PTR(spool));
	fail_at(4, EIO);
	spool = open_spool(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});
	assert_int_equal(collect_all(spool), -EIO);
	assert_synced("PNLF");
	assert_null(spool_take(spool));
	spool_free(TAKE_PTR(spool));
	fail_at(0, 0);
	spool = open_spool(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});
	assert_int_equal(collect_all(spool), 0);
	assert_synced("PNLF");
	assert_int_equal(spool_durable(spool).durable.end_seq, 65);
}

static void test_what_is_left_open_is_durable_at_the_end(void **state)
{
	SPOOL *spool = open_settled(&(struct spool_options){.sync = SPOOL_SYNC_SEAL});

	(void)state;
	assert_int_equal(send(spool, 2), 0);
	assert_int_equal(spool_settle(spool), 0);
	assert_int_equal(collect_all(spool), 0);
	assert_int_equal(spool_settle(spool), 1);
	assert_durable(spool, 2);
	assert_synced("DIN");
}

static void test_what_is_in_memory_is_refused(void **state)
{
	struct spool_options options = {
		.path = scratch, .segment_bytes = MIB(1), .sync = SPOOL_SYNC_SEAL};
	struct spool *spool = NULL;

	(void)state;
	disk.type = TMPFS_MAGIC;
	assert_int_equal(spool_open(&options, &spool), -EOPNOTSUPP);
	options.sync = SPOOL_SYNC_NONE;
	assert_int_equal(spool_open(&options, &spool), 0);
	spool_free(spool);
}

static void test_no_thread(void **state)
{
	const struct spool_options options = {
		.path = scratch, .segment_bytes = MIB(1), .sync = SPOOL_SYNC_SEAL};
	struct spool *spool = NULL;
	int fds = count_fds();

	(void)state;
	disk.thread_error = EAGAIN;
	assert_int_equal(spool_open(&options, &spool), -EAGAIN);
	assert_null(spool);
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_sync_nothing_is_synced),
		TEST(test_names_are_synced_with_what_is_new_under_them),
		TEST(test_a_seal),
		TEST(test_nothing_is_durable_before_all_of_its_syncs),
		TEST(test_after_so_many_bytes),
		TEST(test_when_it_is_wanted),
		TEST(test_every_commit_is_waited_for),
		TEST(test_a_segment_comes_out_when_it_is_durable),
		TEST(test_one_that_came_out_early_is_deleted_when_its_number_is_durable),
		TEST(test_a_failure_at_the_start),
		TEST(test_a_failure_is_final),
		TEST(test_a_failure_is_told_by_settle_too),
		TEST(test_after_a_failure_nothing_is_deleted),
		TEST(test_the_queue_is_bounded),
		TEST(test_one_sync_of_the_names_for_all_that_wait),
		TEST(test_what_waits_is_closed_at_the_end),
		TEST(test_what_earlier_runs_left_is_synced_first),
		TEST(test_what_cannot_be_opened_is_synced_too),
		TEST(test_many_that_earlier_runs_left),
		TEST(test_what_is_left_open_is_durable_at_the_end),
		TEST(test_what_is_in_memory_is_refused),
		TEST(test_no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
