/* Puts a clean segment in the place of a damaged one. */
#ifndef WEIR_SPOOL_MEND_H
#define WEIR_SPOOL_MEND_H

#include "spool/salvage.h"

struct mend_options {
	int dir_fd;
	uint64_t first_seq; /* of a sealed segment */
	uint64_t end_seq;   /* with it the next one begins */
	uint64_t spare;	    /* how much more disk space may be taken */
};

/* The damaged files are put aside, the clean ones take their names. When nothing turns out to be
 * damaged, nothing is changed. Errors: −ENOSPC (also when `spare` is too little), those of
 * salvage_open() and salvage_copy(); then all is as it was. */
int mend_segment(const struct mend_options *options, struct salvage_report *ret_report);

/* Finishes what mend_segment() did not, because its process died; or takes it back. Errors: those
 * of rename(2) and unlink(2). */
int mend_finish(int dir_fd, uint64_t first_seq);

#endif
