/*
 * Any index over any data, sealed and open: what is read back stays inside of the files, and comes
 * to an end, one by one, in batches, or from anywhere. The first two bytes of the input say how
 * much of it is the index.
 *
 * Checksums would stop nearly every input at its first entry: those of the input are mended, unless
 * the third byte is odd.
 */
#include "base/crc32c.h"
#include "base/macro.h"
#include "spool/format.h"
#include "spool/reader.h"
#include "spool/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <tempfile.h>

#define INPUT_MAX KIB(32)
#define BATCH_MAX 64

static char *path; /* a directory for as long as the fuzzer runs */
static int dir_fd = -1;

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void remove_files(void)
{
	char name[FORMAT_NAME_SIZE];

	unlinkat(dir_fd, format_name(name, 0, FORMAT_DATA_SUFFIX), 0);
	unlinkat(dir_fd, format_name(name, 0, FORMAT_INDEX_SUFFIX), 0);
	unlinkat(dir_fd, format_name(name, 0, FORMAT_OPEN_SUFFIX), 0);
}

static void remove_directory(void)
{
	remove_files();
	rmdir(path);
	close(dir_fd);
	free(path);
}

static void make_directory(void)
{
	if (tempfile_mkdir(&path, .prefix = "fuzz_index.") < 0)
		abort();
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		abort();
	atexit(remove_directory);
}

static void put(const char *suffix, const uint8_t *data, size_t size)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd = openat(dir_fd, format_name(name, 0, suffix),
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
}

/* Gives every entry the checksum that it needs, if what it points to is there. */
static void mend(uint8_t *index, size_t index_size, const uint8_t *data, size_t data_size)
{
	for (size_t at = FORMAT_HEADER_SIZE; at + FORMAT_ENTRY_SIZE <= index_size;
	     at += FORMAT_ENTRY_SIZE) {
		struct format_entry entry;
		uint32_t crc = 0;

		format_read_entry(index + at, &entry);
		entry.offset &= UINT32_MAX; /* or hardly any would be inside */
		if (!format_is_event(&entry) && entry.offset <= data_size &&
		    entry.length <= data_size - entry.offset)
			crc = crc32c(0, data + entry.offset, (size_t)entry.length);
		format_write_entry(index + at, &entry, crc);
	}
	if (index_size >= FORMAT_HEADER_SIZE)
		format_write_header(index, &(struct format_header){.first_seq = 0});
}

static void check_record(struct reader *reader, const struct record *record, size_t data_size)
{
	uint8_t byte;
	uint64_t length = record->entry.length;

	if (format_is_event(&record->entry)) {
		if (record->payload || reader_payload(reader, 0, &byte, 1) != 0)
			abort();
		return;
	}
	if (length > data_size || (length > 0 && record->entry.offset > data_size - length))
		abort();
	if (reader_payload(reader, length, &byte, 1) != 0)
		abort();
	if (!record->payload)
		return;
	if (length > 0 && (reader_payload(reader, length - 1, &byte, 1) != 1 ||
			   byte != record->payload[length - 1]))
		abort();
}

static void read_all(bool sealed, size_t index_size, size_t data_size)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	size_t steps = index_size / FORMAT_ENTRY_SIZE + 2;
	struct record record;
	int r = reader_open(dir_fd, 0, sealed, &reader);

	if (r < 0)
		return;
	while ((r = reader_next(reader, &record)) != 0) {
		if (r < 0 && r != -EBADMSG)
			abort();
		if (steps-- == 0)
			abort();
		if (r > 0)
			check_record(reader, &record, data_size);
	}
}

static volatile uint8_t seen; /* so that every byte is really read */

static size_t read_one_by_one(struct reader *reader, size_t steps)
{
	struct record record;
	size_t whole = 0;
	int r;

	while ((r = reader_next(reader, &record)) != 0) {
		if (steps-- == 0)
			abort();
		whole += r > 0;
	}
	return whole;
}

/* The same records, as many at a time as there are. Those that stand in a row do so in memory. */
static size_t read_in_batches(struct reader *reader, size_t max, size_t steps)
{
	static struct record records[BATCH_MAX];
	uint8_t sum = 0;
	size_t whole = 0;
	ssize_t n;

	while ((n = reader_next_batch(reader, records, max)) != 0) {
		if (steps-- == 0)
			abort();
		for (ssize_t i = 0; i < n; i++) {
			const struct record *record = &records[i];

			if (i > 0 && record->seq != records[i - 1].seq + 1)
				abort();
			for (size_t k = 0; record->payload && k < record->entry.length; k++)
				sum ^= record->payload[k];
		}
		whole += n > 0 ? (size_t)n : 0;
	}
	seen = sum;
	return whole;
}

/* Whatever way is taken, the same is found. */
static void read_other_ways(bool sealed, size_t index_size, size_t max)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	size_t steps = 2 * (index_size / FORMAT_ENTRY_SIZE) + 4, whole;
	uint64_t time_ns;

	if (reader_open(dir_fd, 0, sealed, &reader) < 0)
		return;
	whole = read_one_by_one(reader, steps);
	for (uint64_t i = 0; i < steps; i++)
		reader_time(reader, i, &time_ns);
	if (reader_seek(reader, 0) < 0 || read_in_batches(reader, max, steps) != whole)
		abort();
	if (reader_seek(reader, max) >= 0)
		read_in_batches(reader, BATCH_MAX, steps);
}

/* Reads a copy in which nothing may be damaged. */
static void read_copy(int index_fd, int data_fd, uint64_t records)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	const struct reader_files files = {
		.index_fd = index_fd, .data_fd = data_fd, .sealed = true};
	struct record record;

	if (reader_open_files(&files, &reader) < 0)
		abort();
	for (; records > 0; records--)
		if (reader_next(reader, &record) != 1 || record.loose)
			abort();
	if (reader_next(reader, &record) != 0)
		abort();
}

static void salvage(bool sealed)
{
	CLEANUP(salvage_close) struct salvage_source source = {.sealed = sealed};
	CLEANUP_FD int index_fd = memfd_create("index", MFD_CLOEXEC);
	CLEANUP_FD int data_fd = memfd_create("data", MFD_CLOEXEC);
	struct salvage_report report;

	if (index_fd < 0 || data_fd < 0)
		abort();
	if (salvage_open_segment(&source, dir_fd) < 0 ||
	    salvage_copy(&source, index_fd, data_fd, &report) < 0)
		return;
	read_copy(take_fd(&index_fd), take_fd(&data_fd), report.records);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static uint8_t index[INPUT_MAX];
	const uint8_t *data;
	size_t index_size, data_size;

	if (size < 3 || size > INPUT_MAX)
		return 0;
	if (dir_fd < 0)
		make_directory();
	index_size = MIN((size_t)input[0] << 8 | input[1], size - 3);
	data = input + 3 + index_size;
	data_size = size - 3 - index_size;
	memcpy(index, input + 3, index_size);
	if (input[2] % 2 == 0)
		mend(index, index_size, data, data_size);
	put(FORMAT_DATA_SUFFIX, data, data_size);
	put(FORMAT_INDEX_SUFFIX, index, index_size);
	put(FORMAT_OPEN_SUFFIX, index, index_size);
	read_all(true, index_size, data_size);
	read_all(false, index_size, data_size);
	read_other_ways(true, index_size, (size_t)input[2] % BATCH_MAX + 1);
	read_other_ways(false, index_size, (size_t)input[2] % BATCH_MAX + 1);
	salvage(true);
	salvage(false);
	return 0;
}
