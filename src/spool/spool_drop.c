/*
 * Messages for which there is no room may be dropped: new ones, of which we are told here, or those
 * of the oldest segment. Either way their number and times are noted, and go on record as one gap
 * as soon as something is written again. A segment that is dropped may hold such gaps itself; they
 * are taken over, so that the record always tells of all that is missing in front of it.
 *
 * A disk that is full at the end has no room for that gap either. So a file without a name takes it
 * from the beginning, and gives it back then.
 */
#include "spool/spool_state.h"

#include "base/io.h"
#include "spool/input.h"

#include <errno.h>
#include <tempfile.h>

#define ENTRIES_AT_ONCE 2048

void spool_note_loss(struct spool *spool, const struct loss *loss)
{
	loss_add(&spool->loss, loss);
	spool->counters.dropped_messages += loss->messages;
	spool->counters.dropped_bytes += loss->bytes;
}

static bool is_our_gap(const struct format_entry *entry)
{
	return entry->kind == FORMAT_GAP &&
	       (entry->flags & FORMAT_FLAG_CAUSE_MASK) == FORMAT_FLAG_CAUSE(FORMAT_CAUSE_DROPPED);
}

/* What the entries of one segment tell. */
struct tally {
	struct loss messages;	 /* that it holds, */
	struct loss gaps;	 /* and that it says were dropped before */
	uint64_t events;	 /* the others */
	struct format_entry gap; /* whose end is the next entry; kind 0: none */
};

static void count_entry(struct tally *tally, const struct format_entry *entry)
{
	struct loss loss = {
		.messages = 1,
		.bytes = entry->length,
		.first_ns = entry->time_ns,
		.last_ns = entry->time_ns,
		.source = entry->source,
	};

	if (entry->kind == FORMAT_GAP_END && tally->gap.kind) {
		loss.messages = tally->gap.length;
		loss.first_ns = tally->gap.time_ns;
		loss_add(&tally->gaps, &loss);
	} else if (!format_is_event(entry)) {
		loss_add(&tally->messages, &loss);
	} else {
		tally->events += !is_our_gap(entry);
	}
	tally->gap = is_our_gap(entry) ? *entry : (struct format_entry){0};
}

/* Reads the entries alone, from an index that is open. */
static int count_entries(struct input *index, struct tally *tally)
{
	uint8_t entries[ENTRIES_AT_ONCE][FORMAT_ENTRY_SIZE];
	uint64_t at = FORMAT_HEADER_SIZE;
	ssize_t n;

	do {
		n = input_read(index, at, entries, sizeof(entries));
		for (ssize_t i = 0; i < n / FORMAT_ENTRY_SIZE; i++) {
			struct format_entry entry;

			format_read_entry(entries[i], &entry);
			count_entry(tally, &entry);
		}
		at += sizeof(entries);
	} while (n == (ssize_t)sizeof(entries));
	return n < 0 ? (int)n : 0;
}

static int count_in_index(const struct spool *spool, const struct segment *segment,
			  struct tally *tally)
{
	CLEANUP(input_done) struct input index = {.fd = -1};
	int dir_fd = spool->directory.fd, r;

	if (segment->packed)
		r = input_open_packed(&index, dir_fd, segment->first_seq, FORMAT_INDEX_SUFFIX);
	else
		r = segment_open_file(dir_fd, segment, FORMAT_INDEX_SUFFIX, &index.fd);
	return r < 0 ? r : count_entries(&index, tally);
}

/* What a segment holds. One that cannot be read is gone all the same, with what it is known to have
 * held at most. */
static struct tally take_stock(const struct spool *spool, const struct segment *segment)
{
	struct tally tally = {.messages = {
				      .messages = segment->messages,
				      .bytes = segment->bytes,
				      .first_ns = segment->first_time_ns,
				      .last_ns = segment->last_time_ns,
				      .source = FORMAT_SOURCE_ANY,
			      }};
	struct tally counted = {.gap = {.kind = 0}};

	if (segment->counted && !segment->gapped)
		return tally;
	if (count_in_index(spool, segment, &counted) >= 0)
		return counted;
	if (!segment->counted)
		tally.messages.messages = segment->records;
	return tally;
}

/* The place where the oldest segment that may be dropped is linked. */
static struct segment **find_oldest(struct spool *spool)
{
	struct segment **oldest = spool->first ? &spool->first : NULL;

	for (struct segment **at = &spool->kept; *at; at = &(*at)->next)
		if (!oldest || (*at)->first_seq < (*oldest)->first_seq)
			oldest = at;
	return oldest;
}

static struct segment *unlink_oldest(struct spool *spool)
{
	struct segment **at = find_oldest(spool), *segment;

