/*
 * How much may be received without any chance to pass the cap, by the worst that can be made of it;
 * and without using what is to stay free on the disk. How much is free is asked for again when time
 * has passed, in which others may have used it, or when we have used a good part of it.
 */
#include "spool/spool_state.h"

#include "base/clock.h"
#include "base/io.h"
#include "spool/appender.h"

#include <errno.h>
#include <sys/statvfs.h>

/* What a message, a segment and all else can cost at most, in disk space. An empty message comes in
 * two bytes, and takes a separator and an index entry; a segment has two files that may each end
 * within a block. */
#define MESSAGE_WIRE_MIN 2
#define MESSAGE_COST ((uint64_t)FORMAT_ENTRY_SIZE + 1)
#define SEGMENT_COST ((uint64_t)2 * APPENDER_BLOCK)
#define OTHER_COST KIB(64) /* events, blocks that the file system needs to find others */
#define GAPS_COST KIB(16)  /* of that, for what was dropped alone */
#define FREE_NS (20 * NS_PER_MS)

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

/* What is held under the cap, or kept free for compressed segments. */
static uint64_t taken(const struct spool *spool)
{
	return spool_held(spool) + spool->other_bytes + spool_pack_reserve(spool);
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
	promised = taken(spool) + SEGMENT_COST + (is_gap ? 0 : GAPS_COST);
	if (spool->writer)
		promised += writer_promised(spool->writer) - writer_held(spool->writer);
	return promised <= max;
}

static size_t room_in(const struct spool *spool, uint64_t bytes)
{
	uint64_t room = bytes == UINT64_MAX ? bytes : bytes / cost_per_byte(spool);

	return room < SPOOL_ROOM_MIN ? 0 : (size_t)MIN(room, (uint64_t)SIZE_MAX);
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
	return room_in(spool, MIN(below_cap(spool, reserved), above_min_free(spool, reserved)));
}

enum spool_lack spool_lack(struct spool *spool, uint64_t reserved)
{
	int full = full_error(spool);

	if (full == -EDQUOT)
		return SPOOL_LACKS_QUOTA;
	if (full == -ENOSPC)
		return SPOOL_LACKS_DISK;
	if (full < 0 && full != SPOOL_SPLIT)
		return SPOOL_LACKS_DESCRIPTORS;
	if (room_in(spool, below_cap(spool, reserved)) == 0)
		return SPOOL_LACKS_CAP;
	if (room_in(spool, above_min_free(spool, reserved)) == 0)
		return SPOOL_LACKS_FREE;
	return SPOOL_LACKS_NOTHING;
}
