/*
 * Two windows move over the two files: one over the index, one over the data. Payloads up to the
 * size of the data window are handed out from within it; larger ones are checked in pieces. So a
 * segment of any size, with messages of any size, is read in the same memory.
 *
 * Records are handed out in batches: while one is put together, the data window does not move. So
 * who copies messages on can write all that stand in a row at once.
 */
#include "spool/reader_state.h"

#include "base/crc32c.h"

#include <errno.h>

#define ENTRIES_MAX ((uint64_t)INT64_MAX / 64) /* more than any file can have */

/* The checksum of a payload that is larger than the window. −EBADMSG: it is not there as a whole.
 */
static int check_in_pieces(struct reader *reader, struct record *record, uint32_t *ret_crc)
{
	uint64_t left = record->entry.length, at = record->entry.offset;
	const uint8_t *data;
	uint32_t crc = 0;
	ssize_t n;

	while (left > 0) {
		size_t want = (size_t)MIN(left, (uint64_t)READER_WINDOW);

		n = window_show(&reader->data, at, want, &data);
		if (n < 0)
			return (int)n;
		if ((size_t)n < want)
			return -EBADMSG;
		crc = crc32c(crc, data, want);
		at += want;
		left -= want;
	}
	n = window_show(&reader->data, at, 1, &data);
	if (n < 0 && n != -EBADMSG)
		return (int)n;
	record->loose = n < 1 || *data != FORMAT_SEPARATOR;
	*ret_crc = crc;
	return 1;
}

/* 1: the payload is in the window. 0: it would have to be moved, and may not be. */
static int check_in_window(struct reader *reader, bool may_move, struct record *record,
			   uint32_t *ret_crc)
{
	struct window *window = &reader->data;
	uint64_t offset = record->entry.offset;
	size_t size = (size_t)record->entry.length;
	int r;

	if (!window_has(window, offset, size + 1)) {
		if (!may_move)
			return 0;
		r = window_move(window, offset);
		if (r < 0 && r != -EBADMSG)
			return r;
		if (window->size < size) /* else it is the separator alone that cannot be read */
			return -EBADMSG;
	}
	record->payload = window->data + (offset - window->start);
	record->loose =
		!window_has(window, offset, size + 1) || record->payload[size] != FORMAT_SEPARATOR;
	*ret_crc = crc32c(0, record->payload, size);
	return 1;
}

/* A damaged entry may say anything: lengths that no file can have would upset pread(2). */
static bool is_plausible(const struct format_entry *entry)
{
	return format_is_event(entry) || entry->length <= INT64_MAX / 2;
}

static int check_payload(struct reader *reader, bool may_move, struct record *record,
			 uint32_t *ret_crc)
{
	if (format_is_event(&record->entry))
		return 1;
	if (!is_plausible(&record->entry))
		return -EBADMSG;
	if (record->entry.length <= READER_WINDOW)
		return check_in_window(reader, may_move, record, ret_crc);
	return may_move ? check_in_pieces(reader, record, ret_crc) : 0;
}

/* Behind the last whole entry there is nothing, and the data ends with it: or a sealed index was
 * cut. Told once. */
static int check_end(struct reader *reader, ssize_t rest)
{
	uint64_t size;
	int r;

	if (!reader->sealed || reader->damaged)
		return 0;
	r = input_size(&reader->data.input, &size);
	if (r < 0)
		return r;
	if (rest == 0 && size == reader->data_end &&
	    (reader->records == 0 || reader->next == reader->records))
		return 0;
	reader->damaged = true;
	return -EBADMSG;
}

/* Whether the payload stands elsewhere than right behind the one before. */
static bool is_misplaced(const struct reader *reader, const struct format_entry *entry)
{
	if (format_is_event(entry))
		return false;
	return entry->offset < reader->data_end ||
	       (entry->offset > reader->data_end && !reader->lost);
}

/* The next record. 1: it is whole. 0: there is none, or the data window would have to be moved for
 * it, and may not be. Only what is whole is passed by. The record is put together where it is
 * wanted: to copy it would cost as much as its checksum. */
static int read_record(struct reader *reader, bool may_move, struct record *record)
{
	uint64_t at = FORMAT_HEADER_SIZE + reader->next * FORMAT_ENTRY_SIZE;
	const uint8_t *stored;
	uint32_t crc = 0;
	ssize_t n = window_show(&reader->index, at, FORMAT_ENTRY_SIZE, &stored);
	int r;

	if (n < FORMAT_ENTRY_SIZE)
		return n < 0 ? (int)n : may_move ? check_end(reader, n) : 0;
	format_read_entry(stored, &record->entry);
	record->payload = NULL;
	record->loose = false;
	r = check_payload(reader, may_move, record, &crc);
	if (r <= 0)
		return r;
	if (!format_entry_is_valid(stored, crc))
		return -EBADMSG;
	record->seq = reader->first_seq + reader->next;
	reader->next++;
	record->loose |= is_misplaced(reader, &record->entry);
	reader->data_end = record->entry.offset + format_data_size(&record->entry);
	reader->lost = false;
	return 1;
}

