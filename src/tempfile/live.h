/* What is to be deleted when the process ends: every named file and directory that is open. */
#ifndef WEIR_TEMPFILE_LIVE_H
#define WEIR_TEMPFILE_LIVE_H

#include "tempfile/delete.h"

#include <stdbool.h>

/* Which process: a number may come back in a child (in another PID namespace), so forks are counted
 * too. */
struct temp_owner {
	pid_t pid;
	unsigned forks;
};

struct temp_owner temp_owner_here(void);
bool temp_owner_is_here(struct temp_owner owner);

struct live;

enum live_kind {
	LIVE_FILE,
	LIVE_DIRECTORY,
};

/* Notes what stands at `place`, and is open as `fd` until live_remove(). NULL: no memory. */
struct live *live_add(const struct temp_place *place, int fd, struct temp_identity identity,
		      enum live_kind kind);

/* Forgets it: it was deleted, is to be kept, or another process has it now. NULL is fine. */
void live_remove(struct live *live);

/* Makes this process the one that is to delete it. */
void live_adopt(struct live *live);

/* Deletes all that is ours. Async-signal-safe. */
void live_delete_all(void);

#endif
