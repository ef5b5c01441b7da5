/* Damage at random, in any byte of a spool: every flipped bit is told, a start always succeeds,
 * what is whole comes out under its number, and nothing else does. How often: WEIR_TORTURE_FLIPS.
 * --wrap: none. */
#include "test_dice_support.h"
#include "test_spool_support.h"

#include "spool/audit.h"
#include "spool/cursor.h"
#include "spool/note.h"
#include "spool/rescue.h"
#include "spool/spool.h"

#define FLIPS 2000
#define SEGMENTS 3
#define RECORDS 12 /* in each: messages, and an event at the end */
#define ALL (SEGMENTS * RECORDS)
#define FILES_MAX 8

struct file {
	char name[FORMAT_NAME_SIZE];
	uint8_t bytes[2048], original[2048];
	size_t size, original_size;
};

static struct file files[FILES_MAX];
static size_t file_count;
static struct file *damaged; /* which of them */
static bool flipped;	     /* and not cut */
static int dir_fd;
static char clean[80]; /* a directory beside the spool */

static size_t sizes(uint64_t number)
{
	return (size_t)(number * 7 % 31);
}

/* Of record `seq`. */
static bool is_event(uint64_t seq)
{
	return seq % RECORDS == RECORDS - 1;
}

static uint64_t message_of(uint64_t seq)
{
	return seq - seq / RECORDS;
}

static struct spool *open_spool(void)
{
	struct spool_options options = {
		.path = scratch, .segment_bytes = MIB(1), .segment_messages = RECORDS};
	struct spool *spool = NULL;

	assert_int_equal(spool_open(&options, &spool), 0);
	return spool;
}

static void write_spool(void)
{
	static uint8_t memory[KIB(16)];
	static struct message_batch batch;
	struct source source = {.size_of = sizes};
	struct spool *spool = open_spool();

	for (int segment = 1; segment <= SEGMENTS; segment++) {
		const struct spool_event event = {.kind = FORMAT_CONNECTED, .time_ns = 77};

		source_fill(&source, &batch, memory, sizeof(memory), source.number + RECORDS - 1);
		assert_int_equal(spool_append(spool, &batch), 0);
		assert_int_equal(spool_add_event(spool, &event), 0);
		assert_int_equal(spool_commit(spool), 0);
		if (segment < SEGMENTS)
			assert_int_equal(spool_seal(spool), 0);
	}
	spool_free(spool);
}

static void read_files(void)
{
	DIR *dir = opendir(scratch);

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct file *file = &files[file_count];
		CLEANUP_FD int fd = openat(dir_fd, entry->d_name, O_RDONLY | O_CLOEXEC);

		if (entry->d_type != DT_REG)
			continue;
		assert_true(file_count++ < FILES_MAX && strlen(entry->d_name) < sizeof(file->name));
		memcpy(file->name, entry->d_name, strlen(entry->d_name) + 1);
		file->original_size = (size_t)read(fd, file->original, sizeof(file->original));
		assert_true(file->original_size < sizeof(file->original));
	}
	closedir(dir);
	assert_int_equal(file_count, 2 * SEGMENTS + 1);
}

static int setup(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "%s/test_weir.XXXXXX", quick_place());
	if (!mkdtemp(scratch))
		return -1;
	snprintf(clean, sizeof(clean), "%s.clean", scratch);
	dir_fd = open_dir(scratch);
	write_spool();
	read_files();
	return 0;
}

static int teardown(void **state)
{
	close(dir_fd);
	tell_seed(state);
	return teardown_scratch(state);
}

static void put_files(void)
{
	empty_scratch();
	for (size_t i = 0; i < file_count; i++)
		put_file(dir_fd, files[i].name, files[i].bytes, files[i].size);
}

static void damage(void)
{
	for (size_t i = 0; i < file_count; i++) {
		memcpy(files[i].bytes, files[i].original, files[i].original_size);
		files[i].size = files[i].original_size;
	}
	damaged = &files[dice(file_count)];
	flipped = !dice_once_in(4);
	if (flipped)
		damaged->bytes[dice(damaged->size)] ^= (uint8_t)(1 << dice(8));
	else
		damaged->size = (size_t)dice(damaged->size);
}

