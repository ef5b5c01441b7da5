/*
 * The reader of libweir: a cursor, which takes no lock and changes nothing. Only who asks to own
 * the spool gets it as the next capture would, brought into order and locked, and may acknowledge.
 *
 * Records come from the cursor in batches, and go out one by one.
 */
#include "pipeline/reader_words.h"
#include "spool/cursor.h"
#include "spool/owner.h"
#include "spool/spool.h"
#include "spool/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <weir.h>

#define BATCH 256
#define OWNER_MS 200 /* how often it is asked whether there still is one */

struct weir_reader {
	struct weir_reader_options options;
	char *path;
	int dir_fd, watch_fd;
	struct spool *spool;	 /* when it is ours */
	struct segment *segment; /* the oldest one, when it cannot be acknowledged yet */
	struct cursor *cursor;
	struct record records[BATCH];
	size_t at, count;
	const struct record *last; /* returned last; NULL: none */
	bool ownerless;		   /* it was asked before all was read, and there was none */
	char message[READER_WORDS_SIZE];
};

/* As its owner. Nothing is made where there is no spool. */
static int open_own(struct weir_reader *reader)
{
	struct spool_options options = {.path = reader->path, .segment_bytes = FORMAT_OFFSET_MAX};
	struct listing listing;
	bool is_spool;
	int r = listing_read(reader->dir_fd, &listing);

	if (r < 0)
		return r;
	is_spool = listing.has_lock || listing.count > 0;
	listing_done(&listing);
	if (!is_spool)
		return -EMEDIUMTYPE;
	return spool_open(&options, &reader->spool);
}

static int set_up(struct weir_reader *reader)
{
	int r;

	reader->dir_fd = open(reader->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reader->dir_fd < 0)
		return -errno;
	r = reader->options.own ? open_own(reader) : 0;
	if (r >= 0)
		r = cursor_open(reader->dir_fd, reader->options.live, &reader->cursor);
	if (r >= 0 && !cursor_is_spool(reader->cursor))
		r = -EMEDIUMTYPE;
	if (r >= 0 && reader->options.live)
		reader->watch_fd = watch_open(reader->dir_fd); /* where not, it is looked */
	return r;
}

int weir_reader_open(const char *path, const struct weir_reader_options *options,
		     struct weir_reader **ret_reader)
{
	struct weir_reader *reader;
	int r;

	*ret_reader = NULL;
	if (!path || (options && options->live && options->own))
		return -EINVAL;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	if (options)
		reader->options = *options;
	reader->dir_fd = reader->watch_fd = -1;
	reader->path = strdup(path);
	r = reader->path ? set_up(reader) : -ENOMEM;
	if (r < 0)
		weir_reader_close(reader);
	else
		*ret_reader = reader;
	return r;
}

void weir_reader_close(struct weir_reader *reader)
{
	if (!reader)
		return;
	cursor_free(reader->cursor);
	spool_free(reader->spool);
	close_fdp(&reader->watch_fd);
	close_fdp(&reader->dir_fd);
	free(reader->path);
	free(reader);
}

static void give(const struct record *record, uint64_t skipped, struct weir_record *ret_record)
{
	const struct format_entry *entry = &record->entry;
	bool is_event = format_is_event(entry);

	*ret_record = (struct weir_record){
		.seq = record->seq,
		.time_ns = entry->time_ns,
		.kind = entry->kind,
		.flags = entry->flags,
		.source = entry->source,
		.connection = entry->connection,
		.value = is_event ? entry->length : 0,
		.size = is_event ? 0 : entry->length,
		.payload = record->payload,
		.skipped = skipped,
	};
}

int weir_reader_next(struct weir_reader *reader, struct weir_record *ret_record)
{
	uint64_t skipped = 0;

	if (reader->at == reader->count) {
		ssize_t n = cursor_next_batch(reader->cursor, reader->records, BATCH);

		reader->last = NULL;
		reader->at = 0;
		reader->count = (size_t)MAX(n, (ssize_t)0);
		if (n < 0)
			reader_words_fault(reader->message, reader->path,
					   cursor_fault(reader->cursor), (int)n);
		if (n <= 0)
			return (int)n;
		skipped = cursor_skipped(reader->cursor);
	}
	reader->last = &reader->records[reader->at++];
	give(reader->last, skipped, ret_record);
	return 1;
}

ssize_t weir_reader_payload(struct weir_reader *reader, uint64_t offset, void *data, size_t size)
{
	const struct record *record = reader->last;

	if (!record || format_is_event(&record->entry) || offset >= record->entry.length)
		return 0;
	if (!record->payload)
		return reader_payload(cursor_reader(reader->cursor), offset, data, size);
	size = (size_t)MIN((uint64_t)size, record->entry.length - offset);
	memcpy(data, record->payload + offset, size);
	return (ssize_t)size;
}

static void forget_batch(struct weir_reader *reader)
{
	reader->at = reader->count = 0;
	reader->last = NULL;
}

void weir_reader_seek(struct weir_reader *reader, uint64_t seq)
{
	forget_batch(reader);
	cursor_seek(reader->cursor, seq);
}

int weir_reader_seek_time(struct weir_reader *reader, uint64_t time_ns)
{
	int r = cursor_seek_time(reader->cursor, time_ns);

	if (r >= 0)
		forget_batch(reader);
	return r;
}

int weir_reader_fd(const struct weir_reader *reader)
{
	return reader->watch_fd;
}

static bool has_owner(const struct weir_reader *reader)
{
	struct owner owner;

	return owner_probe(reader->dir_fd, &owner) >= 0 && owner.alive;
}

bool weir_reader_wait(struct weir_reader *reader, int timeout_ms)
{
	int left_ms = timeout_ms;

	if (!reader->options.live)
		return false;
	for (;;) {
		int slice_ms = timeout_ms < 0 ? OWNER_MS : MIN(left_ms, OWNER_MS);

		slice_ms = reader->ownerless ? 0 : slice_ms;
		if (watch_wait(reader->watch_fd, slice_ms)) {
			reader->ownerless = false;
			return true;
		}
		if (reader->ownerless)
			return false;
		reader->ownerless = !has_owner(reader);
		left_ms -= slice_ms;
		if (reader->ownerless || (timeout_ms >= 0 && left_ms <= 0))
			return true;
	}
}

int weir_reader_ack(struct weir_reader *reader, uint64_t seq)
{
	return reader->spool ? spool_ack_up_to(reader->spool, seq) : -EPERM;
}

const char *weir_reader_message(const struct weir_reader *reader)
{
	return reader->message;
}
