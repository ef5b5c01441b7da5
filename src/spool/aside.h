/* Puts a file out of the way that nothing can be made of, and keeps it. */
#ifndef WEIR_SPOOL_ASIDE_H
#define WEIR_SPOOL_ASIDE_H

#include <stdint.h>

/* Renames a file of the segment that begins with `first_seq`: ".aside1" and so on is added to its
 * name. What is missing already is no error. Errors: −EEXIST (there are too many of them), those of
 * rename(2). */
int aside_put(int dir_fd, uint64_t first_seq, const char *suffix);

#endif
