/*
 * A segment is read record by record and written anew, with what is needed to fill a buffer in
 * memory and no more. Numbers stay as they were, since the place of an entry gives its number: so a
 * damaged record becomes a gap of one, and not nothing.
 *
 * What an index has lost at its end is only known from outside: the next segment's number tells how
 * many records there were. One gap stands for all of them then.
 */
#include "spool/salvage.h"

#include "base/crc32c.h"
#include "base/io.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DATA_BUFFER KIB(256)
#define ENTRIES 1024

struct copy {
	int index_fd, data_fd;
	uint64_t data_size; /* with what is in the buffer */
	uint64_t records;
	uint64_t time_ns; /* of the record before */
	bool lost;	  /* that was damaged: where the data goes on is not known */
	size_t filled, entries;
	uint8_t data[DATA_BUFFER];
	uint8_t index[ENTRIES][FORMAT_ENTRY_SIZE];
};

static int open_regular(int dir_fd, const char *name, uint64_t *ret_size, int *ret_fd)
{
	CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EMEDIUMTYPE;
	*ret_size = (uint64_t)status.st_size;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_pair(struct salvage_source *source, int dir_fd, const char *index_name,
		     const char *data_name, struct reader_files files)
{
	CLEANUP_FD int index_fd = -1;
	CLEANUP_FD int data_fd = -1;
	int r = open_regular(dir_fd, index_name, &source->index_size, &index_fd);

	if (r >= 0)
		r = open_regular(dir_fd, data_name, &source->data_size, &data_fd);
	if (r < 0)
		return r;
	files.first_seq = source->first_seq;
	files.lenient = true;
	files.index_fd = take_fd(&index_fd);
	files.data_fd = take_fd(&data_fd);
	return reader_open_files(&files, &source->reader);
}

/* The reader is told that it is not sealed: its end is looked at here. */
int salvage_open(struct salvage_source *source, int dir_fd, const char *index_name,
		 const char *data_name)
{
	return open_pair(source, dir_fd, index_name, data_name, (struct reader_files){0});
}

int salvage_open_packed(struct salvage_source *source, int dir_fd, const char *name)
{
	int r = open_pair(source, dir_fd, name, name,
			  (struct reader_files){.sealed = true, .packed = true});

	return r < 0 ? r : reader_sizes(source->reader, &source->index_size, &source->data_size);
}

int salvage_open_segment(struct salvage_source *source, int dir_fd)
{
	char index[FORMAT_NAME_SIZE], data[FORMAT_NAME_SIZE], packed[FORMAT_NAME_SIZE];
	int r;

	format_name(index, source->first_seq,
		    source->sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX);
	format_name(data, source->first_seq, FORMAT_DATA_SUFFIX);
	r = salvage_open(source, dir_fd, index, data);
	if (r != -ENOENT || !source->sealed)
		return r;
	return salvage_open_packed(source, dir_fd,
				   format_name(packed, source->first_seq, FORMAT_PACKED_SUFFIX));
}

void salvage_close(struct salvage_source *source)
{
	reader_free(source->reader);
	source->reader = NULL;
}

static int flush_data(struct copy *copy)
{
	int r = io_write_all(copy->data_fd, copy->data, copy->filled, NULL);

	copy->filled = 0;
	return r;
}

static int flush_index(struct copy *copy)
{
	int r = io_write_all(copy->index_fd, copy->index, copy->entries * FORMAT_ENTRY_SIZE, NULL);

	copy->entries = 0;
	return r;
}

static int add_entry(struct copy *copy, const struct format_entry *entry, uint32_t payload_crc)
{
	format_write_entry(copy->index[copy->entries++], entry, payload_crc);
	copy->records++;
	copy->time_ns = entry->time_ns;
	return copy->entries == ENTRIES ? flush_index(copy) : 0;
}

/* Puts the payload of the record that the reader returned last into the buffer, piece by piece, and
 * computes its checksum anew: that of the entry covers its old place too. */
static int add_payload(struct copy *copy, struct reader *reader, uint64_t length, uint32_t *ret_crc)
{
	uint64_t done = 0;
	uint32_t crc = 0;

	while (done < length) {
		int r = copy->filled == DATA_BUFFER ? flush_data(copy) : 0;
		ssize_t n;

		if (r < 0)
			return r;
		n = reader_payload(reader, done, copy->data + copy->filled,
				   DATA_BUFFER - copy->filled);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO; /* it was there a moment ago */
		crc = crc32c(crc, copy->data + copy->filled, (size_t)n);
		copy->filled += (size_t)n;
		done += (uint64_t)n;
	}
	*ret_crc = crc;
	return 0;
}

static int add_whole(struct copy *copy, struct reader *reader, const struct record *record)
{
	struct format_entry entry = record->entry;
	uint32_t crc = 0;
	int r = 0;

	entry.offset = copy->data_size;
	if (format_is_event(&entry))
		return add_entry(copy, &entry, 0);
	r = add_payload(copy, reader, entry.length, &crc);
	if (r >= 0 && copy->filled == DATA_BUFFER)
		r = flush_data(copy);
	if (r < 0)
		return r;
	copy->data[copy->filled++] = FORMAT_SEPARATOR;
	copy->data_size += format_data_size(&entry);
	return add_entry(copy, &entry, crc);
}

static int add_gap(struct copy *copy, enum format_cause cause, uint64_t count)
{
	struct format_entry entry = {
		.offset = copy->data_size,
		.length = count,
		.time_ns = copy->time_ns,
		.kind = FORMAT_GAP,
		.flags = FORMAT_FLAG_CAUSE(cause),
		.source = FORMAT_SOURCE_ANY,
	};

	return add_entry(copy, &entry, 0);
}

static int add_gap_end(struct copy *copy)
{
	struct format_entry entry = {
		.offset = copy->data_size,
		.time_ns = copy->time_ns,
		.kind = FORMAT_GAP_END,
		.source = FORMAT_SOURCE_ANY,
	};

	return add_entry(copy, &entry, 0);
}

static bool may_be_more(const struct salvage_source *source)
{
	return source->end_seq == 0 ||
	       source->first_seq + reader_passed(source->reader) < source->end_seq;
}

/* No two records share a payload. Whoever wrote such entries could make a copy as large as he
 * likes. */
static bool overlaps(const struct format_entry *entry, uint64_t data_end)
{
	return !format_is_event(entry) && entry->offset < data_end;
}

static void count(struct salvage_report *report, const struct record *record)
{
	report->whole++;
	report->loose += record->loose;
	if (format_is_event(&record->entry))
		return;
	report->messages++;
	report->bytes += record->entry.length;
}

static int copy_records(struct copy *copy, struct salvage_source *source,
			struct salvage_report *report)
{
	struct record record;

	while (may_be_more(source)) {
		uint64_t passed = reader_passed(source->reader);
		uint64_t data_end = reader_data_end(source->reader);
		int r = reader_next(source->reader, &record);

		/* The second is what a sealed reader says of an end that is damaged. */
		if (r == 0 || (r == -EBADMSG && reader_passed(source->reader) == passed))
			return 0;
		copy->lost = r < 0;
		if (r > 0 && !overlaps(&record.entry, data_end)) {
			count(report, &record);
			r = add_whole(copy, source->reader, &record);
		} else if (reader_passed(source->reader) > passed) { /* or it cannot be read */
			report->damaged++;
			r = add_gap(copy, FORMAT_CAUSE_DAMAGED, 1);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* How many more numbers there are before those of the next segment; 0: none, or not known. */
static uint64_t room_for_numbers(const struct copy *copy, const struct salvage_source *source)
{
	uint64_t end_seq = source->first_seq + copy->records;

	return source->end_seq > end_seq ? source->end_seq - end_seq : 0;
}

/* Puts on record that records are missing behind the last one; 0: nobody knows how many. */
static int add_missing(struct copy *copy, const struct salvage_source *source, uint64_t missing,
		       struct salvage_report *report)
{
	uint64_t room = room_for_numbers(copy, source);
	int r;

	if (source->end_seq > 0 && room == 0)
		return 0;
	report->missing = missing;
	if (missing == 1 || room == 1)
		return add_gap(copy, FORMAT_CAUSE_DAMAGED, missing);
	r = add_gap(copy, FORMAT_CAUSE_LOST, missing);
	return r < 0 ? r : add_gap_end(copy);
}

/* Looks at the ends of both files: at how many records there were, and if that is not known,
 * whether the index ends within an entry, or there is data that no entry speaks of. */
static int copy_end(struct copy *copy, struct salvage_source *source, struct salvage_report *report)
{
	uint64_t index_end = FORMAT_HEADER_SIZE + copy->records * FORMAT_ENTRY_SIZE;
	uint64_t data_end = copy->lost ? source->data_size : reader_data_end(source->reader);
	uint64_t known = reader_records(source->reader);
	bool more = source->index_size != index_end || source->data_size > data_end;

	report->end = true;
	if (!source->sealed)
		return 0;
	report->end =
		!more && source->data_size == data_end && (known == 0 || known == copy->records);
	if (known > copy->records)
		return add_missing(copy, source, known - copy->records, report);
	if (known > 0 || !more)
		return 0;
	return add_missing(copy, source, room_for_numbers(copy, source), report);
}

/* When all records are written, and it is known how many they are. */
static int write_header(const struct copy *copy, const struct salvage_source *source)
{
	struct format_header header = {
		.first_seq = source->first_seq,
		.created_ns = reader_created_ns(source->reader),
		.records = copy->records,
	};
	uint8_t bytes[FORMAT_HEADER_SIZE];

	format_write_header(bytes, &header);
	return io_pwrite_all(copy->index_fd, bytes, sizeof(bytes), 0);
}

int salvage_copy(struct salvage_source *source, int index_fd, int data_fd,
		 struct salvage_report *ret_report)
{
	CLEANUP_FREE struct copy *copy = malloc(sizeof(*copy));
	struct salvage_report report = {
		.header = reader_has_header(source->reader),
		.table = reader_has_table(source->reader),
	};
	int r;

	if (!copy)
		return -ENOMEM;
	memset(copy, 0, offsetof(struct copy, data));
	copy->index_fd = index_fd;
	copy->data_fd = data_fd;
	copy->time_ns = reader_created_ns(source->reader);
	r = lseek(index_fd, FORMAT_HEADER_SIZE, SEEK_SET) < 0 ? -errno : 0;
	if (r >= 0)
		r = copy_records(copy, source, &report);
	if (r >= 0 && report.whole == 0 && !report.header)
		r = -EBADMSG;
	if (r >= 0)
		r = copy_end(copy, source, &report);
	if (r >= 0)
		r = flush_data(copy);
	if (r >= 0)
		r = flush_index(copy);
	if (r >= 0)
		r = write_header(copy, source);
	if (r < 0)
		return r;
	report.records = copy->records;
	*ret_report = report;
	return 0;
}
