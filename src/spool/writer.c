/*
 * The way of a message to the disk. Its payload stands in the receive buffer, behind its frame
 * header. It is moved down to the end of the payload before it, and gets a separator where the next
 * header was: after a buffer of messages there is one run of bytes that looks just like the data
 * file, and goes there by one write. Then follow the index entries of all of them, by another.
 *
 * The order is what makes a crash harmless: an entry is written after what it points to, and data
 * without an entry does not count. A message that is larger than the buffer is written as it comes,
 * and gets its entry at the end, or is cut off again.
 */
#include "spool/writer.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/macro.h"
#include "spool/appender.h"

#include <errno.h>
#include <string.h>
#include <tempfile.h>

#define ENTRIES_MAX 16384 /* half a MiB, as many as a full buffer of small messages has */

struct writer {
	struct writer_options options;
	struct tempfile *data_file, *index_file;
	struct appender data, index;
	struct segment committed, pending; /* pending: with what is not written yet */
	uint64_t committed_size;	   /* of the data that committed messages take */
	uint8_t *run;			   /* compacted, not written yet */
	size_t run_size;
	int broken; /* −errno: the files may hold more than was committed */
	bool in_message;
	struct format_entry message; /* the one that is open */
	uint32_t message_crc;
	size_t entry_count;
	uint8_t entries[ENTRIES_MAX][FORMAT_ENTRY_SIZE];
};

static int open_file(const struct writer *writer, const char *suffix, struct tempfile **ret_file)
{
	char name[FORMAT_NAME_SIZE];

	format_name(name, writer->options.first_seq, suffix);
	return tempfile_open(ret_file, .dir = writer->options.path, .name = name,
			     .deletion = TEMPFILE_DELETE_NEVER);
}

static void delete_files(struct writer *writer)
{
	char name[FORMAT_NAME_SIZE];
	uint64_t seq = writer->options.first_seq;

	unlinkat(writer->options.dir_fd, format_name(name, seq, FORMAT_DATA_SUFFIX), 0);
	unlinkat(writer->options.dir_fd, format_name(name, seq, FORMAT_OPEN_SUFFIX), 0);
}

void writer_delete(struct writer *writer)
{
	delete_files(writer);
	writer_free(writer);
}

static int open_files(struct writer *writer)
{
	uint8_t header[FORMAT_HEADER_SIZE];
	int r = open_file(writer, FORMAT_DATA_SUFFIX, &writer->data_file);

	if (r < 0)
		return r;
	r = open_file(writer, FORMAT_OPEN_SUFFIX, &writer->index_file);
	if (r >= 0) {
		writer->data.fd = tempfile_fd(writer->data_file);
		writer->index.fd = tempfile_fd(writer->index_file);
		format_write_header(header, &(struct format_header){
						    .first_seq = writer->options.first_seq,
						    .created_ns = clock_realtime_ns(),
					    });
		r = appender_write(&writer->index, header, sizeof(header), 0);
	}
	if (r < 0)
		delete_files(writer);
	return r;
}

DEFINE_CLEANUP(struct writer *, writer_free);

