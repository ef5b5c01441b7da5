/* Whether a directory may be taken over as a spool. Nothing is changed to find that out, so that
 * what is refused stays as it is. */
#ifndef WEIR_SPOOL_ADMIT_H
#define WEIR_SPOOL_ADMIT_H

#include "spool/listing.h"

/* −EMEDIUMTYPE: it is neither empty nor a spool. */
int admit_contents(int dir_fd, const struct listing *listing);

/* −EPROTO: there is a segment of another version of weir in it, or one that this build cannot read.
 */
int admit_versions(int dir_fd, const struct listing *listing);

#endif
