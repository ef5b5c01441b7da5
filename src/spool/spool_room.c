/*
 * How much may be received without any chance to pass the cap, by the worst that can be made of it.
 */
#include "spool/spool_state.h"

#include "spool/appender.h"

/* What a message, a segment and all else can cost at most, in disk space. An empty message comes in
 * two bytes, and takes a separator and an index entry; a segment has two files that may each end
 * within a block. */
#define MESSAGE_WIRE_MIN 2
#define MESSAGE_COST ((uint64_t)FORMAT_ENTRY_SIZE + 1)
#define SEGMENT_COST ((uint64_t)2 * APPENDER_BLOCK)
#define OTHER_COST KIB(64) /* events, the directory */

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
	uint64_t used = spool_held(spool) + reserved + OTHER_COST, max = spool->options.disk_max;
	uint64_t room;

	if (spool->full < 0)
		return 0;
	if (max == 0)
		return SIZE_MAX;
	room = used < max ? (max - used) / cost_per_byte(spool) : 0;
	return room < SPOOL_ROOM_MIN ? 0 : (size_t)MIN(room, (uint64_t)SIZE_MAX);
}
