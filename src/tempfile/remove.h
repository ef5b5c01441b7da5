/* Deleting a tree, whatever is in it and whatever somebody does to it meanwhile. */
#ifndef WEIR_TEMPFILE_REMOVE_H
#define WEIR_TEMPFILE_REMOVE_H

#include "tempfile/delete.h"

/* Deletes the directory `fd`, which stays the caller's, with all that is in it, and then its name,
 * `path`, as unlinkat(2) takes it; nothing when that is not `identity`'s any more: somebody moved
 * it. No symbolic link is followed, no mount is crossed, modes of directories that are in the way
 * are changed. What fails is left, the rest goes on; the first error is returned. What vanishes
 * meanwhile is no error. Needs no memory, takes no lock, and may be called from a signal handler.
 */
int temp_remove(int fd, int dir_fd, const char *path, struct temp_identity identity);

#endif
