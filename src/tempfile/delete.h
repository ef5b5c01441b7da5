/* Deleting what we made, and nothing else. */
#ifndef WEIR_TEMPFILE_DELETE_H
#define WEIR_TEMPFILE_DELETE_H

#include "tempfile/place.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Which file it is, whatever its name. Holds for as long as we have it open. */
struct temp_identity {
	dev_t device;
	ino_t inode;
};

struct temp_identity temp_identity_of(const struct stat *status);
bool temp_identity_is(struct temp_identity a, struct temp_identity b);

/* 1: `place` names that file; 0: another one, or none; −errno: cannot be told. */
int temp_place_holds(const struct temp_place *place, struct temp_identity identity);

/* The same, by the two arguments of fstatat(2). */
int temp_holds_at(int dir_fd, const char *path, struct temp_identity identity);

/* Deletes the name if it is still that file's. 0 also when it is not. Errors: those of fstatat(2)
 * and unlinkat(2). */
int temp_delete(const struct temp_place *place, struct temp_identity identity);

/* The same, by the two arguments of unlinkat(2). Async-signal-safe. */
int temp_delete_at(int dir_fd, const char *path, struct temp_identity identity);

#endif
