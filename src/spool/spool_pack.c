/*
 * Which segments are compressed, and when they are made plain again. Compressed is what waits: not
 * the one that comes out next, unless none ever comes out. One is under way at a time, and while it
 * is, it counts with all the space that it may take. A compressed segment comes out when there is a
 * view of it; so the first one that is wanted goes before everything else.
 *
 * Under a cap, room for one more segment is kept free, or there would be none to make the view in,
 * which is what makes room.
 */
#include "spool/spool_state.h"

#include <errno.h>
#include <sys/statvfs.h>

#define WORTH_BYTES KIB(64) /* less is not worth a frame */
#define TABLE_COST KIB(128) /* what a compressed file has more than its two parts */

/* Found segments may be compressed, whether any are to be now or not. */
static bool has_packed(const struct spool *spool)
{
	for (const struct segment *at = spool->first; at; at = at->next)
		if (at->packed)
			return true;
	return false;
}

int spool_begin_packing(struct spool *spool)
{
	int level = spool->options.pack_level;

	if (level == 0 && !has_packed(spool))
		return 0;
	return packer_new(spool->directory.fd, level, &spool->packing.packer);
}

/* Those before it were looked at, and need not be again. */
static struct segment *next_candidate(const struct spool *spool)
{
	if (spool->packing.last)
		return spool->packing.last->next;
	if (spool->options.pack_all || !spool->first)
		return spool->first;
	return spool->first->next;
}

static bool is_worth_it(const struct segment *segment)
{
	return !segment->packed && !segment->data_file && segment->disk_bytes >= WORTH_BYTES;
}

static uint64_t reserve(const struct spool *spool)
{
	return spool->options.disk_max / SPOOL_SEGMENTS_PER_CAP + TABLE_COST;
}

uint64_t spool_pack_reserve(const struct spool *spool)
{
	uint64_t used = spool->packing.bytes + spool->packing.view_bytes;

	if (!spool->packing.packer || spool->options.disk_max == 0)
		return 0;
	return reserve(spool) - MIN(reserve(spool), used);
}

/* The disk should not become full of what is there already. */
static bool has_room(const struct spool *spool, uint64_t bytes)
{
	struct statvfs disk;

	if (spool->options.disk_max > 0 && spool_pack_reserve(spool) < bytes)
		return false;
	return fstatvfs(spool->directory.fd, &disk) < 0 ||
	       (uint64_t)disk.f_bavail * disk.f_frsize > 2 * bytes + spool->options.min_free;
}

/* What was found may be more than the cap allows by now, and its segments larger. */
static uint64_t view_max(const struct spool *spool)
{
	uint64_t max = spool->options.disk_max, taken = spool_taken(spool);

	return max == 0 ? UINT64_MAX : MIN(reserve(spool), max - MIN(max, taken));
}

static void start(struct spool *spool, enum packer_work work, struct segment *segment)
{
	spool->packing.busy = segment;
	packer_start(spool->packing.packer, work, segment->first_seq, view_max(spool));
}

void spool_pack_more(struct spool *spool)
{
	struct segment *segment;

	if (spool->options.pack_level == 0 || spool->packing.busy || spool->packing.urgent)
		return;
	while ((segment = next_candidate(spool))) {
		uint64_t bytes = segment->disk_bytes + TABLE_COST;

		if (!is_worth_it(segment) || segment == spool->packing.spared) {
			spool->packing.last = segment;
			continue;
		}
		if (!spool_may_delete(spool, segment) || !has_room(spool, bytes))
			return;
		spool->packing.bytes = bytes;
		spool_note_peak(spool);
		return start(spool, PACKER_PACK, segment);
	}
}

bool spool_is_plain(struct spool *spool, struct segment *segment)
{
	struct spool_packing *packing = &spool->packing;
	bool plain = !segment->packed || segment->data_file || segment->view_error < 0;

	packing->urgent = packing->busy == segment || !plain;
	if (!packing->urgent)
		return true;
	if (!packing->busy)
		start(spool, PACKER_VIEW, segment);
	else if (packing->bytes > 0)
		packer_cancel(packing->packer);
	return false;
}

bool spool_leave_packing(struct spool *spool, const struct segment *segment)
{
	struct spool_packing *packing = &spool->packing;

	if (packing->busy == segment) {
		packing->spared = segment;
		if (packing->bytes > 0)
			packer_cancel(packing->packer);
		return false;
	}
	if (packing->spared == segment)
		packing->spared = NULL;
	if (packing->last == segment)
		packing->last = NULL;
	return true;
}

/* One that was cancelled may come to its turn again. */
static void take_packed(struct spool *spool, const struct packer_result *result)
{
	struct segment *segment = spool->packing.busy;

	spool->packing.bytes = 0;
	if (result->error == -ECANCELED)
		return;
	spool->packing.last = segment;
	if (result->error < 0) {
		spool->counters.pack_failures += result->error != -EFBIG;
		return;
	}
	spool->sealed_bytes += result->disk_bytes - segment->disk_bytes;
	segment->disk_bytes = result->disk_bytes;
	segment->packed = true;
	spool->counters.packed++;
	if (spool->durable)
		durable_note_names(spool->durable);
}

static void take_view(struct spool *spool, struct packer_result *result)
{
	struct segment *segment = spool->packing.busy;

	if (result->error == -ECANCELED)
		return;
	segment->view_error = result->error;
	if (result->error < 0)
		return;
	segment->counted &= !result->view.damaged; /* it is checked before it is handed on */
	segment->data_file = TAKE_PTR(result->view.data);
	segment->index_file = TAKE_PTR(result->view.index);
	spool->packing.view_bytes = result->view.disk_bytes;
	spool_note_peak(spool);
}

int spool_pack_fd(const struct spool *spool)
{
	return spool->packing.packer ? packer_fd(spool->packing.packer) : -1;
}

void spool_pack_collect(struct spool *spool)
{
	struct packer_result result;

	if (!packer_collect(spool->packing.packer, &result))
		return;
	if (result.work == PACKER_PACK)
		take_packed(spool, &result);
	else
		take_view(spool, &result);
	spool->packing.busy = NULL;
	pack_view_done(&result.view);
	spool_note_peak(spool);
	spool_pack_more(spool);
}

bool spool_is_packing(const struct spool *spool)
{
	return spool->packing.busy != NULL;
}

void spool_drop_view(struct spool *spool, struct segment *segment)
{
	if (!segment->packed || !segment->data_file)
		return;
	tempfile_close(&segment->data_file);
	tempfile_close(&segment->index_file);
	spool->packing.view_bytes = 0;
}
