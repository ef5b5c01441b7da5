/* A disk that is full, or a quota that is used up, whichever call it is that says so: the spool
 * holds what it was given, and all of it is there, in order, when there is room again.
 * --wrap: fallocate fallocate64 ftruncate ftruncate64 linkat openat openat64 pwrite pwrite64
 * renameat unlinkat write writev. */
#include "test_spool_support.h"

#include "base/io.h"
#include "spool/cursor.h"
#include "spool/spool.h"

#define MEMORY_SIZE KIB(16)
#define MESSAGES 400
#define EVENT_EVERY 37

/* From call `from` on, `count` calls fail, and a write does `part` bytes before. Whatever the call,
 * no write of more than `room` bytes is done, if that is not 0. */
static struct {
	bool armed;
	int from, count, error;
	size_t part, room;
	int calls, failed;
} plan;

static bool fails(void)
{
	if (!plan.armed || ++plan.calls < plan.from || plan.calls >= plan.from + plan.count)
		return false;
	plan.failed++;
	errno = plan.error;
	return true;
}

#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails() ? -1 : __real_##name arguments;                                     \
	}

WRAP(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
WRAP(int, fallocate64, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
WRAP(int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(int, ftruncate64, (int fd, off_t size), (fd, size))
WRAP(int, linkat, (int fd, const char *from, int to_fd, const char *to, int flags),
     (fd, from, to_fd, to, flags))
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(int, renameat, (int fd, const char *from, int to_fd, const char *to), (fd, from, to_fd, to))
WRAP(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))

int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat64(int fd, const char *path, int flags, mode_t mode);

/* Only what makes files can find no room. */
int __wrap_openat(int fd, const char *path, int flags, mode_t mode)
{
	bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;

	return makes && fails() ? -1 : __real_openat(fd, path, flags, makes ? mode : 0);
}

int __wrap_openat64(int fd, const char *path, int flags, mode_t mode)
{
	return __wrap_openat(fd, path, flags, mode);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_writev(int fd, const struct iovec *stretches, int count);
ssize_t __wrap_writev(int fd, const struct iovec *stretches, int count);

/* A part is written by the call before, which is not counted as one that failed. */
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (plan.armed && plan.part > 0 && plan.calls + 1 == plan.from && size > plan.part) {
		plan.calls++;
		plan.from++;
		return __real_write(fd, data, plan.part);
	}
	return fails() ? -1 : __real_write(fd, data, size);
}

ssize_t __wrap_writev(int fd, const struct iovec *stretches, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += stretches[i].iov_len;
	if (plan.room > 0 && size > plan.room) {
		errno = ENOSPC;
		return -1;
	}
	return fails() ? -1 : __real_writev(fd, stretches, count);
}

static int setup(void **state)
{
	plan.armed = false;
	plan.room = 0;
	return setup_scratch(state);
}

static struct spool *open_spool(uint64_t segment_bytes, uint64_t segment_messages)
{
	struct spool_options options = {.path = scratch,
					.segment_bytes = segment_bytes,
					.segment_messages = segment_messages};
	struct spool *spool = NULL;

	assert_int_equal(spool_open(&options, &spool), 0);
	return spool;
}

/* Bounded: there are no more failures than the plan has. */
static void wait_for_room(struct spool *spool)
{
	for (int i = 0; spool_is_full(spool); i++) {
		assert_true(i <= plan.count);
		assert_int_equal(spool_room(spool, 0), 0);
		assert_int_equal(spool_retry(spool), 0);
	}
}

static void add_event(struct spool *spool, uint64_t *events)
{
	const struct spool_event event = {.kind = FORMAT_CONNECTED};

	if (spool_in_message(spool))
		return;
	assert_int_equal(spool_add_event(spool, &event), 0);
	++*events;
}

/* Messages, and an event now and then, also while it is full. Returns how many events. */
static uint64_t send(struct spool *spool, struct source *source)
{
	static uint8_t memory[MEMORY_SIZE];
	static struct message_batch batch;
	uint64_t events = 0;

	for (uint64_t i = 0; source->number < MESSAGES; i++) {
		source_fill(source, &batch, memory, sizeof(memory), MESSAGES);
		assert_int_equal(spool_append(spool, &batch), 0);
		if (i % EVENT_EVERY == 0)
			add_event(spool, &events);
		assert_int_equal(spool_commit(spool), 0);
		memset(memory, 0x55, sizeof(memory)); /* it is used again */
		wait_for_room(spool);
	}
	add_event(spool, &events);
	return events;
}

static void seal(struct spool *spool)
{
	for (int i = 0; spool_open_since_ns(spool) > 0; i++) {
		assert_true(i <= plan.count);
		assert_int_equal(spool_seal(spool), 0);
		wait_for_room(spool);
	}
}

static void ack_all(struct spool *spool)
{
	struct segment *segment;

	while ((segment = spool_take(spool)))
		assert_int_equal(spool_ack(spool, segment), 0);
	for (int i = 0; spool_unlink_rest(spool) < 0; i++)
		assert_true(i <= plan.count);
	assert_int_equal(count_entries(scratch), 1); /* the lock */
	assert_int_equal(spool_counters(spool).held_bytes, 0);
}

/* One life of a spool in which the plan comes true. False: there was no such call any more. */
static bool live(size_t (*size_of)(uint64_t), uint64_t segment_bytes, uint64_t segment_messages)
{
	CLEANUP(spool_free) struct spool *spool = open_spool(segment_bytes, segment_messages);
	struct source source = {.size_of = size_of};
	struct check check;
	uint64_t events;

	plan.calls = plan.failed = 0;
	plan.armed = true;
	events = send(spool, &source);
	seal(spool);
	plan.armed = false;
	check = check_directory(spool_dir_fd(spool), size_of);
	assert_int_equal(check.messages, MESSAGES);
	assert_int_equal(check.events, events);
	assert_int_equal(spool_counters(spool).messages, MESSAGES);
	assert_int_equal(spool_counters(spool).lost_events, 0);
	plan.armed = true;
	ack_all(spool);
	plan.armed = false;
	empty_scratch();
	return plan.failed > 0;
}

static void live_with_each(size_t (*size_of)(uint64_t), uint64_t segment_bytes,
			   uint64_t segment_messages)
{
	static const int errors[] = {ENOSPC, EDQUOT};
	static const size_t parts[] = {0, 40};

	for (int count = 1; count <= 5; count += 4) {
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
			int from = 1;

			do {
				plan.error = errors[(size_t)from % ARRAY_SIZE(errors)];
				plan.part = parts[i];
				plan.count = count;
				plan.from = from++;
			} while (live(size_of, segment_bytes, segment_messages));
			assert_true(from > 20);
		}
	}
}

static size_t longer_than_the_buffer(uint64_t number)
{
	return number % 50 == 1 ? 3 * MEMORY_SIZE + 7 : 100;
}

static void test_small_messages(void **state)
{
	(void)state;
	live_with_each(small_sizes, KIB(8), 0);
}

static void test_segments_of_so_many(void **state)
{
	(void)state;
	live_with_each(small_sizes, MIB(1), 150);
}

static void test_large_messages(void **state)
{
	(void)state;
	live_with_each(longer_than_the_buffer, KIB(40), 0);
}

/* What waits is dropped, in the middle of a message or not, and what was captured stays. */
static void test_given_up(void **state)
{
	(void)state;
	for (int from = 1; from < 60; from++) {
		CLEANUP(spool_free) struct spool *spool = open_spool(KIB(40), 0);
		struct source source = {.size_of = longer_than_the_buffer};
		static uint8_t memory[MEMORY_SIZE];
		static struct message_batch batch;
		uint64_t captured;

		plan.armed = true;
		plan.calls = plan.failed = 0;
		plan.from = from;
		plan.count = 1000000;
		plan.error = ENOSPC;
		while (source.number < MESSAGES && !spool_is_full(spool)) {
			source_fill(&source, &batch, memory, sizeof(memory), MESSAGES);
			assert_int_equal(spool_append(spool, &batch), 0);
			assert_int_equal(spool_commit(spool), 0);
		}
		plan.armed = false;
		captured = spool_counters(spool).messages;
		assert_int_equal(spool_give_up(spool), 0);
		assert_false(spool_is_full(spool) || spool_in_message(spool));
		assert_int_equal(spool_counters(spool).messages, captured);
		assert_int_equal(spool_seal(spool), 0);
		assert_int_equal(
			check_directory(spool_dir_fd(spool), longer_than_the_buffer).messages,
			captured);
		empty_scratch();
	}
}

/* A message that is open goes out of its segment's way, whenever that is, and on from there. */
static void test_split(void **state)
{
	static uint8_t memory[MEMORY_SIZE];
	static struct message_batch batch;
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(1), 0);
	struct source source = {.size_of = longer_than_the_buffer};
	size_t splits = 0;

	(void)state;
	while (source.number < MESSAGES) {
		bool was_open = spool_in_message(spool);

		source_fill(&source, &batch, memory, sizeof(memory), MESSAGES);
		assert_int_equal(spool_append(spool, &batch), 0);
		assert_int_equal(spool_commit(spool), 0);
		if (!spool_in_message(spool) || (was_open && source.number % 100 == 1))
			continue;
		assert_int_equal(spool_split(spool), 0);
		splits += spool_is_full(spool);
		assert_int_equal(spool_seal(spool), 0);
		assert_int_equal(spool_retry(spool), 0);
		assert_false(spool_is_full(spool));
		assert_true(spool_in_message(spool));
	}
	assert_int_equal(spool_seal(spool), 0);
	assert_true(splits >= 4 && spool_counters(spool).sealed > splits);
	assert_int_equal(check_directory(spool_dir_fd(spool), longer_than_the_buffer).messages,
			 MESSAGES);
}

