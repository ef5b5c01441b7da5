/* The account of a pool: what its files take together. */
#ifndef WEIR_TEMPFILE_POOL_H
#define WEIR_TEMPFILE_POOL_H

#include "tempfile/handle.h"

/* A file of the pool begins, or ends. NULL is no pool. */
void pool_enter(struct tempfile_pool *pool);
void pool_leave(struct tempfile_pool *pool, uint64_t charged);

/* Charges the file for all up to `end`, before that is written; nothing if it has no pool. −EDQUOT:
 * the pool has not so much left. −ENOSPC: the disk would have less free than it is to have. */
int pool_charge(struct tempfile *file, uint64_t end);

/* Gives back what was charged beyond `end`, and came to nothing. */
void pool_refund(struct tempfile *file, uint64_t end);

/* A stream whose writes are charged. NULL and errno. */
FILE *pool_stream(struct tempfile *file);

#endif
