/* What the tests of the spool share: a directory of their own, messages that can be made again from
 * their number alone, a receive buffer to put them into, and a check that what is on the disk is
 * what was sent.
 *
 * Used as a real client uses a spool: most payloads stand in a row, each with a spare byte behind
 * it, some behind a frame header of two bytes and with nothing to spare. */
#ifndef WEIR_TEST_SPOOL_SUPPORT_H
#define WEIR_TEST_SPOOL_SUPPORT_H

#include "test_support.h"

#include "base/crc32c.h"
#include "base/message.h"
#include "spool/format.h"
#include "spool/listing.h"
#include "spool/reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static char scratch[64];

static inline int remove_entry(const char *path, const struct stat *status, int kind,
			       struct FTW *place)
{
	(void)status;
	(void)kind;
	return place->level > 0 ? remove(path) : 0;
}

static inline void empty_scratch(void)
{
	nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int setup_scratch(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/test_weir.XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static inline int teardown_scratch(void **state)
{
	(void)state;
	empty_scratch();
	return rmdir(scratch);
}

/* The same, with the directory open. */
static inline int setup_scratch_fd(void **state, int *ret_fd)
{
	if (setup_scratch(state) < 0)
		return -1;
	*ret_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? -1 : 0;
}

static inline int teardown_scratch_fd(void **state, int fd)
{
	close(fd);
	return teardown_scratch(state);
}

#define TEST_IN_SCRATCH(function)                                                                  \
	cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

/* A path in the scratch directory; the next call overwrites it. */
static inline const char *in_scratch(const char *name)
{
	static char path[sizeof(scratch) + 300];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static inline int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* The size of a file, -1 if there is none. */
static inline off_t size_at(int dir_fd, const char *name)
{
	struct stat status;

	return fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : status.st_size;
}

static inline off_t size_of_file(int dir_fd, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	return size_at(dir_fd, format_name(name, seq, suffix));
}

static inline void put_file(int dir_fd, const char *name, const void *data, size_t size)
{
	CLEANUP_FD int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
}

static inline void put_segment_file(int dir_fd, uint64_t seq, const char *suffix, const void *data,
				    size_t size)
{
	char name[FORMAT_NAME_SIZE];

	put_file(dir_fd, format_name(name, seq, suffix), data, size);
}

/* Reads a whole file; the caller frees it. */
static inline uint8_t *get_segment_file(int dir_fd, uint64_t seq, const char *suffix,
					size_t *ret_size)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd = openat(dir_fd, format_name(name, seq, suffix), O_RDONLY | O_CLOEXEC);
	off_t size = size_of_file(dir_fd, seq, suffix);
	uint8_t *data;

	assert_true(fd >= 0 && size >= 0);
	data = malloc((size_t)size + 1);
	assert_non_null(data);
	assert_int_equal(read(fd, data, (size_t)size + 1), size);
	*ret_size = (size_t)size;
	return data;
}

/* Entries of a directory, without "." and "..". */
static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

static inline int count_fds(void)
{
	return count_entries("/proc/self/fd");
}

/* What the segments in a directory take, by stat(2), in whole blocks. */
static inline uint64_t space_on_disk(int dir_fd)
{
	CLEANUP_FD int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	uint64_t bytes = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat status;

		assert_int_equal(fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW), 0);
		if (S_ISREG(status.st_mode))
			bytes += (uint64_t)status.st_blocks * 512;
	}
	closedir(dir);
	take_fd(&fd);
	return bytes;
}

/* Where the messages of a test come from: number 0, 1, 2, … */
struct source {
	size_t (*size_of)(uint64_t number);
	uint64_t number; /* of the next message, or of the one that is cut */
	size_t at;	 /* how much of that was sent */
	uint32_t crc;	 /* of that much */
	uint16_t origin; /* the number of the source */
	uint16_t connection;
	bool kernel_time;
	bool all_moved;
	uint8_t *free; /* to where payloads are moved in the buffer, as the decoder does it */
};

#define MESSAGE_TIME_NS(number) (UINT64_C(1700000000000000000) + (number))

/* A text message that stands in memory alone, with a spare byte behind it. */
static inline void batch_of_one(struct message_batch *batch, uint64_t number, uint8_t *memory,
				size_t size)
{
	batch->count = 1;
	batch->time_ns = MESSAGE_TIME_NS(number);
	batch->pieces[0] = (struct message_piece){
		.data = memory,
		.size = size,
		.crc = crc32c(0, memory, size),
		.kind = MESSAGE_TEXT,
		.first = true,
		.last = true,
		.spare = true,
	};
}

static inline uint8_t message_kind(uint64_t number)
{
	return number % 3 == 0 ? MESSAGE_BINARY : MESSAGE_TEXT;
}

/* Byte `at` of message `number`: any byte, newlines too. */
static inline uint8_t message_byte(uint64_t number, size_t at)
{
	return (uint8_t)((number * 0x9e3779b1u + at * 0x85ebca6bu) >> 11);
}

static inline size_t small_sizes(uint64_t number)
{
	return (size_t)(number * number * 31 % 180);
}

static inline size_t no_sizes(uint64_t number)
{
	(void)number;
	return 0;
}