#define HUGE_AT 20
#define HUGE_UNTIL 25

static size_t one_huge(uint64_t number)
{
	return number == HUGE_AT ? MIB(6) : 100;
}

static void send_some(struct spool *spool, struct source *source)
{
	static uint8_t memory[MEMORY_SIZE];
	static struct message_batch batch;

	source_fill(source, &batch, memory, sizeof(memory), HUGE_UNTIL);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
	assert_false(spool_is_full(spool));
}

/* One that is too large for memory moves into a segment of its own, whichever call finds no room.
 * False: there was no such call. */
static bool move_huge(int from, int count, bool gives_up)
{
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(64), 0);
	struct source source = {.size_of = one_huge};
	struct check check;

	while (source.number < HUGE_AT || source.at < MIB(5))
		send_some(spool, &source);
	plan.calls = plan.failed = 0;
	plan.part = 0;
	plan.from = from;
	plan.count = count;
	plan.error = from % 2 ? ENOSPC : EDQUOT;
	plan.armed = true;
	assert_int_equal(spool_split(spool), 0);
	assert_true(spool_is_full(spool));
	for (int i = 0; spool_is_full(spool) && !(gives_up && plan.failed > 0); i++) {
		assert_true(i <= count + 1);
		assert_int_equal(spool_seal(spool), 0);
		assert_int_equal(spool_retry(spool), 0);
	}
	plan.armed = false;
	if (gives_up) {
		assert_int_equal(spool_give_up(spool), 0);
		if (spool_in_message(spool))
			assert_int_equal(spool_drop_open_message(spool), 0);
	} else {
		/* Where not even a part could be cut off, it is as before. */
		assert_true(spool_counters(spool).sealed == 1 || plan.failed > 0);
		while (source.number < HUGE_UNTIL)
			send_some(spool, &source);
	}
	assert_int_equal(spool_seal(spool), 0);
	check = check_directory(spool_dir_fd(spool), one_huge);
	assert_int_equal(check.messages, gives_up ? HUGE_AT : HUGE_UNTIL);
	empty_scratch();
	return plan.failed > 0;
}

