/*
 * How much room there is, below the cap and above what is to stay free on the disk. Two questions:
 * how much more may be received, as a rule, and whether what was received can be written, exactly,
 * by whole blocks. What cannot waits in memory, as on a full disk. How much is free is asked for
 * again when time has passed, in which others may have used it, or when we have used a good part of
 * it.
 */
#include "spool/spool_state.h"

#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <sys/statvfs.h>

#define OTHER_COST KIB(64) /* events, blocks that the file system needs to find others */
#define GAPS_COST KIB(16)  /* of that, for what was dropped alone */
#define FREE_NS (20 * NS_PER_MS)

/* All that this run has written, or reserved. */
static uint64_t written(const struct spool *spool)
{
	return spool->sealed_ever + (spool->writer ? writer_held(spool->writer) : 0);
}

/* What may still be used of the disk, by the last look at it. */
static uint64_t free_left(const struct spool *spool)
{
	uint64_t used = written(spool) - spool->free.written + spool->options.min_free;

	return used < spool->free.bytes ? spool->free.bytes - used : 0;
}

/* A file system that does not say is taken for one with room. */
static void look(struct spool *spool, uint64_t now)
{
	struct statvfs fs;

	spool->free.bytes = UINT64_MAX;
	if (fstatvfs(spool->directory.fd, &fs) == 0)
		spool->free.bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	spool->free.ns = now;
	spool->free.written = written(spool);
}

/* The same, looked at again if need be: after some time, or when half of what was left is used. */
static uint64_t free_now(struct spool *spool)
{
	uint64_t now = clock_monotonic_ns();

	if (spool->free.ns == 0 || now - spool->free.ns > FREE_NS ||
	    written(spool) - spool->free.written >= free_left(spool))
		look(spool, now);
	return free_left(spool);
}

uint64_t spool_taken(const struct spool *spool)
{
	const struct spool_options *options = &spool->options;
	uint64_t beside = options->beside ? options->beside(options->data) : 0;

	return spool_held(spool) + spool->other_bytes + beside +
	       (spool->kept_room ? SPOOL_LAST_GAP_COST : 0);
}

/* The same, with what is kept free for compressed segments. */
static uint64_t taken(const struct spool *spool)
{
	return spool_taken(spool) + spool_pack_reserve(spool);
}

uint64_t spool_spare(const struct spool *spool)
{
	uint64_t max = spool->options.disk_max, spare = UINT64_MAX;

	if (max > 0)
		spare = (max - MIN(max, taken(spool))) / 2;
	return spool->options.min_free > 0 ? MIN(spare, free_left(spool) / 4) : spare;
}

/* What may be used under the cap, and of the disk. */
static uint64_t below_cap(const struct spool *spool, uint64_t reserved)
{
	uint64_t used = taken(spool) + reserved + OTHER_COST;
	uint64_t max = spool->options.disk_max;

	if (max == 0)
		return UINT64_MAX;
	return used < max ? max - used : 0;
}

static uint64_t above_min_free(struct spool *spool, uint64_t reserved)
{
	uint64_t left;

	if (spool->options.min_free == 0)
		return UINT64_MAX;
	left = free_now(spool);
	reserved += OTHER_COST;
	return reserved < left ? left - reserved : 0;
}

bool spool_has_room_for_event(const struct spool *spool, enum format_kind kind)
{
	bool is_gap = kind == FORMAT_GAP || kind == FORMAT_GAP_END;
	uint64_t max = spool->options.disk_max, promised;

	if (max == 0)
		return true;
	promised = taken(spool) + SPOOL_SEGMENT_COST + (is_gap ? 0 : GAPS_COST);
	if (spool->writer)
		promised += writer_promised(spool->writer) - writer_held(spool->writer);
	return promised <= max;
}

int spool_find_room(struct spool *spool, uint64_t bytes)
{
	uint64_t max = spool->options.disk_max;

	if (max > 0 && taken(spool) + bytes > max)
		return SPOOL_AT_CAP;
	if (spool->options.min_free > 0 && free_now(spool) < bytes)
		return SPOOL_AT_MIN_FREE;
	return 0;
}

/* Whether all that was appended can be written. Events were asked for before they were. */
static bool fits_below_cap(const struct spool *spool, uint64_t more)
{
	uint64_t kept = writer_is_pending_data(spool->writer) ? OTHER_COST : 0;

	return spool->options.disk_max == 0 ||
	       taken(spool) + more + kept <= spool->options.disk_max;
}

int spool_fits(struct spool *spool)
{
	uint64_t more = writer_promised(spool->writer) - writer_held(spool->writer);

	if (!fits_below_cap(spool, more))
		return SPOOL_AT_CAP;
	if (more > 0 && above_min_free(spool, 0) < more)
		return SPOOL_AT_MIN_FREE;
	return 0;
}

static size_t room_in(uint64_t bytes)
{
	return bytes < SPOOL_ROOM_MIN ? 0 : (size_t)MIN(bytes, (uint64_t)SIZE_MAX);
}

/* The error of whoever found no room, the syncer too; 0: nobody. */
static int full_error(const struct spool *spool)
{
	return spool->full < 0 ? spool->full : spool_durable(spool).full;
}

size_t spool_room(struct spool *spool, uint64_t reserved)
{
	if (full_error(spool) < 0)
		return 0;
	return room_in(MIN(below_cap(spool, reserved), above_min_free(spool, reserved)));
}

enum spool_lack spool_lack(struct spool *spool, uint64_t reserved)
{
	int full = full_error(spool);

	if (full == -EDQUOT)
		return SPOOL_LACKS_QUOTA;
	if (full == -ENOSPC)
		return SPOOL_LACKS_DISK;
	if (full == -EMFILE || full == -ENFILE)
		return SPOOL_LACKS_DESCRIPTORS;
	if (full == SPOOL_AT_CAP || room_in(below_cap(spool, reserved)) == 0)
		return SPOOL_LACKS_CAP;
	if (full == SPOOL_AT_MIN_FREE || room_in(above_min_free(spool, reserved)) == 0)
		return SPOOL_LACKS_FREE;
	return SPOOL_LACKS_NOTHING;
}
