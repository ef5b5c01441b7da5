/*
 * The spool itself: which segment is written, which ones wait, which are with a processor, and how
 * much disk they hold together. What is in a segment is the writer's business, what is in a
 * directory that somebody else left is recover's.
 */
#include "spool/spool_state.h"

#include "base/io.h"
#include "spool/space.h"

#include <errno.h>

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
	return r < 0 ? r : spool_take_over(spool);
}

/* What else is in the directory counts as well. The files of the segments that are queued have been
 * looked at; where there are more of them, some could not be queued. */
static int measure_others(struct spool *spool)
{
	struct space space;
	int r;

	if (spool->options.disk_max == 0 || spool->options.ephemeral)
		return 0;
	r = space_of_others(spool->directory.fd, &space);
	if (r >= 0 && space.segments != spool->counters.backlog) {
		r = space_of_all(spool->directory.fd, &space);
		space.bytes -= r < 0 ? 0 : MIN(space.bytes, spool->sealed_bytes);
	}
	if (r >= 0)
		spool->other_bytes = space.bytes;
	return r;
}

static int begin(struct spool *spool)
{
	int r = open_directory(spool);

	if (r >= 0)
		r = spool_begin_sync(spool);
	if (r >= 0)
		r = spool_begin_packing(spool);
	if (r >= 0)
		r = measure_others(spool);
	if (r >= 0)
		spool_keep_room(spool);
	return r;
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
			MIN(options->segment_bytes, options->disk_max / SPOOL_SEGMENTS_PER_CAP);
	r = begin(spool);
	if (r < 0) {
		if (spool->directory.path)
			spool_remove(spool); /* it is of no use to anybody */
		return r;
	}
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
	durable_free(spool->durable);
	packer_free(spool->packing.packer);
	writer_free(spool->writer);
	writer_free(spool->own);
	tempfile_close(&spool->kept_room);
	free_list(spool->acked);
	free_list(spool->undeleted);
	waiting_clear(&spool->waiting);
	free_list(spool->first);
	free_list(spool->kept);
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

static struct segment *take_first(struct spool *spool)
{
	struct segment *segment = spool->first;

	spool->first = segment->next;
	if (!spool->first)
		spool->end = &spool->first;
	segment->next = NULL;
	return segment;
}

struct segment *spool_take(struct spool *spool)
{
	struct segment *segment = spool->first;

	if (!segment || !spool_may_take(spool, segment) || !spool_is_plain(spool, segment) ||
	    !spool_leave_packing(spool, segment))
		return NULL;
	take_first(spool);
	spool_pack_more(spool);
	return segment;
}

bool spool_has_waiting(const struct spool *spool)
{
	return spool->first != NULL;
}

int spool_unlink(struct spool *spool, struct segment *segment)
{
	uint64_t bytes = segment->disk_bytes;
	int r = segment_ack(spool->directory.fd, segment);

	if (spool->durable)
		durable_note_names(spool->durable);
	if (io_is_full(r)) {
		segment->next = spool->undeleted;
		spool->undeleted = segment;
		return 0;
	}
	if (r >= 0)
		spool->sealed_bytes -= bytes;
	return r;
}

int spool_unlink_rest(struct spool *spool)
{
	struct segment *rest = TAKE_PTR(spool->undeleted);
	int error = 0;

	while (rest) {
		struct segment *segment = rest;
		int r;

		rest = segment->next;
		r = spool_unlink(spool, segment);
		error = error < 0 ? error : r;
	}
	return error < 0 || !spool->undeleted ? error : -ENOSPC;
}

int spool_delete(struct spool *spool, struct segment *segment)
{
	spool->counters.acked++;
	spool->counters.backlog--;
	if (spool->undeleted)
		spool_unlink_rest(spool);
	return spool_unlink(spool, segment);
}

int spool_ack(struct spool *spool, struct segment *segment)
{
	spool_drop_view(spool, segment);
	if (spool_may_delete(spool, segment))
		return spool_delete(spool, segment);
	segment->next = spool->acked;
	spool->acked = segment;
	return 0;
}

void spool_keep_waiting(struct spool *spool)
{
	while (spool->first && spool_leave_packing(spool, spool->first))
		spool_keep(spool, take_first(spool));
}

int spool_ack_up_to(struct spool *spool, uint64_t seq)
{
	int r = 0;

	while (r >= 0 && spool->first) {
		const struct segment *segment = spool->first;

		if (segment->records > 0 && segment->first_seq + (segment->records - 1) > seq)
			break;
		r = spool_ack(spool, take_first(spool));
	}
	return r;
}

void spool_keep(struct spool *spool, struct segment *segment)
{
	spool->counters.kept++;
	spool->counters.backlog--;
	spool_drop_view(spool, segment);
	if (!segment->data_file && !spool->options.may_drop)
		return segment_free(segment);
	segment->next = spool->kept;
	spool->kept = segment;
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
	counters.open = open.records > 0;
	counters.messages = spool->done.messages + open.messages;
	counters.bytes = spool->done.bytes + open.bytes;
	counters.held_bytes = spool_held(spool);
	return counters;
}
