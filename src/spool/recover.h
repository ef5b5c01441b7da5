/* Makes a spool that a killed process left behind usable again. */
#ifndef WEIR_SPOOL_RECOVER_H
#define WEIR_SPOOL_RECOVER_H

#include "spool/listing.h"

enum recover_kind {
	RECOVER_LOST = 1, /* the last `records` of a segment were captured, and are gone */
	RECOVER_MENDED,	  /* `records` of a segment were damaged, the rest is there; the damaged
			     files were put aside */
	RECOVER_ASIDE,	  /* nothing can be made of these files, which were put aside */
	RECOVER_LEFT,	  /* a segment is left as it is because of `error` */
	RECOVER_CUT,	  /* no entry speaks of `bytes` of data, of which `kept` are in .data.cut */
};

struct recover_news {
	enum recover_kind kind;
	uint64_t first_seq; /* of the segment */
	uint64_t records;
	uint64_t bytes, kept;
	int error; /* −errno */
};

struct recovery {
	int dir_fd;
	bool same_boot;	  /* the machine runs since all of it was written */
	uint64_t spare;	  /* how much more disk space may be taken */
	uint64_t end_seq; /* of recover_segment(): with it the next segment begins; 0: there is none
			   */
	void (*tell)(void *data, const struct recover_news *news); /* may be NULL */
	void *data;
};

/* Seals a segment whose index is still open, as far as it is whole, and mends it when it is damaged
 * before its end. Deletes what is left of one that was acknowledged or never begun. What cannot be
 * made sense of (data without an index, a segment whose index is not one, what is no regular file)
 * is put aside, or deleted when it is empty. Then `*entry` says what is there now. Errors: −EPROTO
 * (of another version of weir), else those of the system; then it is as it was, or can be recovered
 * once more. */
int recover_segment(const struct recovery *recovery, struct listing_entry *entry);

/* Puts a segment aside, whatever it is, and deletes of it what is empty. */
int recover_put_aside(const struct recovery *recovery, struct listing_entry *entry);

/* Mends a sealed segment that is damaged, and tells. One of which nothing at all is whole is put
 * aside: then the result is RECOVER_ASIDE, and there is no such segment any more. Errors: see
 * mend_segment(). */
int recover_mend(const struct recovery *recovery, uint64_t first_seq, uint64_t end_seq);

#endif
