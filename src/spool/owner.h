/* Who owns a spool, noted for others to read, and whether it lives. */
#ifndef WEIR_SPOOL_OWNER_H
#define WEIR_SPOOL_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OWNER_HOST_SIZE 65

struct owner {
	bool alive;
	pid_t pid;		    /* 0: not known, as of a process in another container */
	uint64_t since_s;	    /* 1970; 0: not known */
	char host[OWNER_HOST_SIZE]; /* "": not known */
};

/* Disturbs nobody. A spool without a lock file has no owner. Errors: those of open(2); then nothing
 * is known. */
int owner_probe(int dir_fd, struct owner *ret_owner);

/* Writes into the lock file, whose lock is ours, who we are, behind the first `at` bytes.
 * `settled`: what an earlier owner has left is in order. Errors: those of pwrite(2) and
 * ftruncate(2). */
int owner_note(int lock_fd, uint64_t at, bool settled);

/* Whether the machine runs since then: what the owner who is noted there has written is there, also
 * what was not synced, and what was there before him was in order. False: it may be not. */
bool owner_is_of_this_boot(int lock_fd);

#endif
