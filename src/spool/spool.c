/*
 * The spool itself: which segment is written, which ones wait, which are with a processor, and how
 * much disk they hold together. What is in a segment is the writer's business, what is in a
 * directory that somebody else left is recover's.
 */
#include "spool/spool.h"

#include "base/clock.h"
#include "base/macro.h"
#include "spool/appender.h"
#include "spool/directory.h"
#include "spool/listing.h"
#include "spool/recover.h"
#include "spool/writer.h"

#include <errno.h>
#include <string.h>

/* What a message, a segment and all else can cost at most, in disk space. An empty message comes in
 * two bytes, and takes a separator and an index entry; a segment has two files that may each end
 * within a block. */
#define MESSAGE_WIRE_MIN 2
#define MESSAGE_COST ((uint64_t)FORMAT_ENTRY_SIZE + 1)
#define SEGMENT_COST ((uint64_t)2 * APPENDER_BLOCK)
#define OTHER_COST KIB(64) /* events, the directory */
#define SEGMENTS_PER_CAP 4 /* so that one can be written while others are processed */

struct spool {
	struct spool_options options;
	struct spool_directory directory;
	struct writer *writer; /* NULL: no segment is open */
	uint64_t open_since_ns;
	uint64_t next_seq;	      /* of the next segment */
	struct segment *first, **end; /* sealed, not taken */
	struct segment *held;	      /* kept, and without names: only we can keep them */
	uint64_t sealed_bytes; /* disk space of all sealed segments, taken and kept ones too */
	struct segment done;   /* totals over all segments that this run has sealed */
	struct spool_counters counters;
};

static uint64_t held(const struct spool *spool)
{
	return spool->sealed_bytes + (spool->writer ? writer_held(spool->writer) : 0);
}

static void note_peak(struct spool *spool)
{
	spool->counters.peak_bytes = MAX(spool->counters.peak_bytes, held(spool));
}

static void enqueue(struct spool *spool, struct segment *segment)
{
	segment->next = NULL;
	*spool->end = segment;
	spool->end = &segment->next;
	spool->sealed_bytes += segment->disk_bytes;
	spool->counters.backlog++;
}

/* Queues a segment that was there when the spool was opened. */
static int enqueue_found(struct spool *spool, const struct listing_entry *found)
{
	CLEANUP(segment_free) struct segment *segment = calloc(1, sizeof(*segment));
	int r;

	if (!segment)
		return -ENOMEM;
	segment->first_seq = found->first_seq;
	r = directory_measure(&spool->directory, segment);
	if (r < 0)
		return r;
	spool->next_seq = MAX(spool->next_seq, segment->first_seq + segment->records);
	enqueue(spool, TAKE_PTR(segment));
	return 0;
}

static int take_over(struct spool *spool)
{
	CLEANUP(listing_done) struct listing listing = {0};
	int r = listing_read(spool->directory.fd, &listing);

	spool->next_seq = directory_noted_seq(&spool->directory);
	for (size_t i = 0; r >= 0 && i < listing.count; i++) {
		r = recover_segment(spool->directory.fd, &listing.entries[i]);
		if (r >= 0 && listing.entries[i].sealed)
			r = enqueue_found(spool, &listing.entries[i]);
	}
	note_peak(spool);
	return r;
}

/* Finds or makes the directory, with what an earlier run has left in it. */
static int open_directory(struct spool *spool)
{
	const struct spool_options *options = &spool->options;
	int r;

	if (options->ephemeral)
		return directory_borrow(&spool->directory, options->dir);
	if (options->path)
		r = directory_open(&spool->directory, options->path);
	else
		r = directory_make(&spool->directory, options->dir, options->prefix,
				   options->suffix);
	return r < 0 ? r : take_over(spool);
}