int writer_open(const struct writer_options *options, struct writer **ret_writer)
{
	CLEANUP(writer_free) struct writer *writer = malloc(sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	memset(writer, 0, offsetof(struct writer, entries));
	writer->options = *options;
	writer->committed.first_seq = options->first_seq;
	writer->committed.counted = true;
	writer->pending = writer->committed;
	r = open_files(writer);
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
	free(writer);
}

static inline void add_entry(struct writer *writer, const struct format_entry *entry, uint32_t crc)
{
	format_write_entry(writer->entries[writer->entry_count++], entry, crc);
	writer->pending.records++;
}

static inline void end_message(struct writer *writer, const struct format_entry *entry,
			       uint32_t crc)
{
	struct segment *pending = &writer->pending;

	writer->run[writer->run_size++] = FORMAT_SEPARATOR;
	if (pending->messages++ == 0)
		pending->first_time_ns = entry->time_ns;
	pending->last_time_ns = entry->time_ns;
	pending->bytes += entry->length;
	add_entry(writer, entry, crc);
}

/* Moves a payload to the end of the run, and continues its checksum. The gap between the two grows
 * with every header that is left out, so that they soon do not overlap any more. */
static inline uint32_t move_payload(struct writer *writer, const struct message_piece *piece,
				    uint32_t crc)
{
	uint8_t *to = writer->run + writer->run_size;

	writer->run_size += piece->size;
	if (to + piece->size <= piece->data)
		return crc32c_copy(crc, to, piece->data, piece->size);
	crc = crc32c(crc, piece->data, piece->size);
	memmove(to, piece->data, piece->size);
	return crc;
}

static inline struct format_entry begin_entry(const struct writer *writer,
					      const struct message_piece *piece,
					      const struct message_batch *batch)
{
	return (struct format_entry){
		.offset = writer->data.size + writer->run_size,
		.length = piece->size,
		.time_ns = batch->time_ns,
		.kind = piece->kind,
		.connection = batch->connection,
	};
}

/* Nearly every message comes in one piece: its entry never needs to leave the registers. */
static inline void append_whole(struct writer *writer, const struct message_piece *piece,
				const struct message_batch *batch)
{
	struct format_entry entry = begin_entry(writer, piece, batch);
	uint32_t crc = move_payload(writer, piece, 0);

	end_message(writer, &entry, crc);
}

static void append_part(struct writer *writer, const struct message_piece *piece,
			const struct message_batch *batch)
{
	if (piece->first) {
		writer->message = begin_entry(writer, piece, batch);
		writer->message_crc = 0;
	} else {
		writer->message.length += piece->size;
		writer->message.time_ns = batch->time_ns;
	}
	writer->message_crc = move_payload(writer, piece, writer->message_crc);
	writer->in_message = !piece->last;
	if (piece->last)
		end_message(writer, &writer->message, writer->message_crc);
}

int writer_append(struct writer *writer, const struct message_batch *batch, uint8_t *scratch,
		  size_t *at)
{
	for (; *at < batch->count && !writer_is_full(writer); ++*at) {
		if (writer->entry_count == ENTRIES_MAX) {
			int r = writer_commit(writer, 0);

			if (r < 0)
				return r;
		}
		if (!writer->run)
			writer->run = scratch;
		if (batch->pieces[*at].first && batch->pieces[*at].last)
			append_whole(writer, &batch->pieces[*at], batch);
		else
			append_part(writer, &batch->pieces[*at], batch);
	}
	return 0;
}

int writer_add_event(struct writer *writer, const struct format_entry *event)
{
	struct format_entry entry = *event;

	if (writer->entry_count == ENTRIES_MAX) {
		int r = writer_commit(writer, 0);

		if (r < 0)
			return r;
	}
	entry.offset = writer->data.size + writer->run_size;
	add_entry(writer, &entry, 0);
	return 0;
}

/* Back to what was committed. */
static void roll_back(struct writer *writer)
{
	uint64_t index_size = FORMAT_HEADER_SIZE + writer->committed.records * FORMAT_ENTRY_SIZE;
	int r;

	writer->run = NULL;
	writer->run_size = 0;
	writer->entry_count = 0;
	writer->in_message = false;
	writer->pending = writer->committed;
	r = appender_cut(&writer->index, index_size);
	if (r >= 0)
		r = appender_cut(&writer->data, writer->committed_size);
	writer->broken = MIN(r, 0);
}

int writer_commit(struct writer *writer, uint64_t spare)
{
	int r = 0;

	if (writer->run_size > 0)
		r = appender_write(&writer->data, writer->run, writer->run_size, spare);
	if (r >= 0 && writer->entry_count > 0)
		r = appender_write(&writer->index, writer->entries,
				   writer->entry_count * FORMAT_ENTRY_SIZE, spare / 4);
	if (r < 0) {
		roll_back(writer);
		return r;
	}
	writer->run = NULL;
	writer->run_size = 0;
	writer->entry_count = 0;
	writer->committed = writer->pending;
	writer->committed_size = writer->in_message ? writer->message.offset : writer->data.size;
	return 0;
}

int writer_drop_open_message(struct writer *writer)
{
	if (!writer->in_message)
		return 0;
	writer->in_message = false;
	if (writer->message.offset >= writer->data.size) {
		writer->run_size = (size_t)(writer->message.offset - writer->data.size);
		return 0;
	}
	writer->run_size = 0;
	return appender_cut(&writer->data, writer->message.offset);
}

bool writer_in_message(const struct writer *writer)
{
	return writer->in_message;
}

bool writer_is_full(const struct writer *writer)
{
	const struct writer_options *options = &writer->options;

	if (writer->in_message)
		return false;
	if (options->disk_max > 0 &&
	    writer->data.size + writer->run_size + writer->pending.records * FORMAT_ENTRY_SIZE >=
		    options->disk_max)
		return true;
	return writer->data.size + writer->run_size >= options->bytes_max ||
	       (options->messages_max > 0 && writer->pending.messages >= options->messages_max);
}

uint64_t writer_held(const struct writer *writer)
{
	return appender_held(&writer->data) + appender_held(&writer->index);
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

int writer_seal(struct writer *writer)
{
	char from[FORMAT_NAME_SIZE], to[FORMAT_NAME_SIZE];
	uint64_t seq = writer->options.first_seq;
	int dir_fd = writer->options.dir_fd;

	if (writer->broken < 0)
		return writer->broken;
	/* Failing that, a little space stays reserved until the segment is acknowledged. */
	appender_trim(&writer->data);
	appender_trim(&writer->index);
	if (renameat(dir_fd, format_name(from, seq, FORMAT_OPEN_SUFFIX), dir_fd,
		     format_name(to, seq, FORMAT_INDEX_SUFFIX)) < 0)
		return -errno;
	return 0;
}
