/* Messages that are missing because there was no room for them. */
#ifndef WEIR_SPOOL_LOSS_H
#define WEIR_SPOOL_LOSS_H

#include "base/macro.h"
#include "spool/format.h"

struct loss {
	uint64_t messages, bytes;
	uint64_t first_ns, last_ns; /* when the first and last came, since 1970 */
	uint16_t source;	    /* or FORMAT_SOURCE_ANY */
};

/* Adds the second to the first. */
static inline void loss_add(struct loss *sum, const struct loss *more)
{
	if (more->messages == 0)
		return;
	if (sum->messages == 0) {
		*sum = *more;
		return;
	}
	if (sum->source != more->source)
		sum->source = FORMAT_SOURCE_ANY;
	sum->messages += more->messages;
	sum->bytes += more->bytes;
	sum->first_ns = MIN(sum->first_ns, more->first_ns);
	sum->last_ns = MAX(sum->last_ns, more->last_ns);
}

#endif
