/* A spool against a simple model of it: stories at random, told by processes that die at any call
 * that changes the disk, or in the middle of one, and go on in the next process. Whatever was
 * captured and not acknowledged is there, in order and under its number; nothing else is. The model
 * is memory that all processes share.
 *
 * WEIR_TORTURE_MODEL: how many stories. WEIR_TORTURE_STEPS: which of the calls of a fixed story are
 * died at: every one (1), or one in so many. */
#include "test_dice_support.h"
#include "test_spool_support.h"

#include "spool/spool.h"
#include "spool/spool_state.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define STORIES 60
#define STEPS 7 /* one call in so many is died at, in the ordinary test */
#define LIVES 6 /* of a story, at most */
#define ACTS 40 /* of a life */
#define SLOTS 4000
#define DIED 77
#define DEEP 5 /* starts that die one after the other */

enum slot_state {
	FREE,	  /* never given, or given and lost with its process before it was captured */
	PENDING,  /* appended */
	CAPTURED, /* committed */
	LEAVING,  /* being deleted: the whole segment is there, or nothing of it */
	GONE,	  /* acknowledged, or dropped to make room */
};

enum {
	EVENT = 1 << 30,
	LOSS
}; /* what a slot holds, if not the message of that number */

struct slot {
	uint8_t state;
	bool damaged; /* by the test: it must be a gap */
	uint32_t content;
};

struct model {
	uint64_t base; /* the number of slot 0 */
	uint64_t next; /* slot that is given next */
	uint64_t end;  /* behind all that ever were captured */
	uint64_t messages;
	struct slot slots[SLOTS];
	uint64_t calls; /* that were made in this life */
};

static struct model *model;
static uint64_t die_at; /* the number of a call; 0: never */
static bool die_half;	/* in the middle of it, when it writes */

/* In place of each call that changes the disk. */
static bool is_last_call(void)
{
	return model && ++model->calls == die_at;
}

static void die_before(void)
{
	if (is_last_call())
		_exit(DIED);
}

#define REPLACE(type, name, parameters, arguments)                                                 \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		die_before();                                                                      \
		return __real_##name arguments;                                                    \
	}