/* A record that cannot be read is passed by. In a segment that is being written, it may be that a
 * window holds what was taken back since: there it is looked at again first, once for all that are
 * damaged in a row. */
static int read_again(struct reader *reader, int error, struct record *ret_record)
{
	uint64_t at = FORMAT_HEADER_SIZE + reader->next * FORMAT_ENTRY_SIZE;
	int r = error;

	if (!reader->sealed && error == -EBADMSG && !(reader->lost && reader->fresh)) {
		reader->fresh = true;
		window_clear(&reader->index);
		window_clear(&reader->data);
		r = read_record(reader, true, ret_record);
	}
	if (r < 0 && window_has(&reader->index, at, FORMAT_ENTRY_SIZE))
		reader->next++;
	if (r == -EBADMSG)
		reader->damaged = reader->lost = true;
	return r;
}

static bool is_large(const struct format_entry *entry)
{
	return !format_is_event(entry) && entry->length > READER_WINDOW;
}

ssize_t reader_next_batch(struct reader *reader, struct record *records, size_t max)
{
	int r = read_record(reader, true, &records[0]);
	size_t count = 1;

	if (r < 0)
		r = read_again(reader, r, &records[0]);
	if (r <= 0)
		return r;
	while (count < max && !is_large(&records[0].entry) &&
	       read_record(reader, false, &records[count]) > 0)
		count++;
	reader->entry = records[count - 1].entry;
	return (ssize_t)count;
}

int reader_next(struct reader *reader, struct record *ret_record)
{
	struct record record;
	ssize_t n = reader_next_batch(reader, &record, 1);

	if (n > 0)
		*ret_record = record;
	return (int)n;
}

uint64_t reader_passed(const struct reader *reader)
{
	return reader->next;
}

int reader_sizes(const struct reader *reader, uint64_t *ret_index_size, uint64_t *ret_data_size)
{
	int r = input_size(&reader->index.input, ret_index_size);

	return r < 0 ? r : input_size(&reader->data.input, ret_data_size);
}

uint64_t reader_created_ns(const struct reader *reader)
{
	return reader->created_ns;
}

uint64_t reader_records(const struct reader *reader)
{
	return reader->records;
}

bool reader_has_table(const struct reader *reader)
{
	return input_has_table(&reader->index.input);
}

bool reader_has_header(const struct reader *reader)
{
	return reader->has_header;
}

uint64_t reader_seq(const struct reader *reader)
{
	return reader->first_seq + reader->next;
}

int reader_count(struct reader *reader, uint64_t *ret_count)
{
	uint64_t size;
	int r = input_size(&reader->index.input, &size);

	if (r < 0)
		return r;
	*ret_count = format_count_entries(size);
	return 0;
}

int reader_seek(struct reader *reader, uint64_t seq)
{
	struct format_entry before;
	const uint8_t *stored;
	uint64_t count, at;
	ssize_t n;
	int r = reader_count(reader, &count);

	if (r < 0)
		return r;
	reader->next = seq > reader->first_seq ? MIN(seq - reader->first_seq, ENTRIES_MAX) : 0;
	reader->data_end = 0;
	reader->lost = reader->next > 0;
	reader->fresh = false;
	if (reader->next == 0)
		return 0;
	at = FORMAT_HEADER_SIZE + (reader->next - 1) * FORMAT_ENTRY_SIZE;
	n = reader->next > count ? 0 : window_show(&reader->index, at, FORMAT_ENTRY_SIZE, &stored);
	if (n < 0)
		return (int)n;
	if (n < FORMAT_ENTRY_SIZE) {
		reader->damaged = true; /* nothing is known of the end */
		return 0;
	}
	format_read_entry(stored, &before);
	reader->data_end = before.offset + format_data_size(&before);
	return 0;
}

int reader_time(struct reader *reader, uint64_t number, uint64_t *ret_time_ns)
{
	struct reader before = *reader;
	struct record record;
	int r;

	reader->next = number;
	reader->damaged = true; /* what is at the end is not asked for */
	r = read_record(reader, true, &record);
	reader->next = before.next;
	reader->data_end = before.data_end;
	reader->lost = before.lost;
	reader->damaged = before.damaged;
	if (r > 0)
		*ret_time_ns = record.entry.time_ns;
	return r > 0 ? 0 : r < 0 ? r : -ENODATA;
}

ssize_t reader_payload(struct reader *reader, uint64_t offset, void *data, size_t size)
{
	const struct format_entry *entry = &reader->entry;

	if (format_is_event(entry) || offset >= entry->length)
		return 0;
	return input_read(&reader->data.input, entry->offset + offset, data,
			  (size_t)MIN((uint64_t)size, entry->length - offset));
}

int reader_data_fd(const struct reader *reader)
{
	return input_fd(&reader->data.input);
}

int reader_index_fd(const struct reader *reader)
{
	return input_fd(&reader->index.input);
}

uint64_t reader_data_end(const struct reader *reader)
{
	return reader->data_end;
}
