/* What of a spool is to be made durable when, and what has to wait for it. */
#ifndef WEIR_SPOOL_DURABLE_H
#define WEIR_SPOOL_DURABLE_H

#include "spool/spool.h"
#include "spool/syncer.h"
#include "spool/writer.h"

struct durable_options {
	enum spool_sync sync; /* not SPOOL_SYNC_NONE */
	uint64_t bytes;	      /* of SPOOL_SYNC_BYTES */
	int dir_fd, lock_fd;
	const struct segment *found; /* sealed segments of earlier runs, a list */
	uint64_t end_seq;	     /* behind the last of them */
};

struct durable;

/* Errors: those of syncer_new(). */
int durable_new(const struct durable_options *options, struct durable **ret_durable);
void durable_free(struct durable *durable);

struct sync_progress durable_progress(struct durable *durable);
int durable_fd(const struct durable *durable);

/* Names in the directory have changed: a segment was begun, or deleted. */
void durable_note_names(struct durable *durable);

/* The open segment was committed, up to `mark`. */
int durable_commit(struct durable *durable, const struct writer *writer,
		   const struct sync_mark *mark);

/* Waits until a segment may be sealed. Errors: sync_progress.full, when nobody knows how long. */
int durable_wait(struct durable *durable);

/* The open segment was sealed, up to `mark`, and noted; its writer has the files still. */
int durable_seal(struct durable *durable, const struct writer *writer,
		 const struct sync_mark *mark);

/* All that is committed is to be made durable, once what is being synced is. */
int durable_want(struct durable *durable, const struct writer *writer);

/* Takes notice of progress and begins what became due. `writer` may be NULL. −errno: a sync has
 * failed. Each failure is told once. */
int durable_collect(struct durable *durable, const struct writer *writer);

/* Whether reading has to wait, but for want of room (sync_progress.full): for each commit
 * (SPOOL_SYNC_EVERY), while more than twice options.bytes are not durable (SPOOL_SYNC_BYTES), and
 * while the syncer has much to do. */
bool durable_must_wait(struct durable *durable);

/* Whether something is being synced. */
bool durable_is_busy(struct durable *durable);

/* For the end: begins to make durable what no rule has made so, with `names` the changes of names
 * too. 1: there is nothing left, or nothing that can be done; 0: to be called again after progress;
 * or −errno. */
int durable_settle(struct durable *durable, const struct writer *writer, bool names);

DEFINE_CLEANUP(struct durable *, durable_free);

#endif