REPLACE(int, ftruncate, (int fd, off_t size), (fd, size))
REPLACE(int, ftruncate64, (int fd, off_t size), (fd, size))
REPLACE(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
REPLACE(int, fallocate64, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
REPLACE(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
REPLACE(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
REPLACE(int, renameat2, (int a, const char *from, int b, const char *to, unsigned int flags),
	(a, from, b, to, flags))
REPLACE(int, linkat, (int a, const char *from, int b, const char *to, int flags),
	(a, from, b, to, flags))
REPLACE(int, fsync, (int fd), (fd))
REPLACE(int, fdatasync, (int fd), (fd))

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t at);

static bool is_file(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (is_file(fd) && is_last_call()) {
		if (die_half)
			(void)!__real_write(fd, data, size / 2);
		_exit(DIED);
	}
	return __real_write(fd, data, size);
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
	if (is_last_call()) {
		if (die_half)
			(void)!__real_writev(fd, parts, count / 2);
		_exit(DIED);
	}
	return __real_writev(fd, parts, count);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at)
{
	if (is_last_call()) {
		if (die_half)
			(void)!__real_pwrite(fd, data, size / 2, at);
		_exit(DIED);
	}
	return __real_pwrite(fd, data, size, at);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t at)
{
	return __wrap_pwrite(fd, data, size, at);
}

static size_t sizes(uint64_t number)
{
	return number % 11 == 5 ? 700 : (size_t)(number * 7 % 60);
}

static struct slot *slot_of(uint64_t seq)
{
	assert_true(seq >= model->base && seq - model->base < SLOTS);
	return &model->slots[seq - model->base];
}

static void give(uint32_t content)
{
	*slot_of(model->base + model->next++) = (struct slot){.state = PENDING, .content = content};
}

static void set_range(uint64_t from, uint64_t to, enum slot_state state)
{
	for (uint64_t seq = from; seq < to; seq++)
		slot_of(seq)->state = (uint8_t)state;
}

/* What the spool says that it has committed is captured. */
static void note_captured(const struct spool *spool)
{
	uint64_t end = spool->next_seq;

	if (spool->writer)
		end = spool->next_seq + writer_committed(spool->writer).records;
	for (uint64_t seq = model->base; seq < end; seq++)
		if (slot_of(seq)->state == PENDING)
			slot_of(seq)->state = CAPTURED;
	model->end = MAX(model->end, end - model->base);
}

static void compare(struct reader *reader, const struct record *record)
{
	const struct slot *slot = slot_of(record->seq);

	if (slot->damaged)
		assert_int_equal(record->entry.kind, FORMAT_GAP);
	else if (slot->content == EVENT)
		assert_int_equal(record->entry.kind, FORMAT_CONNECTED);
	else if (slot->content == LOSS)
		assert_true(record->entry.kind == FORMAT_GAP ||
			    record->entry.kind == FORMAT_GAP_END);
	else
		check_payload(reader, record, slot->content);
}

/* Marks a segment as found; what is pending and found was captured. */
static void see_segment(int dir_fd, const struct listing_entry *entry, bool found[SLOTS])
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;
	int r;

	assert_int_equal(reader_open(dir_fd, entry->first_seq, entry->sealed, &reader), 0);
	while ((r = reader_next(reader, &record)) > 0) {
		struct slot *slot = slot_of(record.seq);

		assert_true(slot->state == PENDING || slot->state == CAPTURED ||
			    slot->state == LEAVING);
		compare(reader, &record);
		found[record.seq - model->base] = true;
	}
	assert_int_equal(r, 0);
}

/* A segment that was to be deleted is there as a whole, or it is gone. */
static void settle_leaving(const bool found[SLOTS])
{
	for (uint64_t i = 0; i < model->next; i++) {
		struct slot *slot = &model->slots[i];

		if (slot->state != LEAVING)
			continue;
		assert_true(i == 0 || model->slots[i - 1].state != GONE ||
			    found[i] == found[i - 1] || !found[i - 1]);
		slot->state = found[i] ? CAPTURED : GONE;
	}
}

/* What the directory holds, against the model. `died`: what was not captured may be there up to any
 * place, and is lost from there. */
static void check_disk(int dir_fd, bool died)
{
	CLEANUP(listing_done) struct listing listing = {0};
	bool found[SLOTS] = {false}, lost = false;

	assert_int_equal(listing_read(dir_fd, &listing), 0);
	for (size_t i = 0; i < listing.count; i++)
		if (listing.entries[i].data &&
		    (listing.entries[i].sealed || listing.entries[i].open))
			see_segment(dir_fd, &listing.entries[i], found);
	for (uint64_t i = 0; i < model->next; i++) {
		struct slot *slot = &model->slots[i];

		if (slot->state == CAPTURED && !found[i])
			fail_msg("record %" PRIu64 " was captured and is not there",
				 model->base + i);
		if (slot->state != PENDING || !died)
			continue;
		lost |= !found[i];
		assert_true(found[i] == !lost); /* no hole */
		slot->state = found[i] ? CAPTURED : FREE;
		model->end = found[i] ? MAX(model->end, i + 1) : model->end;
	}
	if (died)
		settle_leaving(found);
}

static struct spool *open_spool(void)
{
	struct spool_options options = {
		.path = scratch, .segment_bytes = 3000, .segment_messages = 9, .may_drop = true};
	struct spool *spool = NULL;

	assert_int_equal(spool_open(&options, &spool), 0);
	return spool;
}

/* A life. */
struct teller {
	struct spool *spool;
	struct source source;
	struct segment *current;
	uint64_t taken_end; /* of the segment that was taken last */
	bool used_up;	    /* there are no numbers any more */
};

static void append(struct teller *teller)
{
	static uint8_t arena[256][400]; /* nothing is used again before it is committed */
	static struct message_batch batch;
	static size_t used;
	uint8_t *memory = arena[used++ % ARRAY_SIZE(arena)];
	uint64_t number = teller->source.number;
	int r;

	if (teller->used_up || model->next + 20 > SLOTS)
		return;
	source_fill(&teller->source, &batch, memory, sizeof(arena[0]), number + 1 + dice(6));
	for (; number < teller->source.number; number++)
		give((uint32_t)number);
	model->messages = teller->source.number;
	r = spool_append(teller->spool, &batch);
	if (r == -EOVERFLOW) {
		assert_true(teller->spool->next_seq > SPOOL_SEQ_MAX);
		teller->used_up = true;
		note_captured(teller->spool);
		while (model->next > 0 && model->slots[model->next - 1].state == PENDING)
			model->slots[--model->next].state = FREE;
		return;
	}
	assert_int_equal(r, 0);
}

/* What is in the middle of a message ends, or is given up. */
static void end_message(struct teller *teller)
{
	while (spool_in_message(teller->spool) && !dice_once_in(4)) {
		append(teller);
		assert_int_equal(spool_commit(teller->spool), 0);
	}
	if (spool_in_message(teller->spool)) {
		assert_int_equal(spool_drop_open_message(teller->spool), 0);
		teller->source.at = 0;
	}
}

static void add_event(struct teller *teller)
{
	const struct spool_event event = {.kind = FORMAT_CONNECTED};

	end_message(teller);
	if (teller->used_up || teller->spool->next_seq > SPOOL_SEQ_MAX)
		return;
	give(EVENT);
	assert_int_equal(spool_add_event(teller->spool, &event), 0);
}

static void take(struct teller *teller)
{
	struct segment *segment;

	if (teller->current)
		return;
	segment = spool_take(teller->spool);
	if (!segment)
		return;
	assert_true(segment->first_seq >= teller->taken_end);
	if (!segment->counted)
		assert_int_equal(spool_check(teller->spool, segment), 0);
	teller->taken_end = segment->first_seq + segment->records;
	for (uint64_t seq = segment->first_seq; seq < teller->taken_end; seq++)
		assert_int_equal(slot_of(seq)->state, CAPTURED);
	teller->current = segment;
}

static void ack(struct teller *teller)
{
	struct segment *segment = teller->current;
	uint64_t first, end;

	if (!segment)
		return;
	first = segment->first_seq;
	end = first + segment->records;
	set_range(first, end, LEAVING);
	teller->current = NULL;
	assert_int_equal(spool_ack(teller->spool, segment), 0);
	set_range(first, end, GONE);
}

static void keep(struct teller *teller)
{
	if (teller->current)
		spool_keep(teller->spool, TAKE_PTR(teller->current));
}

/* The one that goes is the oldest that is not with us. */
static void drop_oldest(struct teller *teller)
{
	CLEANUP(listing_done) struct listing listing = {0};
	uint64_t first = 0, end = 0;

	assert_int_equal(listing_read(spool_dir_fd(teller->spool), &listing), 0);
	for (size_t i = 0; i < listing.count && end == 0; i++) {
		const struct listing_entry *entry = &listing.entries[i];
		off_t size;

		if (!entry->sealed ||
		    (teller->current && teller->current->first_seq == entry->first_seq))
			continue;
		first = entry->first_seq;
		size = size_of_file(spool_dir_fd(teller->spool), first, FORMAT_INDEX_SUFFIX);
		end = first + (uint64_t)(size - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE;
	}
	set_range(first == 0 ? model->base : first, end == 0 ? model->base : end, LEAVING);
	assert_int_equal(spool_drop_oldest(teller->spool), end > 0);
	set_range(first == 0 ? model->base : first, end == 0 ? model->base : end, GONE);
}

static void record_loss(struct teller *teller)
{
	if (!spool_has_loss(teller->spool) || spool_in_message(teller->spool) || teller->used_up ||
	    teller->spool->next_seq > SPOOL_SEQ_MAX)
		return;
	give(LOSS);
	give(LOSS);
	assert_int_equal(spool_record_loss(teller->spool), 0);
}

static void act(struct teller *teller)
{
	switch (dice(12)) {
	case 0:
	case 1:
		assert_int_equal(spool_commit(teller->spool), 0);
		break;
	case 2:
		add_event(teller);
		break;
	case 3:
		end_message(teller);
		assert_int_equal(spool_seal(teller->spool), 0);
		break;
	case 4:
		take(teller);
		break;
	case 5:
		ack(teller);
		break;
	case 6:
		keep(teller);
		break;
	case 7:
		check_disk(spool_dir_fd(teller->spool), false);
		break;
	case 8:
		if (dice_once_in(3))
			drop_oldest(teller);
		break;
	case 9:
		record_loss(teller);
		break;
	default:
		append(teller);
	}
	note_captured(teller->spool);
}

/* What an earlier life has left is as it should be, and numbers go on behind it. */
static struct teller begin(void)
{
	struct teller teller = {.source = {.size_of = sizes}};

	teller.spool = open_spool();
	check_disk(spool_dir_fd(teller.spool), true);
	assert_true(teller.spool->next_seq >= model->base + model->end);
	assert_true(teller.spool->next_seq <= model->base + model->next);
	model->next = teller.spool->next_seq - model->base;
	teller.source.number = model->messages;
	return teller;
}

static void end(struct teller *teller, bool orderly)
{
	if (orderly) {
		end_message(teller);
		assert_int_equal(spool_seal(teller->spool), 0);
		note_captured(teller->spool);
	}
	segment_free(teller->current);
	spool_free(teller->spool);
}

static void live(uint64_t acts)
{
	struct teller teller = begin();

	for (uint64_t i = 0; i < acts; i++)
		act(&teller);
	end(&teller, dice_once_in(2));
}

/* Everything is taken and acknowledged, and nothing stays but what was put aside. */
static void live_to_the_end(void)
{
	CLEANUP(listing_done) struct listing listing = {0};
	struct teller teller = begin();

	for (take(&teller); teller.current; take(&teller))
		ack(&teller);
	for (uint64_t i = 0; i < model->next; i++)
		assert_true(model->slots[i].state == GONE || model->slots[i].state == FREE);
	assert_int_equal(listing_read(spool_dir_fd(teller.spool), &listing), 0);
	assert_int_equal(listing.count + listing.foreign, 0);
	end(&teller, false);
}

/* Lets a process of its own do it, which may die at a call. Whether it did. */
static bool apart(void (*life)(uint64_t), uint64_t argument, uint64_t call, bool half)
{
	int status;
	pid_t pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* or the rest of the tests would follow */
		model->calls = 0;
		die_at = call;
		die_half = half;
		life(argument);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != DIED))
		fail_msg("a life of it went wrong: status %#x", (unsigned int)status);
	return WEXITSTATUS(status) == DIED;
}

static void finish(uint64_t ignored)
{
	(void)ignored;
	live_to_the_end();
}

static void begin_model(uint64_t base)
{
	char text[64];
	int size = snprintf(text, sizeof(text), "next %020" PRIu64 "\n", base);
	CLEANUP_FD int dir_fd = open_dir(scratch);

	memset(model, 0, sizeof(*model));
	model->base = base;
	empty_scratch();
	put_file(dir_fd, FORMAT_LOCK_NAME, text, (size_t)size);
}

static uint64_t random_base(void)
{
	switch (dice(4)) {
	case 0:
		return (UINT64_C(1) << 32) - dice(60);
	case 1:
		return SPOOL_SEQ_MAX - dice(120);
	default:
		return dice(2) * dice(1000000);
	}
}

static void tell_story(uint64_t seed)
{
	dice_begin(seed);
	begin_model(random_base());
	for (uint64_t i = 1 + dice(LIVES); i > 0; i--) {
		uint64_t call = dice_once_in(6) ? 0 : 1 + dice(60);

		apart(live, dice(ACTS), call, dice_once_in(2));
		dice_begin(seed + i * 1000003); /* the child threw dice of its own */
	}
	dice_seed = seed;
	apart(finish, 0, 0, false);
}

static int setup(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "%s/test_weir.XXXXXX", quick_place());
	if (!mkdtemp(scratch))
		return -1;
	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	return model == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	munmap(model, sizeof(*model));
	model = NULL;
	tell_seed(state);
	return teardown_scratch(state);
}

