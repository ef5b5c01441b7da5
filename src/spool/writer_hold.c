/*
 * What found no room on the disk. The memory in which it stands will be used again, so it is copied
 * into some of our own, as it would stand in the file, and the files are cut back to where they
 * were. From there it is written later, by another commit; or it leaves the writer, as the pieces
 * of messages that it was, so that the segment can be sealed.
 */
#include "spool/writer_state.h"

#include "base/crc32c.h"
#include "base/io.h"
#include "base/macro.h"

#include <errno.h>
#include <string.h>

#define MOVE_STEP KIB(64)

/* Cuts off what a commit has written that found no room for the rest. The index first: an entry
 * without its data would look like damage. */
int writer_take_back(struct writer *writer)
{
	int r = appender_cut(&writer->index, writer->index_before);

	if (r >= 0)
		r = appender_cut(&writer->data, writer->data_before);
	writer->uncut = r < 0;
	return r;
}

/* Copies what was not written out of memory that will be used again, and the end of the file, from
 * `offset`, in front of it. */
static int gather(struct writer *writer, uint64_t offset)
{
	struct runs *runs = &writer->runs;
	size_t size = (size_t)(writer->data.size - offset);
	CLEANUP_FREE uint8_t *memory = malloc(size + runs->size + 1);
	uint8_t *to = memory;
	ssize_t n;

	if (!memory)
		return -ENOMEM;
	n = io_pread_all(writer->data.fd, memory, size, (off_t)offset);
	if (n < (ssize_t)size)
		return n < 0 ? (int)n : -EIO;
	to += size;
	for (size_t i = 0; i < runs->count; i++)
		to = mempcpy(to, runs->at[i].iov_base, runs->at[i].iov_len);
	free(writer->waiting);
	writer->waiting = TAKE_PTR(memory);
	runs_clear(runs);
	runs_add(runs, writer->waiting, (size_t)(to - writer->waiting));
	return 0;
}

/* What stands in our own memory already stays there. */
int writer_defer(struct writer *writer)
{
	const struct runs *runs = &writer->runs;

	if (runs->size == 0 || (runs->count == 1 && runs->at[0].iov_base == writer->waiting))
		return 0;
	return gather(writer, writer->data.size);
}

/* There was no room. Whole entries are kept as they are; and the files may be cut later, too. */
int writer_hold(struct writer *writer)
{
	int r = writer_take_back(writer);

	return r < 0 && !io_is_full(r) ? r : writer_defer(writer);
}

/* A message that waits at `data`, but for the first `written` bytes of it, and perhaps its end. */
static int hand_over_piece(const struct writer *writer, const struct format_entry *entry,
			   uint64_t written, uint8_t *data, struct waiting *to)
{
	size_t size = (size_t)(entry->length - written);
	struct message_batch batch = {
		.count = 1,
		.time_ns = entry->time_ns,
		.source = entry->source,
		.connection = entry->connection,
		.kernel_time = entry->flags & FORMAT_FLAG_KERNEL_TIME,
	};

	batch.pieces[0] = (struct message_piece){
		.data = data,
		.size = size,
		.crc = written > 0 ? writer->first_crc : crc32c(0, data, size),
		.kind = entry->kind,
		.first = written == 0,
		.last = entry != &writer->message,
	};
	return waiting_add(to, &batch, 0);
}

int writer_pull(struct writer *writer, size_t max)
{
	uint64_t size = writer->data.size - writer->committed_size;
	int r;

	if (writer->uncut || size == 0 ||
	    (writer->committed.records == 0 && writer->entry_count == 0))
		return 0;
	writer->data_before = writer->data.size - MIN(size, (uint64_t)max);
	writer->index_before = writer->index.size;
	r = gather(writer, writer->data_before);
	if (r >= 0)
		r = writer_take_back(writer);
	return r < 0 && !io_is_full(r) ? r : 1;
}

/* What waits is as long as its entries say, but for the beginning of the first message, if that is
 * in the file. Of that message, so much stays open then. */
