/* A sealed segment: what is known of it, and the two files that it is. */
#ifndef WEIR_SPOOL_SEGMENT_H
#define WEIR_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct segment {
	struct segment *next;
	uint64_t first_seq;
	uint64_t records; /* messages and events */
	uint64_t disk_bytes;
	bool counted; /* the rest is known: segment_check() was done, or it was written just now */
	uint64_t messages;
	uint64_t bytes;		/* of their payloads */
	uint64_t first_time_ns; /* of the first and last message, 0 if there is none */
	uint64_t last_time_ns;
};

/* Reads a segment through, checks every record and counts them. Errors: −EBADMSG (something in it
 * is damaged), else those of reader_open() and read(2). */
int segment_check(int dir_fd, struct segment *segment);

/* Deletes the data, then the index: the moment at which a segment is acknowledged. What is gone
 * already is no error. */
int segment_delete(int dir_fd, const struct segment *segment);

#endif
