/* A thread beside the receiving one, which brings to the disk what is in the page cache. */
#ifndef WEIR_SPOOL_SYNCER_H
#define WEIR_SPOOL_SYNCER_H

#include "base/macro.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYNCER_QUEUE 16 /* jobs that wait, and as many that are being done */

/* How far a run has come: all records in front of `end_seq`, and what is in those of this run. */
struct sync_mark {
	uint64_t end_seq;
	uint64_t messages;
	uint64_t bytes; /* of their payloads */
};

/* What is to be synced, and what is durable with it, since all earlier jobs are done before. */
struct sync_job {
	int data_fd, index_fd; /* of a segment, the job's own; -1: none */
	bool names;	       /* names in the directory have changed */
	bool seal;	       /* the segment is complete, and the number behind it was noted */
	uint64_t first_seq;    /* of a segment that is complete: its index gets another name */
	struct sync_mark mark;
};

struct sync_progress {
	struct sync_mark durable;
	uint64_t sealed_seq; /* the segments in front of it are durable, sealed and noted */
	size_t jobs;	     /* that are not done */
	int full;  /* −ENOSPC, −EDQUOT: an index gets its name when there is room; 0 */
	int error; /* −errno: a sync has failed, and none will be tried any more */
};

struct syncer;
struct segment;

struct syncer_options {
	int dir_fd, lock_fd; /* the spool's; the lock stays open for as long as the syncer lives */
	const struct segment *found; /* sealed segments that are there already, a list */
	uint64_t end_seq;	     /* behind the last of them */
};

/* Begins with what is there already: the names of the directory and of the files in it, what is
 * noted, and the segments that were found. Errors: −ENOMEM, those of eventfd(2) and
 * pthread_create(3). */
int syncer_new(const struct syncer_options *options, struct syncer **ret_syncer);

/* Waits for the sync that is being done, and leaves the rest. */
void syncer_free(struct syncer *syncer);

/* Becomes readable when there is progress; syncer_progress() makes it unreadable again. */
int syncer_fd(const struct syncer *syncer);
struct sync_progress syncer_progress(struct syncer *syncer);

/* The same without a say in who is woken. */
struct sync_progress syncer_look(struct syncer *syncer);

/* Waits until one more job can wait. Errors: sync_progress.full, when that may take for ever. */
int syncer_wait(struct syncer *syncer);

/* Takes a job and its descriptors. Where jobs may wait already, syncer_wait() comes before. */
void syncer_submit(struct syncer *syncer, const struct sync_job *job);

DEFINE_CLEANUP(struct syncer *, syncer_free);

#endif
