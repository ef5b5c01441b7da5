/*
 * What comes goes into the open segment, which is begun, committed and sealed as it fills.
 *
 * Any of that may find the disk full (ENOSPC), or our share of it used up (EDQUOT). It is no end,
 * but a state: what is in hand waits in memory, first what the writer could not commit, then pieces
 * and events behind it, and nothing more is to come until spool_retry() has written all of it.
 */
#include "spool/spool_state.h"

#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <sys/resource.h>

#define DESCRIPTORS_PER_SEGMENT 2
#define REPLAY_STEP KIB(64)

/* Files without names are held by descriptors, which come back with each acknowledgement. */
static bool lacks_descriptors(const struct spool *spool, int error)
{
	return spool->options.ephemeral && (error == -EMFILE || error == -ENFILE);
}

/* That the disk is full is a state; what else fails is an error. */
int spool_note_full(struct spool *spool, int error)
{
	if (!io_is_full(error) && !lacks_descriptors(spool, error))
		return error;
	spool->full = error;
	return 0;
}

/* Half of all descriptors of the process may be for segments. The rest is for whoever processes
 * them, for connections, and for what the application does besides. */
static bool may_begin_segment(const struct spool *spool)
{
	uint64_t segments = spool->counters.backlog + spool->counters.kept;
	struct rlimit limit;

	if (!spool->options.ephemeral || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return true;
	return limit.rlim_cur == RLIM_INFINITY ||
	       (segments + 1) * DESCRIPTORS_PER_SEGMENT <= limit.rlim_cur / 2;
}

/* The lock gets its note before there is anything to seal, which then needs no room for it. */
static int note_next(struct spool *spool)
{
	int r;

	if (spool->noted || spool->options.ephemeral)
		return 0;
	r = directory_note_seq(&spool->directory, spool->next_seq);
	spool->noted = r >= 0;
	return spool_note_full(spool, r);
}

/* What is left of a segment that did not come to be, where even deleting it found no room. */
static int delete_unmade(struct spool *spool)
{
	int r = 0;

	if (spool->unmade && !spool->options.ephemeral)
		r = segment_delete(spool->directory.fd, spool->unmade_seq, FORMAT_OPEN_SUFFIX);
	spool->unmade = r < 0;
	return r;
}

int spool_make_writer(struct spool *spool, uint64_t first_seq, struct writer **ret_writer)
{
	struct writer_options options = {
		.path = spool->directory.path,
		.dir_fd = spool->directory.fd,
		.first_seq = first_seq,
		.messages_max = spool->options.segment_messages,
		.bytes_max = spool->options.segment_bytes,
		.disk_max = spool->options.disk_max / SPOOL_SEGMENTS_PER_CAP,
		.unnamed = spool->options.ephemeral,
		.named_later = spool->durable != NULL,
		.shares = spool->options.shares,
	};
	int r = first_seq > SPOOL_SEQ_MAX ? -EOVERFLOW : delete_unmade(spool);

	if (r < 0)
		return r;
	if (spool->durable)
		durable_note_names(spool->durable);
	r = writer_open(&options, ret_writer);
	if (r < 0)
		spool_note_unmade(spool, first_seq);
	return r;
}

static int open_segment(struct spool *spool)
{
	int r;

	if (spool->writer)
		return 0;
	r = note_next(spool);
	if (r < 0 || spool->full < 0)
		return r;
	spool->open_since_ns = clock_monotonic_ns();
	if (!may_begin_segment(spool))
		return spool_note_full(spool, -EMFILE);
	spool_keep_room(spool); /* if there was none before */
	spool->full = spool_find_room(spool, SPOOL_SEGMENT_COST);
	if (spool->full < 0)
		return 0;
	return spool_note_full(spool, spool_make_writer(spool, spool->next_seq, &spool->writer));
}

int spool_commit_open(struct spool *spool)
{
	int r;

	if (!spool->writer || spool->full < 0)
		return 0;
	spool->full = spool_fits(spool);
	if (spool->full < 0)
		r = writer_defer(spool->writer);
	else
		r = spool_note_full(spool, writer_commit(spool->writer, spool_spare(spool)));
	if (r >= 0 && spool->full < 0)
		r = writer_hand_over(spool->writer, &spool->waiting);
	spool_note_peak(spool);
	if (r >= 0 && spool->durable)
		r = spool_sync_commit(spool);
	return r;
}

/* The number is noted before the segment can be acknowledged, or the numbers would begin anew in an
 * empty spool. */
static int seal_files(struct spool *spool, uint64_t end_seq)
{
	int r = spool->durable ? durable_wait(spool->durable) : 0;

	if (r >= 0 && !spool->options.ephemeral)
		r = directory_note_seq(&spool->directory, end_seq);
	return r < 0 ? r : writer_seal(spool->writer);
}

/* Turns the open segment, all of which is committed, into a sealed one. */
int spool_seal_committed(struct spool *spool)
{
	CLEANUP(segment_free) struct segment *segment = malloc(sizeof(*segment));
	int r;

	if (!segment)
		return -ENOMEM;
	*segment = writer_committed(spool->writer);
	segment->gapped = spool->gapped;
	r = seal_files(spool, segment->first_seq + segment->records);
	if (r < 0)
		return r;
	segment->disk_bytes = writer_held(spool->writer);
	r = spool_sync_seal(spool);
	writer_give_files(spool->writer, segment);
	writer_free(TAKE_PTR(spool->writer));
	spool->gapped = false;
	spool->sealed_ever += segment->disk_bytes;
	spool->next_seq = segment->first_seq + segment->records;
	spool->done.messages += segment->messages;
	spool->done.bytes += segment->bytes;
	spool->counters.sealed++;
	spool_enqueue(spool, TAKE_PTR(segment));
	spool_pack_more(spool);
	return r;
}

int spool_seal(struct spool *spool)
{
	int committed = spool_commit_open(spool);
	int r = 0;

	if (spool->own || (spool->writer &&
			   (writer_is_pending(spool->writer) || writer_in_message(spool->writer))))
		return committed; /* there was no room */
	if (spool->writer && writer_committed(spool->writer).records == 0) {
		writer_delete(TAKE_PTR(spool->writer)); /* its number is the next segment's */
		spool_note_unmade(spool, spool->next_seq);
	}
	if (spool->writer)
		r = spool_seal_committed(spool);
	/* Without a writer it is sealed, and something else has failed. */
	if (spool->writer)
		r = spool_note_full(spool, r);
	else if (spool->unmade)
		delete_unmade(spool);
	return committed < 0 ? committed : r;
}

/* Takes pieces from number `*at` on, until there is no room or none is left. */
static int append(struct spool *spool, const struct message_batch *batch, size_t *at)
{
	int r = 0;

	while (r >= 0 && *at < batch->count && spool->full == 0) {
		r = open_segment(spool);
		if (r < 0 || spool->full < 0)
			return r;
		writer_append(spool->writer, batch, at);
		if (writer_is_full(spool->writer))
			r = spool_seal(spool);
		else if (*at < batch->count)
			r = spool_commit_open(spool);
	}
	return r;
}

int spool_append(struct spool *spool, const struct message_batch *batch)
{
	size_t at = 0;
	int r = append(spool, batch, &at);

	return r < 0 || at == batch->count ? r : waiting_add(&spool->waiting, batch, at);
}

static int add_event(struct spool *spool, const struct format_entry *event)
{
	int r = spool->full < 0 ? 0 : open_segment(spool);

	if (r >= 0 && spool->full == 0 && !writer_has_room(spool->writer))
		r = spool_commit_open(spool);
	if (r < 0 || spool->full < 0)
		return r;
	r = spool_note_full(spool, writer_add_event(spool->writer, event));
	if (r >= 0 && spool->full == 0)
		spool->gapped |= event->kind == FORMAT_GAP_END;
	return r;
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
	int r;

	if (!spool_has_room_for_event(spool, event->kind)) {
		spool->counters.lost_events++;
		return 0;
	}
	r = add_event(spool, &entry);
	if (r < 0 || spool->full == 0)
		return r;
	r = waiting_add_event(&spool->waiting, &entry);
	spool->counters.lost_events += r == -ENOBUFS;
	return r == -ENOBUFS ? 0 : r;
}

/* Adds one of what waits to the open segment, if there is room. */
static int replay_first(struct spool *spool, const struct waiting_item *item, bool *ret_done)
{
	struct message_batch batch;
	size_t at = 0;
	int r;

	if (item->is_event) {
		r = add_event(spool, &item->event);
		*ret_done = r >= 0 && spool->full == 0;
		return r;
	}
	waiting_batch(item, &batch);
	r = append(spool, &batch, &at);
	*ret_done = at > 0;
	return r;
}

/* Hands on what waits. Its memory is needed until it is committed, or handed over once more, to the
 * front of what is left. It is committed in small steps: where there is room for a part of it, that
 * can be sealed, and make room for the rest. An event must not come into the middle of a message.
 */
static int replay(struct spool *spool)
{
	struct waiting from = spool->waiting, done = {0};
	size_t bytes = 0;
	int r = 0;

	spool->waiting = (struct waiting){0};
	while (r >= 0 && from.first && spool->full == 0) {
		size_t size = from.first->is_event ? 0 : from.first->piece.size;
		bool is_done = false;

		if (from.first->is_event && spool_in_message(spool))
			break;
		if (bytes > 0 && bytes + size > REPLAY_STEP) {
			r = spool_commit_open(spool);
			bytes = 0;
			continue;
		}
		r = replay_first(spool, from.first, &is_done);
		if (!is_done)
			continue;
		bytes += size;
		waiting_move_first(&from, &done);
	}
	if (r >= 0)
		r = spool_commit_open(spool);
	else if (spool->writer) /* nothing of it may be used any more */
		writer_give_up(spool->writer);
	waiting_clear(&done);
	waiting_move_all(&from, &spool->waiting);
	return r;
}

/* What is too much to be written at once is written as far as there is room. */
int spool_commit(struct spool *spool)
{
	int r = spool_commit_open(spool);

	if (r < 0 || !spool->waiting.first)
		return r;
	if (spool->full == SPOOL_AT_CAP || spool->full == SPOOL_AT_MIN_FREE)
		spool->full = 0;
	return replay(spool);
}

bool spool_is_full(const struct spool *spool)
{
	return spool->full < 0;
}

int spool_full_error(const struct spool *spool)
{
	return spool->full;
}

/* What was dropped to make room for what waits is older: its gap stands in front of that. */
static int record_older_loss(struct spool *spool)
{
	bool between = !spool->writer || !writer_is_pending(spool->writer);

	return between && spool->options.may_drop ? spool_record_loss(spool) : 0;
}

int spool_retry(struct spool *spool)
{
	int r;

	if (spool->undeleted)
		spool_unlink_rest(spool);
	if (spool->full == 0)
		return 0;
	if (spool->own) {
		r = spool_move_message(spool);
		if (r < 0 || spool->own)
			return r;
	}
	spool->full = 0;
	r = record_older_loss(spool);
	if (r >= 0)
		r = spool_commit_open(spool);
	if (r >= 0 && spool->full == 0 && spool->writer && writer_is_full(spool->writer))
		r = spool_seal(spool);
	return r < 0 ? r : replay(spool);
}

bool spool_in_message(const struct spool *spool)
{
	if (waiting_has_pieces(&spool->waiting))
		return waiting_in_message(&spool->waiting);
	return spool->writer && writer_in_message(spool->writer);
}

uint64_t spool_open_since_ns(const struct spool *spool)
{
	return spool->writer ? spool->open_since_ns : 0;
}