static void test_stories(void **state)
{
	uint64_t stories = number_of("WEIR_TORTURE_MODEL", STORIES), first = first_seed();

	(void)state;
	for (uint64_t i = 0; i < stories; i++)
		tell_story(first + i);
	print_message("%" PRIu64 " stories\n", stories);
}

#define FIXED_ACTS 60

/* The same story each time. */
static void live_as_always(uint64_t seed)
{
	dice_begin(seed);
	live(FIXED_ACTS);
}

static void start_and_leave(uint64_t ignored)
{
	struct teller teller = begin();

	(void)ignored;
	end(&teller, false);
}

/* Dies at call `call`; then starts die at each of theirs; then all that there is comes out. */
static uint64_t die_and_recover(uint64_t seed, uint64_t call, bool half, uint64_t step)
{
	uint64_t deaths = 0;

	for (uint64_t again = 1;; again += step) {
		begin_model(7);
		if (!apart(live_as_always, seed, call, half))
			return deaths;
		deaths++;
		if (!apart(start_and_leave, 0, again, half)) {
			apart(finish, 0, 0, false);
			return deaths;
		}
		for (uint64_t deep = 1; deep < DEEP; deep++)
			apart(start_and_leave, 0, again + deep % 3, !half);
		apart(finish, 0, 0, false);
	}
}