int spool_open(const struct spool_options *options, struct spool **ret_spool)
{
	CLEANUP(spool_free) struct spool *spool = calloc(1, sizeof(*spool));
	int r;

	if (!spool)
		return -ENOMEM;
	spool->options = *options;
	spool->end = &spool->first;
	directory_init(&spool->directory);
	if (options->disk_max > 0)
		spool->options.segment_bytes =
			MIN(options->segment_bytes, options->disk_max / SEGMENTS_PER_CAP);
	r = open_directory(spool);
	if (r < 0)
		return r;
	*ret_spool = TAKE_PTR(spool);
	return 0;
}

static void free_list(struct segment *first)
{
	while (first) {
		struct segment *segment = first;

		first = segment->next;
		segment_free(segment);
	}
}

void spool_free(struct spool *spool)
{
	if (!spool)
		return;
	writer_free(spool->writer);
	free_list(spool->first);
	free_list(spool->held);
	directory_done(&spool->directory);
	free(spool);
}

int spool_remove(struct spool *spool)
{
	if (spool->options.path || spool->options.ephemeral || spool->writer ||
	    spool->sealed_bytes > 0)
		return 0;
	return directory_remove(&spool->directory);
}

const char *spool_path(const struct spool *spool)
{
	return spool->directory.path;
}

int spool_dir_fd(const struct spool *spool)
{
	return spool->directory.fd;
}

static int open_segment(struct spool *spool)
{
	struct writer_options options = {
		.path = spool->directory.path,
		.dir_fd = spool->directory.fd,
		.first_seq = spool->next_seq,
		.messages_max = spool->options.segment_messages,
		.bytes_max = spool->options.segment_bytes,
		.disk_max = spool->options.disk_max / SEGMENTS_PER_CAP,
		.unnamed = spool->options.ephemeral,
	};

	if (spool->writer)
		return 0;
	spool->open_since_ns = clock_monotonic_ns();
	return writer_open(&options, &spool->writer);
}

/* How much may be reserved ahead of what is written. */
static uint64_t spare(const struct spool *spool)
{
	uint64_t max = spool->options.disk_max, now = held(spool);

	if (max == 0)
		return UINT64_MAX;
	return now < max ? (max - now) / 2 : 0;
}

int spool_commit(struct spool *spool)
{
	int r;

	if (!spool->writer)
		return 0;
	r = writer_commit(spool->writer, spare(spool));
	note_peak(spool);
	return r;
}

int spool_append(struct spool *spool, const struct message_batch *batch)
{
	size_t at = 0;

	while (at < batch->count) {
		int r = open_segment(spool);

		if (r < 0)
			return r;
		writer_append(spool->writer, batch, &at);
		if (writer_is_full(spool->writer))
			r = spool_seal(spool);
		else if (at < batch->count)
			r = spool_commit(spool);
		if (r < 0)
			return r;
	}
	return 0;
}

int spool_add_event(struct spool *spool, const struct spool_event *event)
{
	struct format_entry entry = {
		.length = event->value,
		.time_ns = event->time_ns > 0 ? event->time_ns : clock_realtime_ns(),
		.kind = (uint8_t)event->kind,
		.flags = event->flags,
		.source = event->source,
		.connection = event->connection,
	};
	int r = open_segment(spool);

	return r < 0 ? r : writer_add_event(spool->writer, &entry);
}

int spool_drop_open_message(struct spool *spool)
{
	return spool->writer ? writer_drop_open_message(spool->writer) : 0;
}

bool spool_in_message(const struct spool *spool)
{
	return spool->writer && writer_in_message(spool->writer);
}

/* Turns the open segment, all of which is committed, into a sealed one. */
static int seal_committed(struct spool *spool)
{
	CLEANUP(segment_free) struct segment *segment = malloc(sizeof(*segment));
	int r = 0;

	if (!segment)
		return -ENOMEM;
	*segment = writer_committed(spool->writer);
	/* Before it can be acknowledged, or the numbers would begin anew in an empty spool. */
	if (!spool->options.ephemeral)
		r = directory_note_seq(&spool->directory, segment->first_seq + segment->records);
	if (r >= 0)
		r = writer_seal(spool->writer);
	if (r < 0)
		return r;
	segment->disk_bytes = writer_held(spool->writer);
	writer_give_files(spool->writer, segment);
	writer_free(TAKE_PTR(spool->writer));
	spool->next_seq = segment->first_seq + segment->records;
	spool->done.messages += segment->messages;
	spool->done.bytes += segment->bytes;
	spool->counters.sealed++;
	enqueue(spool, TAKE_PTR(segment));
	return 0;
}

