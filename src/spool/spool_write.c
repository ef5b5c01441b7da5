/*
 * What comes goes into the open segment, which is begun, committed and sealed as it fills.
 */
#include "spool/spool_state.h"

#include "base/clock.h"

#include <errno.h>

static int open_segment(struct spool *spool)
{
	struct writer_options options = {
		.path = spool->directory.path,
		.dir_fd = spool->directory.fd,
		.first_seq = spool->next_seq,
		.messages_max = spool->options.segment_messages,
		.bytes_max = spool->options.segment_bytes,
		.disk_max = spool->options.disk_max / SPOOL_SEGMENTS_PER_CAP,
		.unnamed = spool->options.ephemeral,
		.named_later = spool->durable != NULL,
	};

	if (spool->writer)
		return 0;
	spool->open_since_ns = clock_monotonic_ns();
	if (spool->durable)
		durable_note_names(spool->durable);
	return writer_open(&options, &spool->writer);
}

/* How much may be reserved ahead of what is written. */
static uint64_t spare(const struct spool *spool)
{
	uint64_t max = spool->options.disk_max, now = spool_held(spool);

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
	spool_note_peak(spool);
	if (r >= 0 && spool->durable)
		r = spool_sync_commit(spool);
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
	r = spool_sync_seal(spool);
	writer_give_files(spool->writer, segment);
	writer_free(TAKE_PTR(spool->writer));
	spool->next_seq = segment->first_seq + segment->records;
	spool->done.messages += segment->messages;
	spool->done.bytes += segment->bytes;
	spool->counters.sealed++;
	spool_enqueue(spool, TAKE_PTR(segment));
	return r;
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
