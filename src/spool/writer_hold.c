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

/* A piece of a message that waits at `data`, which may be all of it. */
static int hand_over_piece(const struct format_entry *entry, uint8_t *data, bool last,
			   struct waiting *to)
{
	struct message_batch batch = {
		.count = 1,
		.time_ns = entry->time_ns,
		.source = entry->source,
		.connection = entry->connection,
		.kernel_time = entry->flags & FORMAT_FLAG_KERNEL_TIME,
	};

	batch.pieces[0] = (struct message_piece){
		.data = data,
		.size = (size_t)entry->length,
		.crc = crc32c(0, data, (size_t)entry->length),
		.kind = entry->kind,
		.first = true,
		.last = last,
	};
	return waiting_add(to, &batch, 0);
}

int writer_pull(struct writer *writer, size_t max)
{
	uint64_t offset = writer->committed_size;
	int r;

	if (writer->uncut || (writer->committed.records == 0 && writer->entry_count == 0) ||
	    writer->data.size == offset || writer->data.size - offset > max)
		return 0;
	r = gather(writer, offset);
	if (r < 0)
		return r;
	writer->data_before = offset;
	writer->index_before = writer->index.size;
	r = writer_take_back(writer);
	return r < 0 && !io_is_full(r) ? r : 1;
}

int writer_hand_over(struct writer *writer, struct waiting *waiting)
{
	struct waiting out = {0};
	uint8_t *data = writer->waiting;
	int r = 0;

	if (!writer_is_pending(writer) || writer->uncut ||
	    writer->committed_size != writer->data.size)
		return 0;
	for (size_t i = 0; r >= 0 && i < writer->entry_count; i++) {
		struct format_entry entry;

		format_read_entry(writer->entries[i], &entry);
		r = format_is_event(&entry) ? waiting_add_taken_event(&out, &entry)
					    : hand_over_piece(&entry, data, true, &out);
		data += format_data_size(&entry);
	}
	if (r >= 0 && writer->in_message)
		r = hand_over_piece(&writer->message, data, false, &out);
	if (r < 0) {
		waiting_clear(&out);
		return r;
	}
	waiting_move_all(waiting, &out);
	*waiting = out;
	writer_forget_pending(writer);
	return 0;
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
