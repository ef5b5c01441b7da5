/* A spool: a directory of segments, owned by one process at a time. Messages go in at one end,
 * sealed segments come out at the other, in order, and are deleted when they are acknowledged. */
#ifndef WEIR_SPOOL_SPOOL_H
#define WEIR_SPOOL_SPOOL_H

#include "base/macro.h"
#include "base/message.h"
#include "spool/format.h"
#include "spool/loss.h"
#include "spool/recover.h"
#include "spool/segment.h"
#include "spool/syncer.h"

#define SPOOL_ROOM_MIN 512 /* reading less at a time is not worth it */
/* No segment begins with a higher number: so much is left that none can use up. */
#define SPOOL_SEQ_MAX (UINT64_MAX - (UINT64_C(1) << 49))
#define SPOOL_DISK_MAX_MIN ((uint64_t)4 << 20) /* a smaller cap leaves no room to work in */

struct spool;

/* When captured records are made durable; SPOOL_SYNC_INTERVAL: when spool_sync() is called. All but
 * the first do it at every seal too. */
enum spool_sync {
	SPOOL_SYNC_NONE = 0,
	SPOOL_SYNC_INTERVAL,
	SPOOL_SYNC_BYTES,
	SPOOL_SYNC_SEAL,
	SPOOL_SYNC_EVERY, /* at each commit */
};

struct spool_options {
	const char *path; /* of a named spool, made when it is missing; NULL: one of our own */
	const char *dir;  /* where one of our own is made, as tempfile_mkdir() takes them */
	const char *prefix;
	const char *suffix;
	bool ephemeral;		   /* nothing has a name: on the disk of `dir`, and gone with us */
	uint64_t segment_bytes;	   /* when a segment is full; not 0 */
	uint64_t segment_messages; /* the same; 0: no limit */
	bool may_drop;		   /* spool_drop_oldest() is used */
	bool may_lose;		   /* spool_note_loss() is used */
	uint64_t min_free;	   /* bytes of the disk that are to stay free */
	uint64_t disk_max;	   /* bytes that all files together may take; 0: no limit */
	enum spool_sync sync;	   /* not when ephemeral */
	uint64_t sync_bytes;	   /* of payload, of SPOOL_SYNC_BYTES */
	bool take_early; /* segments come out as soon as they are sealed, durable or not */

	/* What an earlier run left was not as it should be. May be NULL. */
	void (*on_recovered)(void *data, const struct recover_news *news);
	/* How much disk space is taken by files elsewhere that count with those of the spool. May
	 * be NULL. */
	uint64_t (*beside)(void *data);
	void *data;
	struct segment_share *shares; /* of each source, counted as it is captured. May be NULL. */
	int pack_level; /* of the compression of segments that wait, as of codec.h; 0: none */
	bool pack_all;	/* also the one that would come out next, since none will */
};

/* Opens a spool and locks it. Segments that are there from an earlier run come out first; one that
 * was still open is sealed as far as it is whole. Errors: −EWOULDBLOCK (another process holds it),
 * −EMEDIUMTYPE (the directory is there and is no spool), −EOPNOTSUPP (to be synced, and not on a
 * disk), −ENOMEM, those of mkdir(2), open(2), pthread_create(3). */
int spool_open(const struct spool_options *options, struct spool **ret_spool);

/* Closes a spool and leaves it as it is. */
void spool_free(struct spool *spool);

/* Removes a spool of our own from the disk. Does nothing to a named one, or while it holds
 * anything. */
int spool_remove(struct spool *spool);

/* The directory, of an ephemeral one `dir`, which is not ours. */
const char *spool_path(const struct spool *spool); /* absolute */
int spool_dir_fd(const struct spool *spool);

/* A disk that is full, or a share of it that is used up, is no error of any of these: what they
 * were given waits in memory, and spool_is_full() says so. Then no further batch may be appended
 * until spool_retry() has found room. So what waits is what is in hand: one receive buffer and what
 * it inflates into or completes, in copies, and at most WAITING_EVENTS_MAX events; later ones are
 * counted and not recorded. */