static void test_a_huge_message_moves(void **state)
{
	int from = 1;

	(void)state;
	while (move_huge(from, 1, false) && move_huge(from, 3, false) && move_huge(from, 1, true))
		from += from < 10 ? 1 : 7;
	assert_true(from > 20);
}

static uint64_t follow(struct cursor *cursor)
{
	struct record records[64];
	uint64_t count = 0;
	ssize_t n;

	while ((n = cursor_next_batch(cursor, records, ARRAY_SIZE(records))) != 0) {
		assert_true(n > 0);
		count += (uint64_t)n;
	}
	assert_int_equal(cursor_skipped(cursor), 0);
	return count;
}

/* While it moves, its segment is seen, which says that the one before is complete. So what comes
 * when it is dropped, or given up, stands in there. False: no such call failed. */
static bool follow_dropped(int from, int count, bool gives_up)
{
	const struct spool_event event = {.kind = FORMAT_DISCONNECTED};
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(64), 0);
	CLEANUP(cursor_free) struct cursor *cursor = NULL;
	struct source source = {.size_of = one_huge};

	while (source.number < HUGE_AT || source.at < MIB(5))
		send_some(spool, &source);
	assert_int_equal(cursor_open(spool_dir_fd(spool), true, &cursor), 0);
	plan.calls = plan.failed = 0;
	plan.part = 0;
	plan.from = from;
	plan.count = count;
	plan.error = ENOSPC;
	plan.armed = true;
	assert_int_equal(spool_split(spool), 0);
	assert_int_equal(follow(cursor), HUGE_AT);
	plan.armed = !gives_up; /* it tries but once */
	if (gives_up)
		assert_int_equal(spool_give_up(spool), 0);
	assert_int_equal(spool_drop_open_message(spool), 0);
	assert_false(spool_in_message(spool));
	assert_int_equal(spool_add_event(spool, &event), 0);
	plan.armed = false;
	wait_for_room(spool);
	assert_int_equal(spool_commit(spool), 0);
	assert_int_equal(follow(cursor), 1);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(follow(cursor), 0);
	assert_int_equal(check_directory(spool_dir_fd(spool), one_huge).records, HUGE_AT + 1);
	empty_scratch();
	return plan.failed > 0;
}