	if (!at || !spool_may_delete(spool, *at) || !spool_leave_packing(spool, *at))
		return NULL;
	segment = *at;
	spool_drop_view(spool, segment);
	*at = segment->next;
	if (at == &spool->first) {
		if (!spool->first)
			spool->end = &spool->first;
		spool->counters.backlog--;
	} else {
		spool->counters.kept--;
	}
	return segment;
}

int spool_drop_oldest(struct spool *spool)
{
	struct segment *segment;
	struct tally tally;
	int r = spool->undeleted ? spool_unlink_rest(spool) : 0;

	if (r < 0) /* no use to wait for more room of the same kind */
		return io_is_full(r) ? 0 : r;
	segment = unlink_oldest(spool);
	if (!segment)
		return 0;
	tally = take_stock(spool, segment);
	r = spool_unlink(spool, segment);
	if (r < 0)
		return r;
	tally.messages.source = FORMAT_SOURCE_ANY;
	spool_note_loss(spool, &tally.messages);
	loss_add(&spool->loss, &tally.gaps);
	return 1;
}

/* What waits in the writer, and is whole. */
static void count_pending(const struct spool *spool, struct tally *tally)
{
	struct format_entry entry;

	for (size_t i = 0; spool->writer && writer_pending_entry(spool->writer, i, &entry); i++)
		count_entry(tally, &entry);
}

void spool_note_waiting(struct spool *spool)
{
	struct tally tally = {.gap = {.kind = 0}};

	count_pending(spool, &tally);
	waiting_count(&spool->waiting, &tally.messages);
	if (tally.messages.messages > 0 && spool->writer && !writer_is_pending(spool->writer))
		tally.messages.bytes += writer_open_size(spool->writer);
	spool_note_loss(spool, &tally.messages);
}

void spool_recall_loss(struct spool *spool)
{
	struct tally tally = {.gap = {.kind = 0}};

	if (spool->full < 0) /* else nothing of that is forgotten */
		count_pending(spool, &tally);
	for (const struct waiting_item *item = spool->waiting.first; item; item = item->next)
		if (item->is_event)
			count_entry(&tally, &item->event);
	loss_add(&spool->loss, &tally.gaps);
	spool->counters.lost_events += tally.events;
}

void spool_keep_room(struct spool *spool)
{
	bool wanted = spool->options.may_lose || spool->options.may_drop;
	uint64_t needed = SPOOL_LAST_GAP_COST + SPOOL_SEGMENT_COST; /* and a gap fits before it */

	if (!wanted || spool->kept_room || spool_find_room(spool, needed) < 0 ||
	    tempfile_open_anonymous(&spool->kept_room, .dir_fd = &spool->directory.fd) < 0)
		return;
	if (tempfile_reserve(spool->kept_room, SPOOL_LAST_GAP_COST) < 0)
		tempfile_close(&spool->kept_room);
	spool->free.ns = 0; /* it is to be looked at again */
}

bool spool_has_loss(const struct spool *spool)
{
	return spool->loss.messages > 0;
}

int spool_record_loss(struct spool *spool)
{
	struct loss loss = spool->loss;
	struct spool_event event = {
		.kind = FORMAT_GAP,
		.flags = FORMAT_FLAG_CAUSE(FORMAT_CAUSE_DROPPED),
		.source = loss.source,
		.value = loss.messages,
		.time_ns = loss.first_ns,
	};
	int r;

	if (loss.messages == 0 || spool->full < 0 ||
	    (spool->writer && writer_in_message(spool->writer)) ||
	    !spool_has_room_for_event(spool, FORMAT_GAP))
		return 0;
	spool->loss = (struct loss){0};
	r = spool_add_event(spool, &event);
	event.kind = FORMAT_GAP_END;
	event.flags = 0;
	event.value = loss.bytes;
	event.time_ns = loss.last_ns;
	return r < 0 ? r : spool_add_event(spool, &event);
}

int spool_record_last_loss(struct spool *spool)
{
	if (spool_has_loss(spool))
		tempfile_close(&spool->kept_room);
	spool->free.ns = 0;
	return spool_record_loss(spool);
}

int spool_give_up(struct spool *spool)
{
	int r = 0, moved = 0;

	spool_recall_loss(spool);
	waiting_clear(&spool->waiting);
	if (spool->full == 0)
		return 0;
	if (spool->writer)
		r = writer_give_up(spool->writer);
	if (spool->own)
		moved = spool_stop_moving(spool);
	spool->full = 0;
	return r < 0 ? r : moved;
}

/* A message whose end waits is not open, though its writer has not seen that end. */
int spool_drop_open_message(struct spool *spool)
{
	int r = 0;

	if (!spool_in_message(spool))
		return 0;
	if (waiting_in_message(&spool->waiting) && waiting_drop_open_message(&spool->waiting))
		return 0;
	if (spool->writer)
		r = spool_note_full(spool, writer_drop_open_message(spool->writer));
	if (r >= 0 && spool->own)
		r = spool_note_full(spool, writer_drop_open_message(spool->own));
	return r;
}