static const struct file *file_of(uint64_t seq, bool data)
{
	char name[FORMAT_NAME_SIZE];
	uint64_t first = seq / RECORDS * RECORDS;
	const char *suffix = data			      ? FORMAT_DATA_SUFFIX
			     : first / RECORDS + 1 < SEGMENTS ? FORMAT_INDEX_SUFFIX
							      : FORMAT_OPEN_SUFFIX;

	format_name(name, first, suffix);
	for (size_t i = 0; i < file_count; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	fail_msg("there is no %s", name);
	return NULL;
}

static bool is_same(const struct file *file, uint64_t at, uint64_t size)
{
	return at + size <= file->size && memcmp(file->bytes + at, file->original + at, size) == 0;
}

static struct format_entry entry_of(uint64_t seq)
{
	struct format_entry entry;

	format_read_entry(file_of(seq, false)->original + FORMAT_HEADER_SIZE +
				  seq % RECORDS * FORMAT_ENTRY_SIZE,
			  &entry);
	return entry;
}

/* Whether nothing of the record itself is damaged: then it must come out. */
static bool is_whole(uint64_t seq)
{
	struct format_entry entry = entry_of(seq);

	return is_same(file_of(seq, false), FORMAT_HEADER_SIZE + seq % RECORDS * FORMAT_ENTRY_SIZE,
		       FORMAT_ENTRY_SIZE) &&
	       (is_event(seq) || entry.length == 0 ||
		is_same(file_of(seq, true), entry.offset, entry.length));
}

static bool has_separator(uint64_t seq)
{
	struct format_entry entry = entry_of(seq);

	return is_event(seq) || entry.offset + entry.length < file_of(seq, true)->size;
}

static void check_same(struct reader *reader, const struct record *record)
{
	struct format_entry entry = entry_of(record->seq);

	assert_int_equal(record->entry.kind, entry.kind);
	assert_int_equal(record->entry.length, entry.length);
	assert_int_equal(record->entry.time_ns, entry.time_ns);
	assert_int_equal(record->entry.flags, entry.flags);
	if (!is_event(record->seq))
		check_payload(reader, record, message_of(record->seq));
}

/* Reads a segment of which nothing may be damaged any more, and notes what is in it. */
static void see_segment(int fd, uint64_t first_seq, bool seen[ALL])
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;
	int r;

	assert_int_equal(reader_open(fd, first_seq, true, &reader), 0);
	while ((r = reader_next(reader, &record)) > 0) {
		assert_false(record.loose);
		if (record.entry.kind == FORMAT_GAP || record.entry.kind == FORMAT_GAP_END)
			continue;
		assert_true(record.seq < ALL && !seen[record.seq]);
		check_same(reader, &record);
		seen[record.seq] = true;
	}
	assert_int_equal(r, 0);
}

static void deliver(struct spool *spool, bool seen[ALL])
{
	struct segment *segment;
	uint64_t end = 0;

	while ((segment = spool_take(spool))) {
		assert_int_equal(spool_check(spool, segment), 0);
		assert_true(segment->first_seq >= end);
		end = segment->first_seq + segment->records;
		if (segment->records > 0)
			see_segment(dir_fd, segment->first_seq, seen);
		assert_int_equal(spool_ack(spool, segment), 0);
	}
}

static void check_seen(const bool seen[ALL])
{
	for (uint64_t seq = 0; seq < ALL; seq++)
		if (seen[seq] != is_whole(seq))
			fail_msg("record %" PRIu64 " is %s and was%s seen", seq,
				 is_whole(seq) ? "whole" : "damaged", seen[seq] ? "" : " not");
}

static void count_damage(void *data, const struct audit_finding *finding)
{
	*(uint64_t *)data += audit_is_damage(finding->kind);
}

static uint64_t damages_in(const char *path)
{
	CLEANUP_FD int fd = open_dir(path);
	uint64_t damages = 0;
	const struct audit audit = {.dir_fd = fd, .tell = count_damage, .data = &damages};
	struct audit_totals totals;

	assert_int_equal(audit_spool(&audit, &totals), 0);
	return damages;
}

static bool is_lock(const struct file *file)
{
	return strcmp(file->name, FORMAT_LOCK_NAME) == 0;
}

/* The number that comes next may be any that is left. An empty lock is that of a spool that has
 * just begun. */
static bool has_note(const struct file *lock)
{
	char digits[21] = "";

	for (size_t i = 0; i < NOTE_SIZE; i++) {
		uint8_t byte = lock->bytes[i];

		if (i >= lock->size ||
		    (byte != lock->original[i] && (byte < '0' || byte > '9' || i < 5 || i > 24)))
			return lock->size == 0;
	}
	memcpy(digits, lock->bytes + 5, sizeof(digits) - 1);
	return strtoull(digits, NULL, 10) <= SPOOL_SEQ_MAX;
}

/* Whether somebody would have to be told: a segment that ends early may be one that was cut by a
 * death, as long as its header is whole, and no entry is left that nothing belongs to. */