static void test_a_huge_message_is_dropped(void **state)
{
	int from = 1;

	(void)state;
	while (follow_dropped(from, 1, false) && follow_dropped(from, 3, false) &&
	       follow_dropped(from, 1, true))
		from += from < 10 ? 1 : 7;
	assert_true(from > 20);
}

/* No segment begins behind the last number. */
static void test_the_numbers_end(void **state)
{
	uint64_t seq = SPOOL_SEQ_MAX - HUGE_AT + 1;
	char note[64];

	(void)state;
	for (int late = 0; late < 2; late++) {
		CLEANUP_FD int fd = open_dir(scratch);
		CLEANUP(spool_free) struct spool *spool = NULL;
		struct source source = {.size_of = one_huge};

		snprintf(note, sizeof(note), "next %020llu\n", (unsigned long long)(seq - !late));
		put_file(fd, "lock", note, strlen(note));
		spool = open_spool(MIB(64), 0);
		while (source.number < HUGE_AT || source.at < MIB(5))
			send_some(spool, &source);
		assert_int_equal(spool_split(spool), late ? -EOVERFLOW : 0);
		assert_int_equal(spool_give_up(spool), 0);
		assert_int_equal(spool_seal(spool), 0);
		assert_int_equal(spool_counters(spool).sealed, 1);
		spool_free(TAKE_PTR(spool));
		empty_scratch();
	}
}

#define PART 40
#define PARTS 300

static size_t many_parts(uint64_t number)
{
	return number == 0 ? (size_t)PART * PARTS : 10;
}

/* The next batch of parts of message 0, which do not stand in a row. */
static void fill_parts(struct source *source, struct message_batch *batch, uint8_t **to,
		       size_t most)
{
	batch->count = 0;
	batch->time_ns = MESSAGE_TIME_NS(0);
	while (source->number == 0 && batch->count < most) {
		source->free = *to;
		assert_true(source_put(source, &batch->pieces[batch->count++], to,
				       *to + PART + (source->at == 0 ? 2 : 0)));
		*to += 3;
	}
}