bool spool_is_full(const struct spool *spool);
int spool_full_error(const struct spool *spool); /* −errno; 0: it is not */

/* Tries to write what waits. Errors: as spool_commit(). */
int spool_retry(struct spool *spool);

/* Takes the message that is open out of the open segment, where others are: it waits in memory, as
 * on a full disk, but for what is too large of it, and the segment can be sealed without it. */
int spool_split(struct spool *spool);

/* Forgets what waits: it was never captured. Events of that are counted as lost. Errors:
 * ftruncate(2)'s. */
int spool_give_up(struct spool *spool);

/* Takes all pieces of a batch; see writer_append(). Segments are sealed and begun as they fill. */
int spool_append(struct spool *spool, const struct message_batch *batch);

/* Notes that messages were not appended. */
void spool_note_loss(struct spool *spool, const struct loss *loss);

/* The same of all messages that wait for room, which are to be given up. */
void spool_note_waiting(struct spool *spool);

/* Deletes the oldest sealed segment that was not taken, or was kept, and notes what it held. 1: it
 * did; 0: there is none. Errors: those of unlink(2). */
int spool_drop_oldest(struct spool *spool);

/* Puts on record, as one gap, what was noted since the last time, unless a message is open, or
 * there is no room. */
int spool_record_loss(struct spool *spool);

/* The same at the end, for which some room is kept from the beginning, where it can be. */
int spool_record_last_loss(struct spool *spool);
bool spool_has_loss(const struct spool *spool); /* there is something to put on record */

struct spool_event {
	enum format_kind kind; /* FORMAT_EVENT or above */
	uint8_t flags;	       /* enum format_flag */
	uint16_t source;
	uint16_t connection;
	uint64_t value;
	uint64_t time_ns; /* 0: now */
};

int spool_add_event(struct spool *spool, const struct spool_event *event);

/* Writes what was appended; with it, it is captured. After an error of this or of the two above,
 * what was not captured is gone, and nothing more can be appended; the rest goes on. */
int spool_commit(struct spool *spool);

/* Forgets the message that has begun and not ended. */
int spool_drop_open_message(struct spool *spool);
bool spool_in_message(const struct spool *spool);

/* Commits, and ends the open segment. Not inside a message. When the commit fails, what was
 * captured before is sealed all the same, and the error told. When there is no room, it is done
 * later. */
int spool_seal(struct spool *spool);

/* When the open segment got its first record, by the monotonic clock; 0 if it has none. */
uint64_t spool_open_since_ns(const struct spool *spool);

/* How many more bytes of messages there is room for, below the cap and above what is to stay free
 * (by how much others left some milliseconds ago), when `reserved` bytes of disk are to be left for
 * something else. 0, or SPOOL_ROOM_MIN at least. Where small messages take more than that, what
 * finds no room waits in memory, as on a full disk: neither is ever passed. */
size_t spool_room(struct spool *spool, uint64_t reserved);

/* Why that is 0. */
enum spool_lack {
	SPOOL_LACKS_NOTHING,	 /* it is not */
	SPOOL_LACKS_CAP,	 /* disk_max */
	SPOOL_LACKS_DISK,	 /* the disk is full */
	SPOOL_LACKS_QUOTA,	 /* our share of it is */
	SPOOL_LACKS_FREE,	 /* min_free */
	SPOOL_LACKS_DESCRIPTORS, /* too many segments without names wait */
};

enum spool_lack spool_lack(struct spool *spool, uint64_t reserved);

/* The oldest sealed segment that was not taken yet, or NULL. It is the caller's until it goes to
 * spool_ack() (deleted, also when that reports an error) or spool_keep() (left on the disk; of an
 * ephemeral spool, until it is freed). A compressed one comes out when it is plain again; where
 * that cannot be done, segment.view_error says why. With sync, it comes out when it is durable, and
 * is deleted when the number behind it is. */
