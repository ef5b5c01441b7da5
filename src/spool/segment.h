/* A sealed segment: what is known of it, and the two files that it is. */
#ifndef WEIR_SPOOL_SEGMENT_H
#define WEIR_SPOOL_SEGMENT_H

#include "base/macro.h"
#include "spool/format.h"

#include <stdbool.h>
#include <stdint.h>

struct tempfile;

struct segment {
	struct segment *next;
	struct tempfile *data_file, *index_file; /* without names; NULL: named, in the directory */
	bool packed;	/* compressed, in one file; then the two above are a view of it */
	int view_error; /* −errno: there can be no view */
	uint64_t first_seq;
	uint64_t records; /* messages and events */
	uint64_t disk_bytes;
	bool has_cuts; /* recovery cut something off it, which is kept beside it */
	bool counted;  /* the rest is known: segment_check() was done, or it was written just now */
	bool gapped;   /* it says how many messages were dropped before it */
	uint64_t messages;
	uint64_t bytes;		/* of their payloads */
	uint64_t first_time_ns; /* of the first and last message, 0 if there is none */
	uint64_t last_time_ns;
};

/* What is captured of one source. */
struct segment_share {
	uint64_t messages, bytes;
};

/* Counts one more message. */
static inline void segment_count(struct segment *segment, const struct format_entry *message)
{
	if (segment->messages++ == 0)
		segment->first_time_ns = message->time_ns;
	segment->last_time_ns = message->time_ns;
	segment->bytes += message->length;
}

/* How large the data file of a counted segment is: payloads and separators, and nothing else. */
static inline uint64_t segment_data_size(const struct segment *segment)
{
	return segment->bytes + segment->messages;
}

/* Reads a segment through, checks every record and counts them. Errors: −EBADMSG (something in it
 * is damaged), else those of reader_open() and read(2). */
int segment_check(int dir_fd, struct segment *segment);

/* Opens the data or the index of a sealed segment for reading, with a position of its own; `suffix`
 * is FORMAT_DATA_SUFFIX or FORMAT_INDEX_SUFFIX. Errors: those of open(2). */
int segment_open_file(int dir_fd, const struct segment *segment, const char *suffix, int *ret_fd);

/* Deletes the files of a sealed segment: this is the acknowledgement. Those without names are gone
 * when they are closed. Errors: those of unlink(2). The segment is freed, unless io_is_full() says
 * of the error that it can be tried again: some file systems need room to give some back. */
int segment_ack(int dir_fd, struct segment *segment);

/* Closes files without names, and leaves others as they are. NULL is fine. */
void segment_free(struct segment *segment);

/* Makes one file of the segment that begins with `first_seq`, for writing, which must not be there
 * yet. A descriptor, or the errors of open(2). */
int segment_create_file(int dir_fd, uint64_t first_seq, const char *suffix);

/* Gives the index of the segment that begins with `first_seq` the name of a sealed one. Errors:
 * those of rename(2). */
int segment_rename(int dir_fd, uint64_t first_seq);

/* Gives one file of it another suffix; the same. */
int segment_rename_file(int dir_fd, uint64_t first_seq, const char *from, const char *to);

/* Deletes the data of the segment that begins with `first_seq`, then its index, whose suffix is one
 * of FORMAT_INDEX_SUFFIX (the moment at which a segment is acknowledged) and FORMAT_OPEN_SUFFIX.
 * What is gone already is no error. */
int segment_delete(int dir_fd, uint64_t first_seq, const char *index_suffix);

/* Deletes what recovery cut off it; the same. */
int segment_delete_cuts(int dir_fd, uint64_t first_seq);

/* Deletes one file of it; the same. */
int segment_delete_file(int dir_fd, uint64_t first_seq, const char *suffix);

/* Whether there is a file of it that holds something: an index has to have a whole entry for that.
 * What is no regular file is taken for a full one. −errno: nobody knows, and so nothing may be done
 * to it. */
int segment_holds(int dir_fd, uint64_t first_seq, const char *suffix);

DEFINE_CLEANUP(struct segment *, segment_free);

#endif
