/* Writes a clean spool from a damaged one, which is only read. */
#ifndef WEIR_SPOOL_RESCUE_H
#define WEIR_SPOOL_RESCUE_H

#include "spool/directory.h"
#include "spool/salvage.h"

enum rescue_kind {
	RESCUE_DAMAGED = 1, /* a segment was saved, but not all of it: see the report */
	RESCUE_OVERLAP,	    /* its numbers are those of records that were saved already */
	RESCUE_UNUSED,	    /* nothing can be made of the file: there is no index to it */
	RESCUE_UNREADABLE,  /* `error`; −EBADMSG: nothing in it is weir's */
};

struct rescue_news {
	enum rescue_kind kind;
	const char *name; /* of the file, until the call returns */
	const struct salvage_report *report;
	int error;
};

struct rescue_totals {
	uint64_t segments, records, messages, bytes; /* saved */
	uint64_t lost;				     /* records that are gaps now */
	uint64_t left_out; /* files or segments of which nothing was saved */
};

struct rescue {
	int from_fd;			  /* the directory of the damaged spool */
	const struct spool_directory *to; /* one that is open, and empty */
	void (*tell)(void *data, const struct rescue_news *news);
	void *data;
};

/* Segments come first; then files that were put aside, as far as their records are not there yet.
 * Errors: −ENOMEM, those of listing_read() and of writing; then `to` holds what was saved so far.
 */
int rescue_spool(const struct rescue *rescue, struct rescue_totals *ret_totals);

#endif
