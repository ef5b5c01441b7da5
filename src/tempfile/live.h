/* What is to be deleted when the process ends: every named file and directory that is open. */
#ifndef WEIR_TEMPFILE_LIVE_H
#define WEIR_TEMPFILE_LIVE_H

#include "tempfile/delete.h"

#include <stdbool.h>

struct live;

enum live_kind {
	LIVE_FILE,
	LIVE_DIRECTORY,
};

/* Notes what stands at `place`. NULL: no memory. */
struct live *live_add(const struct temp_place *place, struct temp_identity identity,
		      enum live_kind kind);

/* Forgets it: it was deleted, is to be kept, or another process has it now. NULL is fine. */
void live_remove(struct live *live);

/* Whether this process is the one that is to delete it. */
bool live_is_ours(const struct live *live);

/* Makes this process that one: in a forked child that goes on in its parent's place. */
void live_adopt(struct live *live);

/* Deletes all that is ours. Async-signal-safe. */
void live_delete_all(void);

#endif
