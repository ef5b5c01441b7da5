/*
 * The way of a message to the disk. Its payload stands in memory, as a rule right behind the one
 * before it, with one byte to spare for the separator. So a buffer full of messages is one stretch
 * that looks just like the data file, or a few where payloads are large, and goes there by one
 * write. Then follow the index entries of all of them, by another.
 *
 * The order is what makes a crash harmless: an entry is written after what it points to, and data
 * without an entry does not count. A message that is larger than the buffer is written as it comes,
 * and gets its entry at the end, or is cut off again.
 */
#include "spool/writer_state.h"

#include "base/io.h"
#include "base/macro.h"

#include <errno.h>
#include <string.h>

#define RUNS_PER_PIECE 2 /* its payload and its separator, at most */

DEFINE_CLEANUP(struct writer *, writer_free);

int writer_open(const struct writer_options *options, struct writer **ret_writer)
{
	CLEANUP(writer_free) struct writer *writer = malloc(sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	memset(writer, 0, offsetof(struct writer, entries));
	writer->options = *options;
	writer->options.bytes_max = MIN(options->bytes_max, FORMAT_OFFSET_MAX);
	writer->committed.first_seq = options->first_seq;
	writer->committed.counted = true;
	writer->pending = writer->committed;
	r = writer_open_files(writer);
	if (r < 0)
		return r;
	*ret_writer = TAKE_PTR(writer);
	return 0;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	tempfile_close(&writer->data_file);
	tempfile_close(&writer->index_file);
	free(writer->waiting);
	free(writer);
}

static inline struct format_entry begin_entry(const struct message_batch *batch,
					      const struct message_piece *piece, uint64_t offset)
{
	return (struct format_entry){
		.offset = offset,
		.length = piece->size,
		.time_ns = batch->time_ns,
		.kind = piece->kind,
		.flags = batch->kernel_time ? FORMAT_FLAG_KERNEL_TIME : 0,
		.source = batch->source,
		.connection = batch->connection,
	};
}

/* Where in the data file the next byte will stand. */
static inline uint64_t next_offset(const struct writer *writer)
{
	return writer->data.size + writer->runs.size;
}

static inline bool is_full(const struct writer_options *options, const struct segment *segment,
			   uint64_t data_size)
{
	uint64_t index_size = segment->records * FORMAT_ENTRY_SIZE;

	return data_size >= options->bytes_max ||
	       (options->messages_max > 0 && segment->messages >= options->messages_max) ||
	       (options->disk_max > 0 && data_size + index_size >= options->disk_max);
}

/* Appends messages that stand in memory as they will in the file, each with its byte for the
 * separator, from piece `at` to the first that does not: nearly always all. Whatever changes with
 * each of them stays in registers, hence flatten: a call would cost a quarter more. Returns how
 * many they were. */
__attribute__((flatten)) static size_t append_row(struct writer *writer,
						  const struct message_batch *batch, size_t at)
{
	size_t count = MIN(batch->count - at, (size_t)WRITER_ENTRIES_MAX - writer->entry_count),
	       done = 0;
	uint8_t *start = batch->pieces[at].data, *end = start;
	struct segment pending = writer->pending;
	uint64_t offset = next_offset(writer);
	struct format_entry entry = begin_entry(batch, &batch->pieces[at], offset);

	for (; done < count && !is_full(&writer->options, &pending, offset); done++) {
		const struct message_piece *piece = &batch->pieces[at + done];

		if (!piece->first || !piece->spare || piece->data != end)
			break;
		entry.offset = offset;
		entry.length = piece->size;
		entry.kind = piece->kind;
		end += piece->size;
		*end++ = FORMAT_SEPARATOR;
		offset += piece->size + 1;
		segment_count(&pending, &entry);
		pending.records++;
		format_write_entry(writer->entries[writer->entry_count + done], &entry, piece->crc);
	}
	if (done == 0)
		return 0;
	runs_add(&writer->runs, start, (size_t)(end - start));
	writer->entry_count += done;
	writer->pending = pending;
	return done;
}

/* Appends any piece. The separator goes into the spare byte behind it, if it has one. */
static void append_piece(struct writer *writer, const struct message_batch *batch,
			 const struct message_piece *piece)
{
	uint8_t *separator = piece->spare ? piece->data + piece->size : &writer->separator;

	if (piece->first) {
		writer->message = begin_entry(batch, piece, next_offset(writer));
	} else {
		writer->message.length += piece->size;
		writer->message.time_ns = batch->time_ns;
		writer->message.flags = batch->kernel_time ? FORMAT_FLAG_KERNEL_TIME : 0;
	}
	writer->in_message = !piece->last;
	runs_add(&writer->runs, piece->data, piece->size);
	if (!piece->last)
		return;
	*separator = FORMAT_SEPARATOR;
	runs_add(&writer->runs, separator, 1);
	if (writer->entry_count == 0)
		writer->first_crc = piece->crc;
	segment_count(&writer->pending, &writer->message);
	writer->pending.records++;
	format_write_entry(writer->entries[writer->entry_count++], &writer->message, piece->crc);
}

bool writer_has_room(const struct writer *writer)
{
	return writer->entry_count < WRITER_ENTRIES_MAX &&
	       !runs_are_full(&writer->runs, RUNS_PER_PIECE);
}

void writer_append(struct writer *writer, const struct message_batch *batch, size_t *at)
{
	while (*at < batch->count && writer_has_room(writer) && !writer_is_full(writer)) {
		size_t done = append_row(writer, batch, *at);

		if (done == 0)
			append_piece(writer, batch, &batch->pieces[*at]);
		*at += MAX(done, (size_t)1);
	}
}

int writer_add_event(struct writer *writer, const struct format_entry *event)
{
	struct format_entry entry = *event;
	int r = writer_has_room(writer) ? 0 : writer_commit(writer, 0);

	if (r < 0)
		return r;
	entry.offset = next_offset(writer);
	format_write_entry(writer->entries[writer->entry_count++], &entry, 0);
	writer->pending.records++;
	return 0;
}

/* Nothing is left of what waited, or is to be. */
static void clear_pending(struct writer *writer)
{
	runs_clear(&writer->runs);
	writer->entry_count = 0;
	free(TAKE_PTR(writer->waiting));
}

void writer_forget_pending(struct writer *writer)
{
	clear_pending(writer);
	writer->in_message = false;
	writer->pending = writer->committed;
}

static int write_pending(struct writer *writer, uint64_t spare)
{
	int r = writer->uncut ? writer_take_back(writer) : 0;

	if (r < 0)
		return r;
	writer->data_before = writer->data.size;
	writer->index_before = writer->index.size;
	if (writer->runs.size > 0)
		r = appender_write_runs(&writer->data, &writer->runs, spare);
	if (r >= 0 && writer->entry_count > 0)
		r = appender_write(&writer->index, writer->entries,
				   writer->entry_count * FORMAT_ENTRY_SIZE, spare / 4);
	return r;
}

/* Counts whose messages they are that are committed now. */
static void count_shares(const struct writer *writer)
{
	struct segment_share *shares = writer->options.shares;

	for (size_t i = 0; shares && i < writer->entry_count; i++) {
		struct format_entry entry;

		format_read_entry(writer->entries[i], &entry);
		if (format_is_event(&entry))
			continue;
		shares[entry.source].messages++;
		shares[entry.source].bytes += entry.length;
	}
}

int writer_commit(struct writer *writer, uint64_t spare)
{
	int r = write_pending(writer, spare), held;

	if (io_is_full(r)) {
		held = writer_hold(writer);
		if (held >= 0)
			return r;
		r = held;
	}
	if (r < 0) {
		(void)writer_give_up(writer);
		return r;
	}
	count_shares(writer);
	clear_pending(writer);
	if (writer->options.disk_max > 0)
		writer_measure(writer);
	writer->committed = writer->pending;
	writer->committed_size = writer->in_message ? writer->message.offset : writer->data.size;
	return 0;
}

bool writer_is_pending(const struct writer *writer)
{
	return writer->runs.size > 0 || writer->entry_count > 0;
}

bool writer_is_pending_data(const struct writer *writer)
{
	return writer->runs.size > 0;
}

bool writer_pending_entry(const struct writer *writer, size_t at, struct format_entry *ret_entry)
{
	if (at >= writer->entry_count)
		return false;
	format_read_entry(writer->entries[at], ret_entry);
	return true;
}

bool writer_in_message(const struct writer *writer)
{
	return writer->in_message;
}

uint64_t writer_open_size(const struct writer *writer)
{
	return writer->in_message ? writer->data.size - writer->committed_size : 0;
}

bool writer_is_full(const struct writer *writer)
{
	return !writer->in_message &&
	       is_full(&writer->options, &writer->pending, next_offset(writer));
}

uint64_t writer_held(const struct writer *writer)
{
	return appender_held(&writer->data) + appender_held(&writer->index);
}

uint64_t writer_promised(const struct writer *writer)
{
	struct appender data = writer->data, index = writer->index;

	data.size += writer->runs.size;
	index.size += writer->entry_count * FORMAT_ENTRY_SIZE;
	return appender_held(&data) + appender_held(&index);
}

struct segment writer_committed(const struct writer *writer)
{
	struct segment segment = writer->committed;

	segment.disk_bytes = writer_held(writer);
	return segment;
}

uint64_t writer_data_size(const struct writer *writer)
{
	return writer->committed_size;
}
