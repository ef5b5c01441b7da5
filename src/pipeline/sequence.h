/* Watches the numbers that a server gives its messages for holes: one of these for each source.
 *
 * Numbers count modulo 2^64, so that signed and unsigned ones, and a counter that begins anew
 * behind its largest, are all the same. The first may be any. A number up to 2^63 − 1 ahead of the
 * last one leaves a gap, however large; all others are behind it, and none of these is a gap:
 *
 * - the last one again;
 * - a late one, which is part of the last gap, if that was of at most SEQUENCE_LATE_MAX: with
 *   redundant connections, what one missed can come by another. The gap was told, and stays so;
 * - any other: the server started again, or repeats what it sent, or its counter has fewer than 64
 *   bits and began anew. Its numbers are watched from there. */
#ifndef WEIR_PIPELINE_SEQUENCE_H
#define WEIR_PIPELINE_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_LATE_MAX 65536

enum sequence_step {
	SEQUENCE_NEXT, /* as it should be, or the first */
	SEQUENCE_GAP,
	SEQUENCE_REPEATED,
	SEQUENCE_LATE,
	SEQUENCE_BACK,
};

struct sequence_gap {
	uint64_t first; /* that is missing */
	uint64_t count;
};

/* Begins as {0}. */
struct sequence {
	bool begun;
	uint64_t last;
	struct sequence_gap gap;		      /* the last one */
	uint64_t missing;			      /* the sum of all gaps */
	uint64_t gaps, repeated, late, back, without; /* how often */
};

/* Notes the number of the next message. Sets `*ret_gap` for SEQUENCE_GAP alone. */
enum sequence_step sequence_see(struct sequence *sequence, uint64_t number,
				struct sequence_gap *ret_gap);

/* Notes a message without a number: it is counted, and means nothing. */
void sequence_see_none(struct sequence *sequence);

#endif
