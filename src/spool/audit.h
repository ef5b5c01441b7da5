/* Verifies a spool, all of it, and tells what is not as it should be. It takes no lock and changes
 * nothing, and the spool may be in use. */
#ifndef WEIR_SPOOL_AUDIT_H
#define WEIR_SPOOL_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

enum audit_kind {
	/* Damage. */
	AUDIT_RECORDS = 1, /* `count` records from `seq` on are damaged */
	AUDIT_LOST,	   /* the last `count` of an open segment, from `seq` on, are damaged */
	AUDIT_LOOSE,	   /* record `seq` is whole, but not what stands around it */
	AUDIT_HEADER,	   /* the header is damaged */
	AUDIT_TABLE,	   /* the table of a compressed segment is */
	AUDIT_MISSING,	   /* the last `count` records of a sealed segment */
	AUDIT_INDEX_END,   /* the index ends with `count` bytes of an entry */
	AUDIT_DATA_END,	   /* there are `count` bytes that no entry speaks of */
	AUDIT_NO_INDEX,	   /* there is data without an index */
	AUDIT_NO_DATA,	   /* there is an index, with entries, without data */
	AUDIT_TWO_INDEXES, /* one is sealed and one is open */
	AUDIT_OVERLAP,	   /* its first number is in the middle of another segment */
	AUDIT_ODD,	   /* something of the segment is no regular file */
	AUDIT_FOREIGN,	   /* what is there is no segment of weir */
	AUDIT_VERSION,	   /* of another version of weir */
	AUDIT_LOCK_ODD,	   /* the lock is no regular file, so that nobody can own the spool */
	AUDIT_LOCK,	   /* it does not say which number comes next */
	AUDIT_LOCK_OVER,   /* it says that they are used up */
	AUDIT_UNREADABLE,  /* `error` */
	/* No damage. */
	AUDIT_TORN,	/* the last `count` bytes of an open segment were not captured */
	AUDIT_LEFTOVER, /* of an acknowledgement, or a segment that was just begun */
	AUDIT_CUT,	/* what was cut off the segment is kept */
	AUDIT_CUT_ALL,	/* what no index speaks of is kept */
	AUDIT_MENDING,	/* a start was writing it anew */
	AUDIT_ASIDE,	/* a file that was put aside: `name` */
	AUDIT_OTHER,	/* a file of somebody else: `name` */
	AUDIT_NO_LOCK,	/* there is none */
};

static inline bool audit_is_damage(enum audit_kind kind)
{
	return kind < AUDIT_TORN;
}

struct audit_finding {
	enum audit_kind kind;
	const char *name; /* of the file, until the call returns */
	uint64_t seq;
	uint64_t count;
	int error;
};

struct audit_totals {
	uint64_t segments, records, messages, gaps, bytes; /* that are whole; bytes of payload */
	uint64_t damaged_segments, damaged_records;
	uint64_t read_bytes;
};

struct audit {
	int dir_fd;
	void (*tell)(void *data, const struct audit_finding *finding);
	/* From time to time. Returns false to end it. May be NULL. */
	bool (*progress)(void *data, const struct audit_totals *totals);
	void *data;
};

/* Errors: −EMEDIUMTYPE (it is no spool), −ECANCELED, −ENOMEM, those of listing_read(). */
int audit_spool(const struct audit *audit, struct audit_totals *ret_totals);

#endif
