/* What a spool is made of: shared by spool.c, which opens it and hands out what is sealed,
 * spool_write.c, which takes what comes, and spool_room.c, which says how much more may come. */
#ifndef WEIR_SPOOL_SPOOL_STATE_H
#define WEIR_SPOOL_SPOOL_STATE_H

#include "spool/directory.h"
#include "spool/spool.h"
#include "spool/writer.h"

#define SPOOL_SEGMENTS_PER_CAP 4 /* so that one can be written while others are processed */

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

static inline uint64_t spool_held(const struct spool *spool)
{
	return spool->sealed_bytes + (spool->writer ? writer_held(spool->writer) : 0);
}

static inline void spool_note_peak(struct spool *spool)
{
	spool->counters.peak_bytes = MAX(spool->counters.peak_bytes, spool_held(spool));
}

static inline void spool_enqueue(struct spool *spool, struct segment *segment)
{
	segment->next = NULL;
	*spool->end = segment;
	spool->end = &segment->next;
	spool->sealed_bytes += segment->disk_bytes;
	spool->counters.backlog++;
}

#endif
