/* Makes a spool that a killed process left behind usable again. */
#ifndef WEIR_SPOOL_RECOVER_H
#define WEIR_SPOOL_RECOVER_H

#include "spool/listing.h"

/* Seals a segment whose index is still open, as far as it is whole. Deletes an index without data.
 * What cannot be made sense of (data without an index, a segment whose index is not one) is renamed
 * to NAME.aside1 and so on, or deleted when it is empty. Then `*entry` says what is there now. */
int recover_segment(int dir_fd, struct listing_entry *entry);

#endif