int spool_seal(struct spool *spool)
{
	int committed = spool_commit(spool);
	int r = 0;

	if (spool->writer && writer_committed(spool->writer).records == 0) {
		writer_delete(TAKE_PTR(spool->writer)); /* its number is the next segment's */
		return committed;
	}
	if (spool->writer)
		r = seal_committed(spool);
	return committed < 0 ? committed : r;
}

uint64_t spool_open_since_ns(const struct spool *spool)
{
	return spool->writer ? spool->open_since_ns : 0;
}

/* The most disk space that a received byte can lead to, or one that is made of compressed ones: an
 * empty message is three of the former and its separator. (It may be made when its bytes are gone
 * already, but that is one message, for which there is OTHER_COST.) No message is in two segments,
 * so that there are at most as many segments as messages. */
static uint64_t cost_per_byte(const struct spool *spool)
{
	const struct spool_options *options = &spool->options;
	uint64_t segments = SEGMENT_COST / options->segment_bytes + 1;

	if (options->segment_messages > 0)
		segments += SEGMENT_COST / (options->segment_messages * MESSAGE_WIRE_MIN) + 1;
	return MESSAGE_COST / MESSAGE_WIRE_MIN + 1 +
	       MIN(segments, SEGMENT_COST / MESSAGE_WIRE_MIN + 1);
}

size_t spool_room(const struct spool *spool, uint64_t reserved)
{
	uint64_t used = held(spool) + reserved + OTHER_COST, max = spool->options.disk_max;
	uint64_t room;

	if (max == 0)
		return SIZE_MAX;
	room = used < max ? (max - used) / cost_per_byte(spool) : 0;
	return room < SPOOL_ROOM_MIN ? 0 : (size_t)MIN(room, (uint64_t)SIZE_MAX);
}

struct segment *spool_take(struct spool *spool)
{
	struct segment *segment = spool->first;

	if (!segment)
		return NULL;
	spool->first = segment->next;
	if (!spool->first)
		spool->end = &spool->first;
	segment->next = NULL;
	return segment;
}

int spool_ack(struct spool *spool, struct segment *segment)
{
	uint64_t bytes = segment->disk_bytes;
	int r = segment_ack(spool->directory.fd, segment);

	if (r >= 0)
		spool->sealed_bytes -= bytes;
	spool->counters.acked++;
	spool->counters.backlog--;
	return r;
}

void spool_keep(struct spool *spool, struct segment *segment)
{
	spool->counters.kept++;
	spool->counters.backlog--;
	if (!segment->data_file)
		return segment_free(segment);
	segment->next = spool->held;
	spool->held = segment;
}

int spool_open_data(const struct spool *spool, const struct segment *segment, int *ret_fd)
{
	if (!segment)
		return spool->writer ? writer_open_data(spool->writer, ret_fd) : -ENOENT;
	return segment_open_file(spool->directory.fd, segment, FORMAT_DATA_SUFFIX, ret_fd);
}

bool spool_view_open(const struct spool *spool, struct spool_view *ret_view)
{
	if (!spool->writer)
		return false;
	ret_view->first_seq = spool->next_seq;
	ret_view->data_size = writer_data_size(spool->writer);
	return true;
}

struct spool_counters spool_counters(const struct spool *spool)
{
	struct spool_counters counters = spool->counters;
	struct segment open = {0};

	if (spool->writer)
		open = writer_committed(spool->writer);
	counters.messages = spool->done.messages + open.messages;
	counters.bytes = spool->done.bytes + open.bytes;
	counters.held_bytes = held(spool);
	return counters;
}