static bool is_to_be_told(void)
{
	bool open = damaged == file_of(ALL - 1, false) || damaged == file_of(ALL - 1, true);
	const struct file *index = file_of(ALL - 1, false);

	if (is_lock(damaged))
		return !has_note(damaged);
	if (flipped || !open || index->size < FORMAT_HEADER_SIZE)
		return true;
	for (uint64_t seq = ALL - RECORDS; seq < ALL; seq++)
		if (index->size >= FORMAT_HEADER_SIZE + (seq % RECORDS + 1) * FORMAT_ENTRY_SIZE &&
		    !(is_whole(seq) && has_separator(seq)))
			return true;
	return false;
}

/* Who reads it as it is gets all that is whole and nothing else, and is told when something is left
 * out. */
static void check_reading(void)
{
	CLEANUP(cursor_free) struct cursor *cursor = NULL;
	struct record record;
	bool seen[ALL] = {false};
	uint64_t errors = 0;
	ssize_t n;

	assert_int_equal(cursor_open(dir_fd, false, &cursor), 0);
	while ((n = cursor_next_batch(cursor, &record, 1)) != 0) {
		errors += n < 0;
		if (n < 0)
			continue;
		assert_true(record.seq < ALL && !seen[record.seq]);
		check_same(cursor_reader(cursor), &record);
		seen[record.seq] = true;
	}
	check_seen(seen);
	assert_true(errors <= ALL);
	if (is_lock(damaged) || !is_to_be_told())
		assert_int_equal(errors, 0);
	else
		assert_true(errors > 0 || memchr(seen, false, ALL) == NULL);
}

static void ignore_news(void *data, const struct rescue_news *news)
{
	(void)data;
	(void)news;
}

static void remove_clean(void)
{
	CLEANUP_FD int fd = open_dir(clean);
	DIR *dir = opendir(clean);

	for (struct dirent *entry; (entry = readdir(dir));)
		unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	assert_int_equal(rmdir(clean), 0);
}

/* A clean copy holds the same. */
static void check_rescue(void)
{
	CLEANUP(directory_done) struct spool_directory to;
	const struct rescue rescue = {.from_fd = dir_fd, .to = &to, .tell = ignore_news};
	CLEANUP(listing_done) struct listing listing = {0};
	struct rescue_totals totals;
	bool seen[ALL] = {false};

	directory_init(&to);
	assert_int_equal(directory_open(&to, clean), 0);
	assert_int_equal(rescue_spool(&rescue, &totals), 0);
	assert_int_equal(damages_in(clean), 0);
	assert_int_equal(listing_read(to.fd, &listing), 0);
	for (size_t i = 0; i < listing.count; i++)
		see_segment(to.fd, listing.entries[i].first_seq, seen);
	check_seen(seen);
	remove_clean();
}

static void append_one(struct spool *spool)
{
	static uint8_t memory[KIB(1)];
	static struct message_batch batch;
	struct source source = {.size_of = sizes};
	struct segment *segment;

	source_fill(&source, &batch, memory, sizeof(memory), 1);
	assert_int_equal(spool_append(spool, &batch), 0);
	assert_int_equal(spool_seal(spool), 0);
	segment = spool_take(spool);
	assert_non_null(segment);
	for (uint64_t seq = segment->first_seq; seq < ALL; seq++)
		assert_false(is_whole(seq));
	assert_int_equal(spool_ack(spool, segment), 0);
}

static void check_nothing_is_left(void)
{
	CLEANUP(listing_done) struct listing listing = {0};

	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.count + listing.foreign, 0);
}

static void play(uint64_t seed)
{
	bool seen[ALL] = {false};
	struct spool *spool;

	dice_begin(seed);
	damage();
	put_files();
	assert_int_equal(damages_in(scratch) > 0, is_to_be_told());
	check_reading();
	if (dice_once_in(4))
		check_rescue();
	if (dice_once_in(2))
		spool_free(open_spool());
	spool = open_spool();
	deliver(spool, seen);
	check_seen(seen);
	if (!is_lock(damaged))
		append_one(spool);
	spool_free(spool);
	check_nothing_is_left();
}

static void test_damage_at_random(void **state)
{
	uint64_t flips = number_of("WEIR_TORTURE_FLIPS", FLIPS), first = first_seed();

	(void)state;
	for (uint64_t i = 0; i < flips; i++)
		play(first + i);
	print_message("%" PRIu64 " times\n", flips);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_damage_at_random, setup, teardown),
	};

	return cmocka_run_group_tests_name("flips", tests, NULL, NULL);
}
