/* What a spool is made of: shared by spool.c, which opens it and hands out what is sealed,
 * spool_write.c, which takes what comes, spool_room.c, which says how much more may come,
 * spool_split.c, which gives a large message a segment of its own, spool_sync.c, which makes it
 * durable, spool_pack.c, which compresses what waits, and spool_found.c, which looks after what an
 * earlier run has left. */
#ifndef WEIR_SPOOL_SPOOL_STATE_H
#define WEIR_SPOOL_SPOOL_STATE_H

#include "spool/directory.h"
#include "spool/durable.h"
#include "spool/packer.h"
#include "spool/spool.h"
#include "spool/waiting.h"
#include "spool/writer.h"

#include <errno.h>

/* Why something waits in memory, where it is no call that has found no room: */
#define SPOOL_SPLIT (-EAGAIN)	    /* it was taken out again by spool_split(), */
#define SPOOL_AT_CAP (-EFBIG)	    /* or is more than disk_max leaves, */
#define SPOOL_AT_MIN_FREE (-ENOSR)  /* or than what is to stay free */
#define SPOOL_SEGMENT_COST KIB(8)   /* two files that end within a block */
#define SPOOL_LAST_GAP_COST KIB(16) /* a segment of its own, and the names of that */
#define SPOOL_SEGMENTS_PER_CAP 4    /* so that one can be written while others are processed */

struct spool_packing {
	struct packer *packer;	      /* NULL: nothing is, or was, compressed */
	struct segment *busy;	      /* the packer has it */
	struct segment *last;	      /* which was looked at, of those that wait */
	const struct segment *spared; /* it was to be dropped, and is not to be begun with again */
	bool urgent;	     /* the next one that comes out is waited for: nothing else now */
	uint64_t bytes;	     /* that compressing `busy` may take; 0: it is not being compressed */
	uint64_t view_bytes; /* that the view takes of the one that is out */
};

struct spool {
	struct spool_options options;
	struct spool_directory directory;
	struct writer *writer; /* NULL: no segment is open */
	struct writer *own;    /* of the one that its open message is being moved to, or NULL */
	uint64_t open_since_ns;
	bool noted;	     /* the next number stands in the lock, for which there is room */
	bool unmade;	     /* files of a segment may be there, which are to be deleted, */
	uint64_t unmade_seq; /* with this number */
	int full; /* −errno of the write that found no room, or one of the above; 0: there is */
	struct waiting waiting;	      /* behind what waits in the writer */
	uint64_t next_seq;	      /* of the next segment */
	struct segment *first, **end; /* sealed, not taken */
	struct segment *kept; /* those without names, which only we can keep, and where old ones may
				 be dropped, all */
	struct loss loss;     /* was dropped, and is not on record yet */
	struct tempfile
		*kept_room;   /* a file that takes the room for that, until the end; or NULL */
	bool gapped;	      /* the open segment holds such a record */
	uint64_t other_bytes; /* the same of all other files in the directory, where there is a cap
			       */
	uint64_t sealed_ever; /* the same of all that this run has sealed */
	struct {
		uint64_t ns; /* when it was looked at; 0: never */
		uint64_t bytes;
		uint64_t written;  /* by this run up to then */
	} free;			   /* on the disk */
	uint64_t sealed_bytes;	   /* disk space of all sealed segments, taken and kept ones too */
	struct segment done;	   /* totals over all segments that this run has sealed */
	struct durable *durable;   /* NULL: nothing is synced */
	struct segment *acked;	   /* to be deleted once their numbers are durable */
	struct segment *undeleted; /* should be, but the disk is too full for that */
	struct spool_packing packing;
	struct spool_counters counters;
};

static inline uint64_t spool_held(const struct spool *spool)
{
	return spool->sealed_bytes + (spool->writer ? writer_held(spool->writer) : 0) +
	       (spool->own ? writer_held(spool->own) : 0) + spool->packing.bytes +
	       spool->packing.view_bytes;
}

static inline void spool_note_peak(struct spool *spool)
{
	spool->counters.peak_bytes = MAX(spool->counters.peak_bytes, spool_held(spool));
}

static inline void spool_note_unmade(struct spool *spool, uint64_t first_seq)
{
	spool->unmade = true;
	spool->unmade_seq = first_seq;
}

static inline void spool_enqueue(struct spool *spool, struct segment *segment)
{
	segment->next = NULL;
	*spool->end = segment;
	spool->end = &segment->next;
	spool->sealed_bytes += segment->disk_bytes;
	spool->counters.backlog++;
}

/* Whether an event can be added without passing the cap. The last of the room is for gaps. */
bool spool_has_room_for_event(const struct spool *spool, enum format_kind kind);

/* Whether there is room for so many bytes: 0, SPOOL_AT_CAP or SPOOL_AT_MIN_FREE. */
int spool_find_room(struct spool *spool, uint64_t bytes);

/* Whether all that was appended can be written: 0, SPOOL_AT_CAP or SPOOL_AT_MIN_FREE. */
int spool_fits(struct spool *spool);

/* Takes the room that the last gap will need, if there is some. */
void spool_keep_room(struct spool *spool);

/* What counts under the cap: all files that are there, the spool's and others. */
uint64_t spool_taken(const struct spool *spool);

/* How much may be reserved ahead of what is written. */
uint64_t spool_spare(const struct spool *spool);

/* The parts of spool_write.c that spool_split.c needs, and the other way round. */
int spool_make_writer(struct spool *spool, uint64_t first_seq, struct writer **ret_writer);
int spool_commit_open(struct spool *spool);
int spool_seal_committed(struct spool *spool);
int spool_note_full(struct spool *spool,
		    int error);		     /* 0, if it is one of those that are waited out */
int spool_move_message(struct spool *spool); /* goes on with it; the writer has nothing pending */
int spool_stop_moving(struct spool *spool);  /* at the end; the message is forgotten */

/* Gaps that are forgotten with what waits are to be put on record again, and other events are lost:
 * see spool_drop.c. */
void spool_recall_loss(struct spool *spool);

/* The parts of spool_sync.c that spool.c and spool_write.c call; all do nothing without sync. */
int spool_begin_sync(struct spool *spool);
int spool_sync_commit(struct spool *spool);
int spool_sync_seal(struct spool *spool);

/* Whether the segment may be handed on, and whether it may be deleted. */
bool spool_may_take(const struct spool *spool, const struct segment *segment);
bool spool_may_delete(const struct spool *spool, const struct segment *segment);

/* The parts of spool_pack.c; all do nothing where nothing is compressed. */
int spool_begin_packing(struct spool *spool);

/* Looks for a segment to compress, if none is being compressed. */
void spool_pack_more(struct spool *spool);

/* Whether it can be handed on as it is; else begins what has to be done for that. */
bool spool_is_plain(struct spool *spool, struct segment *segment);

/* It shall wait no more. False: it is being compressed, which is cancelled, or made plain; then it
 * is to be asked again after progress. */
bool spool_leave_packing(struct spool *spool, const struct segment *segment);

/* The view of a compressed segment is not needed any more. */
void spool_drop_view(struct spool *spool, struct segment *segment);

/* What is to be left of the disk for these. */
uint64_t spool_pack_reserve(const struct spool *spool);

/* Deletes the files of a segment and frees it, now or, when the disk is too full, later. */
int spool_unlink(struct spool *spool, struct segment *segment);

/* The same for one that was acknowledged. */
int spool_delete(struct spool *spool, struct segment *segment);

/* Brings what was found in the directory into order, and queues it. Errors: −EPROTO, −ENOMEM, those
 * of pwrite(2). */
int spool_take_over(struct spool *spool);

#endif