/* A message waits, and has its end behind the place where there was no room; its beginning is in
 * the file. It is not open: nothing is dropped when its connection ends. */
static void test_the_end_of_a_message_waits(void **state)
{
	static uint8_t memory[PARTS * (PART + 5)];
	static struct message_batch batch;
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(1), 0);
	struct source source = {.size_of = many_parts};
	uint8_t *to = memory;

	(void)state;
	fill_parts(&source, &batch, &to, 1);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
	plan.armed = true;
	plan.calls = plan.failed = 0;
	plan.from = 1;
	plan.count = 1000000;
	plan.part = 0;
	plan.error = ENOSPC;
	while (source.number == 0) {
		fill_parts(&source, &batch, &to, MESSAGE_BATCH_MAX);
		assert_int_equal(spool_append(spool, &batch), 0);
	}
	assert_true(spool_is_full(spool));
	plan.armed = false;
	assert_false(spool_in_message(spool));
	assert_int_equal(spool_drop_open_message(spool), 0);
	assert_int_equal(spool_retry(spool), 0);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(check_directory(spool_dir_fd(spool), many_parts).messages, 1);
}

static size_t large_sizes(uint64_t number)
{
	return number == 0 ? KIB(300) : KIB(40);
}

/* There is room for a part of what waits alone, and for the rest when that has gone. */
static void test_room_for_a_part(void **state)
{
	static uint8_t memory[MIB(1)];
	static struct message_batch batch;
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(4), 0);
	struct source source = {.size_of = large_sizes};

	(void)state;
	source_fill(&source, &batch, memory, KIB(200), 10); /* a part of the first */
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
	plan.room = KIB(310);
	source_fill(&source, &batch, memory, sizeof(memory), 10);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
	assert_true(spool_is_full(spool));
	assert_int_equal(spool_split(spool), 0);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_counters(spool).messages, 0);
	assert_int_equal(spool_retry(spool), 0);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_counters(spool).messages, 10);
	assert_int_equal(check_directory(spool_dir_fd(spool), large_sizes).messages, 10);
}

static void append_large(struct spool *spool)
{
	static uint8_t memory[MIB(1)];
	static struct message_batch batch;
	struct source source = {.size_of = large_sizes};

	source_fill(&source, &batch, memory, sizeof(memory), 1);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
}

static void append_one(struct spool *spool)
{
	static uint8_t memory[MEMORY_SIZE];
	static struct message_batch batch;
	struct source source = {.size_of = no_sizes};

	source_fill(&source, &batch, memory, sizeof(memory), 1);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
}

/* A segment of which nothing could be written is deleted. Who has seen it sees its number again. */
static void test_an_empty_segment_is_followed(void **state)
{
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(1), 0);
	CLEANUP(cursor_free) struct cursor *cursor = NULL;

	(void)state;
	for (uint64_t before = 0; before < 2; before++) {
		cursor_free(TAKE_PTR(cursor));
		assert_int_equal(cursor_open(spool_dir_fd(spool), true, &cursor), 0);
		assert_int_equal(follow(cursor), before);
		plan.room = 1;
		append_large(spool);
		assert_true(spool_is_full(spool));
		assert_int_equal(follow(cursor), 0);
		assert_int_equal(spool_seal(spool), 0);
		assert_int_equal(follow(cursor), 0);
		plan.room = 0;
		assert_int_equal(spool_retry(spool), 0);
		assert_int_equal(follow(cursor), 1);
		assert_int_equal(spool_seal(spool), 0);
		assert_int_equal(follow(cursor), 0);
	}
}

/* How many messages the first record of a segment says were dropped. */
static uint64_t dropped_before(struct spool *spool, uint64_t seq)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;

	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(reader_open(spool_dir_fd(spool), seq, true, &reader), 0);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record.entry.kind, FORMAT_GAP);
	return record.entry.length;
}

static const struct loss seven = {.messages = 7, .bytes = 70, .first_ns = 1, .last_ns = 2};

/* What was dropped was to go on record when the disk was full: it stands in the next segment then.
 * When that is dropped as well, it is not forgotten. */
