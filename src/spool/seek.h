/* Finds a moment in a spool. */
#ifndef WEIR_SPOOL_SEEK_H
#define WEIR_SPOOL_SEEK_H

#include "spool/listing.h"

/* The number of a record of this time or later, such that the one before it is of an earlier time.
 * Where times never go back, there is one. If all are earlier: the number behind the last one.
 * Damaged records, and segments that cannot be read, are passed over. Errors: −ENOMEM. */
int seek_time(int dir_fd, const struct listing *listing, uint64_t time_ns, uint64_t *ret_seq);

#endif