static void test_each_call_is_the_last(void **state)
{
	uint64_t step = number_of("WEIR_TORTURE_STEPS", STEPS), deaths = 0, seed = first_seed();

	(void)state;
	dice_begin(seed);
	for (uint64_t call = 1 + seed % step;; call += step) {
		uint64_t died = die_and_recover(seed, call, false, step) +
				die_and_recover(seed, call, true, step);

		if (died == 0)
			break;
		deaths += died;
	}
	print_message("%" PRIu64 " deaths\n", deaths);
	assert_true(deaths > 0);
}

/* Flips a byte of the payload of a message, and of the header. */
static void damage_segment(uint64_t seq, bool header)
{
	CLEANUP_FD int dir_fd = open_dir(scratch);
	char name[FORMAT_NAME_SIZE];
	const char *suffix = size_of_file(dir_fd, seq, FORMAT_INDEX_SUFFIX) > 0
				     ? FORMAT_INDEX_SUFFIX
				     : FORMAT_OPEN_SUFFIX;
	CLEANUP_FD int index_fd = openat(dir_fd, format_name(name, seq, suffix), O_RDWR);
	off_t at = header ? 20 : FORMAT_HEADER_SIZE + 2 * FORMAT_ENTRY_SIZE + 9;
	uint8_t byte;

	assert_int_equal(pread(index_fd, &byte, 1, at), 1);
	byte ^= 0x20;
	assert_int_equal(__real_pwrite(index_fd, &byte, 1, at), 1);
	slot_of(seq + 2)->damaged |= !header;
}

