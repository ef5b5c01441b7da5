/* What a spool looks like from outside: sizes, numbers and times, read from the edges of its files,
 * without a lock and without reading what is in between. */
#ifndef WEIR_SPOOL_SUMMARY_H
#define WEIR_SPOOL_SUMMARY_H

#include "spool/listing.h"

enum summary_state {
	SUMMARY_OPEN, /* being written, or left by one who was killed */
	SUMMARY_SEALED,
	SUMMARY_COMPRESSED,
	SUMMARY_UNKNOWN,    /* of another version */
	SUMMARY_DAMAGED,    /* its header, or what the sizes of its files should be */
	SUMMARY_INCOMPLETE, /* there is data without an index, or what is no file */
	SUMMARY_GONE,	    /* there is none any more, or not yet */
};

/* Of a segment. Times are those of its first and last record, 0 if there is none. */
struct summary_segment {
	enum summary_state state;
	uint64_t first_seq;
	uint64_t records;
	uint64_t first_ns, last_ns;
	uint64_t data_bytes; /* payloads and separators, as they are uncompressed */
	uint64_t disk_bytes; /* of its files, those that were cut off it too */
};

void summary_read_segment(int dir_fd, const struct listing_entry *entry,
			  struct summary_segment *ret_segment);

/* Of all segments. */
struct summary {
	uint64_t segments;
	uint64_t records;
	uint64_t first_ns, last_ns;
	uint64_t data_bytes;
	uint64_t damaged; /* segments that are damaged or incomplete */
	uint64_t cuts;	  /* segments of which something was cut off */
};

void summary_add(struct summary *summary, const struct listing_entry *entry,
		 const struct summary_segment *segment);

/* What all files in a directory take on the disk. Errors: those of open(2) and readdir(3). */
int summary_disk_bytes(int dir_fd, uint64_t *ret_bytes);

#endif