static void test_a_gap_waits(void **state)
{
	struct spool_options options = {.path = scratch, .segment_bytes = MIB(1), .may_drop = true};
	CLEANUP(spool_free) struct spool *spool = NULL;

	(void)state;
	assert_int_equal(spool_open(&options, &spool), 0);
	append_one(spool);
	spool_note_loss(spool, &seven);
	assert_int_equal(spool_record_loss(spool), 0);
	plan.armed = true;
	plan.calls = plan.failed = 0;
	plan.from = plan.count = 1;
	plan.part = 0;
	plan.error = ENOSPC;
	assert_int_equal(spool_commit(spool), 0);
	plan.armed = false;
	assert_true(spool_is_full(spool));
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_retry(spool), 0);
	append_one(spool);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_counters(spool).sealed, 2);
	assert_int_equal(spool_drop_oldest(spool), 1);
	assert_int_equal(spool_drop_oldest(spool), 1);
	assert_int_equal(spool_record_loss(spool), 0);
	append_one(spool);
	assert_int_equal(dropped_before(spool, 4), 9);
}

/* A gap behind the end of a message that is in the file already is not handed over; when it is
 * given up, it is not forgotten either. Other events are, and counted. */
static void test_a_gap_is_given_up(void **state)
{
	const struct spool_event event = {.kind = FORMAT_CONNECTED};
	static uint8_t memory[MIB(1)];
	static struct message_batch batch;
	CLEANUP(spool_free) struct spool *spool = open_spool(MIB(4), 0);
	struct source source = {.size_of = large_sizes};

	(void)state;
	source_fill(&source, &batch, memory, KIB(200), 1);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_commit(spool), 0);
	source_fill(&source, &batch, memory, sizeof(memory), 1);
	assert_int_equal(spool_append(spool, &batch), 0);
	spool_note_loss(spool, &seven);
	assert_int_equal(spool_record_loss(spool), 0);
	assert_false(spool_has_loss(spool));
	plan.room = 1;
	assert_int_equal(spool_commit(spool), 0);
	assert_true(spool_is_full(spool));
	assert_int_equal(spool_add_event(spool, &event), 0);
	assert_int_equal(spool_give_up(spool), 0);
	assert_true(spool_has_loss(spool));
	assert_int_equal(spool_counters(spool).lost_events, 1);
}

/* What a segment of an earlier run says was dropped counts when it was read through and kept. */
static void test_a_gap_of_an_earlier_run(void **state)
{
	struct spool_options options = {.path = scratch, .segment_bytes = MIB(1), .may_drop = true};
	CLEANUP(spool_free) struct spool *spool = NULL;
	struct segment *segment;

	(void)state;
	assert_int_equal(spool_open(&options, &spool), 0);
	spool_note_loss(spool, &seven);
	assert_int_equal(spool_record_loss(spool), 0);
	append_one(spool);
	assert_int_equal(spool_seal(spool), 0);
	spool_free(TAKE_PTR(spool));
	assert_int_equal(spool_open(&options, &spool), 0);
	segment = spool_take(spool);
	assert_non_null(segment);
	assert_int_equal(spool_check(spool, segment), 0);
	spool_keep(spool, segment);
	assert_int_equal(spool_drop_oldest(spool), 1);
	assert_int_equal(spool_record_loss(spool), 0);
	append_one(spool);
	assert_int_equal(dropped_before(spool, 3), 8);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_small_messages),
		TEST(test_segments_of_so_many),
		TEST(test_large_messages),
		TEST(test_given_up),
		TEST(test_split),
		TEST(test_a_huge_message_moves),
		TEST(test_a_huge_message_is_dropped),
		TEST(test_the_numbers_end),
		TEST(test_the_end_of_a_message_waits),
		TEST(test_a_gap_waits),
		TEST(test_room_for_a_part),
		TEST(test_an_empty_segment_is_followed),
		TEST(test_a_gap_is_given_up),
		TEST(test_a_gap_of_an_earlier_run),
	};

	return cmocka_run_group_tests_name("spool_full", tests, NULL, NULL);
}
