/* The disk space that files take. */
#ifndef WEIR_SPOOL_SPACE_H
#define WEIR_SPOOL_SPACE_H

#include "base/macro.h"

#include <stdint.h>
#include <sys/stat.h>

/* Whole blocks, with what is reserved behind the file's end, and what the file system needs to find
 * them. */
static inline uint64_t space_of(const struct stat *status)
{
	return MAX((uint64_t)status->st_blocks * 512, (uint64_t)status->st_size);
}

/* Of all files in a directory, whosever they are; or but for those of sealed segments, which are
 * only counted. Errors: −ENOMEM, those of openat(2), readdir(3). */
struct space {
	uint64_t bytes;
	uint64_t segments; /* sealed */
};

int space_of_all(int dir_fd, struct space *ret_space);
int space_of_others(int dir_fd, struct space *ret_space);

#endif