struct segment *spool_take(struct spool *spool);
bool spool_has_waiting(
	const struct spool *spool); /* sealed ones, whether they can come out or not */
int spool_ack(struct spool *spool, struct segment *segment);
void spool_keep(struct spool *spool, struct segment *segment);

/* The same with all that wait, as they are; but for one that is being compressed, until that was
 * cancelled (spool_pack_collect()). */
void spool_keep_waiting(struct spool *spool);

/* For who reads segments in another way, and takes none: acknowledges those that wait and have no
 * record behind number `seq`. Nothing may be compressed meanwhile. */
int spool_ack_up_to(struct spool *spool, uint64_t seq);

/* Deletes what the disk was too full to delete before. Errors: −ENOSPC (it still is), those of
 * unlink(2). */
int spool_unlink_rest(struct spool *spool);

/* Reads a segment of an earlier run through and counts it. One that is damaged is mended first, if
 * there is space for that. Errors: those of segment_check(). */
int spool_check(struct spool *spool, struct segment *segment);

/* Opens the data of a segment for reading, with a position of its own; NULL: of the one that is
 * being written. Errors: those of open(2). */
int spool_open_data(const struct spool *spool, const struct segment *segment, int *ret_fd);

/* The segment whose data is the first that was not acknowledged, for who follows the stream: how
 * far its data is captured. False when there is none. */
struct spool_view {
	uint64_t first_seq;
	uint64_t data_size;
};

bool spool_view_open(const struct spool *spool, struct spool_view *ret_view);

struct spool_counters {
	uint64_t messages; /* captured in this run */
	uint64_t bytes;	   /* of their payloads */
	uint64_t sealed;   /* segments */
	uint64_t acked;
	uint64_t kept;
	bool open;	     /* a segment is, which holds something that was captured */
	uint64_t backlog;    /* sealed, neither acknowledged nor kept yet */
	uint64_t held_bytes; /* disk space of all files */
	uint64_t peak_bytes;
	uint64_t lost_events;			  /* that were not recorded for want of room */
	uint64_t dropped_messages, dropped_bytes; /* of payload: see struct loss */
	uint64_t packed;			  /* compressed in this run, */
	uint64_t pack_failures;			  /* or not, for want of disk or memory */
};

struct spool_counters spool_counters(const struct spool *spool);

/* How far records are durable: nothing that a loss of power can do will take what is in front of
 * the mark, unless it was acknowledged. {0} without sync. */
struct sync_progress spool_durable(const struct spool *spool);

/* Readable when there is progress, which spool_collect() takes notice of; -1 without sync. */
int spool_sync_fd(const struct spool *spool);

/* Begins what became due, and deletes what may be now. An error: a sync has failed, and none will
 * be tried any more; or those of spool_ack(). Each is told once. */
int spool_collect(struct spool *spool);

/* Makes all that is captured durable, as soon as what is being synced is. */
int spool_sync(struct spool *spool);

/* Whether nothing more should be read before there is progress. */
bool spool_must_wait(const struct spool *spool);

/* Whether a sync is under way, after which segments may come out or be deleted. */
bool spool_is_syncing(const struct spool *spool);

/* For the end: 1 when everything that is left is durable, or a sync has failed. 0: to be asked
 * again after progress. Or an error. */
int spool_settle(struct spool *spool);

/* Readable when a segment was compressed, or can come out that was; spool_pack_collect() takes
 * notice of that. -1: that will never be. */
int spool_pack_fd(const struct spool *spool);
void spool_pack_collect(struct spool *spool);

/* Whether a segment is being compressed, or made plain again to come out. */
bool spool_is_packing(const struct spool *spool);

DEFINE_CLEANUP(struct spool *, spool_free);

#endif