static inline size_t mixed_sizes(uint64_t number)
{
	static const size_t sizes[] = {0, 1,  2,    40, 200,   9, 1000,
				       0, 65, 5000, 33, 70000, 3, 300000};

	return sizes[number * 7 % ARRAY_SIZE(sizes)] + (size_t)(number % 3);
}

/* Receives the next piece at `to`; every fourth message is left there, unless all are to be moved
 * to the free memory, where the others go. False: there is no room for it. */
static inline bool source_put(struct source *source, struct message_piece *piece, uint8_t **to,
			      const uint8_t *end)
{
	size_t left = source->size_of(source->number) - source->at;
	bool moved = source->all_moved || source->number % 4 != 1;

	if (source->at == 0)
		*to += 2; /* a frame header */
	if (*to > end || (*to == end && left > 0))
		return false;
	*piece = (struct message_piece){
		.data = moved ? source->free : *to,
		.size = MIN(left, (size_t)(end - *to)),
		.kind = message_kind(source->number),
		.first = source->at == 0,
		.last = left <= (size_t)(end - *to),
	};
	piece->spare = piece->last && piece->data < *to;
	for (size_t i = 0; i < piece->size; i++)
		piece->data[i] = message_byte(source->number, source->at + i);
	source->crc = crc32c(piece->first ? 0 : source->crc, piece->data, piece->size);
	piece->crc = source->crc;
	source->free = piece->data + piece->size + piece->spare;
	*to += piece->size;
	source->at = piece->last ? 0 : source->at + piece->size;
	source->number += piece->last;
	return true;
}

/* Fills a batch with pieces that stand in `memory`. */
static inline void source_fill(struct source *source, struct message_batch *batch, uint8_t *memory,
			       size_t size, uint64_t until)
{
	uint8_t *to = memory + 1;

	memset(memory, 0xee, size);
	source->free = memory;
	batch->count = 0;
	batch->time_ns = MESSAGE_TIME_NS(source->number);
	batch->source = source->origin;
	batch->connection = source->connection;
	batch->kernel_time = source->kernel_time;
	while (batch->count < MESSAGE_BATCH_MAX && source->number < until)
		if (!source_put(source, &batch->pieces[batch->count], &to, memory + size))
			break;
		else
			batch->count++;
}

/* What is on the disk against what was sent. */
struct check {
	size_t (*size_of)(uint64_t number);
	uint64_t messages; /* found so far, which is the number of the next */
	uint64_t records;
	uint64_t events;
	uint64_t bytes;
};

static inline void check_payload(struct reader *reader, const struct record *record,
				 uint64_t number)
{
	size_t size = (size_t)record->entry.length;
	CLEANUP_FREE uint8_t *payload = malloc(size + 1);

	assert_non_null(payload);
	assert_int_equal(reader_payload(reader, 0, payload, size + 1), (ssize_t)size);
	for (size_t i = 0; i < size; i++)
		if (payload[i] != message_byte(number, i))
			fail_msg("message %llu differs at %zu", (unsigned long long)number, i);
	assert_int_equal(record->payload == NULL, size > READER_WINDOW);
	if (record->payload && size > 0)
		assert_memory_equal(record->payload, payload, size);
	assert_int_equal(reader_payload(reader, size, payload, 1), 0);
}

static inline void check_record(struct check *check, struct reader *reader,
				const struct record *record)
{
	assert_int_equal(record->seq, check->records);
	check->records++;
	if (format_is_event(&record->entry)) {
		check->events++;
		return;
	}
	assert_int_equal(record->entry.kind, message_kind(check->messages));
	assert_int_equal(record->entry.length, check->size_of(check->messages));
	check_payload(reader, record, check->messages);
	check->messages++;
	check->bytes += record->entry.length;
}

/* One segment, which must be whole and go on where the one before ended. */
static inline void check_segment(struct check *check, int dir_fd, uint64_t seq, bool sealed)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct record record;
	int r;

	assert_int_equal(seq, check->records);
	assert_int_equal(reader_open(dir_fd, seq, sealed, &reader), 0);
	while ((r = reader_next(reader, &record)) > 0)
		check_record(check, reader, &record);
	assert_int_equal(r, 0);
	if (sealed) {
		assert_int_equal(size_of_file(dir_fd, seq, FORMAT_DATA_SUFFIX),
				 reader_data_end(reader));
		assert_int_equal(size_of_file(dir_fd, seq, FORMAT_INDEX_SUFFIX),
				 FORMAT_HEADER_SIZE + (check->records - seq) * FORMAT_ENTRY_SIZE);
	}
}

/* All segments of a directory. */
static inline struct check check_directory(int dir_fd, size_t (*size_of)(uint64_t number))
{
	CLEANUP(listing_done) struct listing listing = {0};
	struct check check = {.size_of = size_of};

	assert_int_equal(listing_read(dir_fd, &listing), 0);
	assert_int_equal(listing.foreign, 0);
	for (size_t i = 0; i < listing.count; i++) {
		assert_true(listing.entries[i].data);
		assert_true(listing.entries[i].sealed != listing.entries[i].open);
		check_segment(&check, dir_fd, listing.entries[i].first_seq,
			      listing.entries[i].sealed);
	}
	return check;
}

#endif