/* Three segments, the last of them open; and something wrong with each. */
static void make_damaged_spool(void)
{
	struct teller teller;

	begin_model(0);
	teller = begin();
	for (int i = 0; i < 25; i++) {
		static uint8_t memory[400];
		static struct message_batch batch;

		source_fill(&teller.source, &batch, memory, sizeof(memory),
			    teller.source.number + 1);
		if (batch.pieces[0].first)
			give((uint32_t)(teller.source.number - batch.pieces[0].last));
		assert_int_equal(spool_append(teller.spool, &batch), 0);
		assert_int_equal(spool_commit(teller.spool), 0);
	}
	note_captured(teller.spool);
	end(&teller, false);
	damage_segment(0, false);
	damage_segment(9, true);
	damage_segment(18, false);
}

/* Each segment is mended as it comes out. */
static void deliver_damaged(uint64_t ignored)
{
	struct spool *spool = open_spool();
	struct segment *segment;

	(void)ignored;
	while ((segment = spool_take(spool))) {
		assert_int_equal(spool_check(spool, segment), 0);
		spool_keep(spool, segment);
	}
	spool_free(spool);
}

static void check_mended(uint64_t ignored)
{
	(void)ignored;
	deliver_damaged(0);
	live_to_the_end();
}

static void test_mending_dies_at_each_call(void **state)
{
	uint64_t step = number_of("WEIR_TORTURE_STEPS", 1), deaths = 0;

	(void)state;
	for (uint64_t call = 1;; call += step) {
		make_damaged_spool();
		if (!apart(deliver_damaged, 0, call, call % 2))
			break;
		for (uint64_t deep = 0; deep < DEEP; deep++)
			apart(deliver_damaged, 0, 1 + (call * 5 + deep) % 9, deep % 2);
		apart(check_mended, 0, 0, false);
		deaths++;
	}
	apart(check_mended, 0, 0, false);
	print_message("%" PRIu64 " deaths\n", deaths);
	assert_true(deaths > 10 / step);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stories),
		TEST(test_each_call_is_the_last),
		TEST(test_mending_dies_at_each_call),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
