/* Whether a spool has a living owner, for who only looks. */
#ifndef WEIR_SPOOL_OWNER_H
#define WEIR_SPOOL_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

struct owner {
	bool alive;
	pid_t pid; /* 0: not known, as of a process in another container */
};

/* Disturbs nobody. A spool without a lock file has no owner. Errors: those of open(2); then nothing
 * is known. */
int owner_probe(int dir_fd, struct owner *ret_owner);

#endif
