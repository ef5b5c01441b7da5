/* What an owner that is gone has left of a spool: measured, and deleted when that is asked for. */
#ifndef WEIR_SPOOL_LEFTOVER_H
#define WEIR_SPOOL_LEFTOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leftover {
	bool ours;	      /* its lock has our note in it, and it belongs to the calling user */
	uint64_t data_bytes;  /* of segments: messages that nobody has processed, as far as known */
	uint64_t aside_bytes; /* of files that a start has put aside, or cut off */
	size_t asides;
	size_t foreign;	     /* files of others, and what is no file */
	uint64_t changed_ns; /* when anything in it was changed last */
};

/* Errors: those of scandir(3) and fstat(2). */
int leftover_look(int dir_fd, struct leftover *ret_leftover);

/* Becomes the owner of the spool, for as long as the descriptor is open. −EWOULDBLOCK: there is
 * one; else those of open(2). */
int leftover_lock(int dir_fd, int *ret_lock_fd);

/* Deletes what was put aside or cut off; or everything that is weir's, messages first and the lock
 * last. The spool must be locked by the caller. Errors: those of unlink(2). */
int leftover_delete_asides(int dir_fd);
int leftover_delete(int dir_fd);

#endif
