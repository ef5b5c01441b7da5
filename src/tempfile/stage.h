/* What has to be made under a name before it can be locked and marked. */
#ifndef WEIR_TEMPFILE_STAGE_H
#define WEIR_TEMPFILE_STAGE_H

#include "tempfile/place.h"

#include <sys/types.h>

/* A name in the directory of a place, as temp_place_at() says it, to be freed. NULL: no memory. */
char *temp_stage_new(const struct temp_place *place);

/* Makes another name of it. Errors: those of getrandom(2). */
int temp_stage_next(char *staged);

/* Whether a name without a directory is such a one. */
bool temp_stage_is(const char *name);

/* Picks the next name of a place, and marks the file for it, if `marked_inode` is not 0. Errors: as
 * temp_place_next_name(). */
int temp_stage_mark_next(struct temp_place *place, int fd, ino_t marked_inode);

/* Moves it, which `fd` is, to the first free one of the place's names, and marks it for that first,
 * if `marked_inode` is not 0. −EEXIST: all are taken. Else the errors of rename(2). */
int temp_stage_move(const char *staged, struct temp_place *place, int fd, ino_t marked_inode);

/* Renames, and replaces nothing: −EEXIST. Else the errors of rename(2). */
int temp_rename(int from_fd, const char *from, int to_fd, const char *to);

#endif
