/* Makes a spool that a killed process left behind usable again. */
#ifndef WEIR_SPOOL_RECOVER_H
#define WEIR_SPOOL_RECOVER_H

#include "spool/listing.h"

/* Seals a segment whose index is still open, as far as it is whole; deletes it when nothing is.
 * Deletes an index without data, and puts data without an index aside. Then `*entry` says what is
 * there now. */
int recover_segment(int dir_fd, struct listing_entry *entry);

#endif
