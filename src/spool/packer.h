/* A thread beside the receiving one that compresses segments, and decompresses them again, one at a
 * time. */
#ifndef WEIR_SPOOL_PACKER_H
#define WEIR_SPOOL_PACKER_H

#include "base/macro.h"
#include "spool/pack.h"

enum packer_work {
	PACKER_PACK, /* pack_segment() */
	PACKER_VIEW, /* pack_open_view() */
};

struct packer_result {
	enum packer_work work;
	int error; /* of it */
	uint64_t disk_bytes;
	struct pack_view view; /* to be taken over */
};

struct packer;

/* Errors: −ENOMEM, those of eventfd(2) and pthread_create(3). */
int packer_new(int dir_fd, int level, struct packer **ret_packer);

/* Stops what is being done, and waits for that. */
void packer_free(struct packer *packer);

/* Becomes readable when something was done. */
int packer_fd(const struct packer *packer);

/* Begins with a segment; `view_max_bytes` is that of struct pack_job. Nothing else may be under
 * way: each start is followed by one result. */
void packer_start(struct packer *packer, enum packer_work work, uint64_t first_seq,
		  uint64_t view_max_bytes);

/* Makes what is being done end soon, if it can. */
void packer_cancel(struct packer *packer);

/* Whether what was begun is done. */
bool packer_collect(struct packer *packer, struct packer_result *ret_result);

DEFINE_CLEANUP(struct packer *, packer_free);

#endif