int writer_hand_over(struct writer *writer, struct waiting *waiting)
{
	struct waiting out = {0};
	uint64_t written = writer->data.size - writer->committed_size, left = written;
	struct format_entry first = writer->message, entry;
	uint8_t *data = writer->waiting;
	int r = 0;

	if (!writer_is_pending(writer) || writer->uncut)
		return 0;
	for (size_t i = 0; r >= 0 && i < writer->entry_count; i++) {
		format_read_entry(writer->entries[i], &entry);
		if (i == 0)
			first = entry;
		r = format_is_event(&entry) ? waiting_add_taken_event(&out, &entry)
					    : hand_over_piece(writer, &entry, left, data, &out);
		data += format_data_size(&entry) - left;
		left = 0;
	}
	if (r >= 0 && writer->in_message)
		r = hand_over_piece(writer, &writer->message, left, data, &out);
	if (r < 0) {
		waiting_clear(&out);
		return r;
	}
	waiting_move_all(waiting, &out);
	*waiting = out;
	writer_forget_pending(writer);
	writer->in_message = written > 0;
	writer->message = first;
	writer->message.length = written;
	return 0;
}

/* What is not in either of them was dropped meanwhile: nothing of it stays. Else, from the end, so
 * that no more than a step of it is in both files: the other one is cut behind each. */
int writer_move_message(struct writer *writer, struct writer *to, uint64_t max)
{
	uint64_t base = writer->committed_size;
	CLEANUP_FREE uint8_t *memory = malloc(MOVE_STEP);
	int r = memory ? 0 : -ENOMEM;

	if (r >= 0 && !writer->in_message)
		r = to->in_message ? 0 : appender_cut(&to->data, 0);
	if (r < 0 || !writer->in_message)
		return r < 0 ? r : 1;
	while (r >= 0 && writer->data.size > base && max > 0) {
		size_t size = (size_t)MIN(writer->data.size - base, (uint64_t)MOVE_STEP);
		uint64_t at = writer->data.size - size;
		ssize_t n = io_pread_all(writer->data.fd, memory, size, (off_t)at);

		if (n < (ssize_t)size)
			return n < 0 ? (int)n : -EIO;
		r = io_pwrite_all(to->data.fd, memory, size, (off_t)(at - base));
		if (r >= 0)
			r = appender_cut(&writer->data, at);
		max -= MIN(max, (uint64_t)size);
	}
	if (r < 0 || writer->data.size > base)
		return r;
	to->message = writer->message;
	to->message.offset = 0;
	to->in_message = true;
	writer->in_message = false;
	/* To write goes on behind it. */
	r = appender_go_to(&to->data, writer->message.length);
	return r < 0 ? r : 1;
}

int writer_drop_open_message(struct writer *writer)
{
	uint64_t end = writer->uncut ? writer->data_before : writer->data.size;
	int r;

	if (!writer->in_message)
		return 0;
	writer->in_message = false;
	if (writer->message.offset >= end) {
		runs_cut(&writer->runs, (size_t)(writer->message.offset - end));
		return 0;
	}
	runs_clear(&writer->runs);
	if (!writer->uncut)
		writer->index_before = writer->index.size;
	writer->data_before = writer->message.offset;
	r = writer_take_back(writer);
	writer->broken = io_is_full(r) ? 0 : MIN(r, 0);
	return r;
}

/* Where the file is as it should be, nothing is asked of the disk, which may be full. */
static int cut_to(struct appender *appender, uint64_t size)
{
	return appender->size == size && appender->reserved == 0 ? 0 : appender_cut(appender, size);
}

int writer_give_up(struct writer *writer)
{
	uint64_t index_size = FORMAT_HEADER_SIZE + writer->committed.records * FORMAT_ENTRY_SIZE;
	int r;

	writer_forget_pending(writer);
	writer->uncut = false;
	r = cut_to(&writer->index, index_size);
	if (r >= 0)
		r = cut_to(&writer->data, writer->committed_size);
	writer->broken = MIN(r, 0);
	return writer->broken;
}
