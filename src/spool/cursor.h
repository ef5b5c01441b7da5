/* Reads the records of a whole spool in the order of their numbers, without a lock and without
 * changing anything: one that was left behind, or one that is being written and processed. */
#ifndef WEIR_SPOOL_CURSOR_H
#define WEIR_SPOOL_CURSOR_H

#include "spool/reader.h"

struct cursor;

/* `live`: segments that are sealed and begun while it is being read are read too; else those that
 * are there now, each as far as it is written then. `dir_fd` must stay open. Errors: those of
 * listing_read(). */
int cursor_open(int dir_fd, bool live, struct cursor **ret_cursor);
void cursor_free(struct cursor *cursor);

/* Whether the directory is a spool, or one to be: it may be empty. */
bool cursor_is_spool(const struct cursor *cursor);

/* Up to `max` records in a row, as reader_next_batch() returns them. Numbers only go up: what was
 * returned never comes again. 0: there is nothing more, or with `live`, not yet. An error is about
 * one record, or one segment as cursor_fault() says, and the next call goes on behind it. What was
 * acknowledged meanwhile is passed over. */
ssize_t cursor_next_batch(struct cursor *cursor, struct record *records, size_t max);

/* Of the last batch: how many numbers are missing between what came before it and its first record,
 * those of records that were acknowledged, or whose segment could not be read. 0 behind a seek. */
uint64_t cursor_skipped(const struct cursor *cursor);

/* What an error was about. */
struct cursor_fault {
	uint64_t first_seq;
	const char *suffix; /* of the index */
	bool of_directory;  /* not of a segment: there may be some that are not seen */
	bool of_header;	    /* or of the table of a compressed segment: records come all the same */
	bool of_record;	  /* record `seq` alone; else what is left of the segment is passed over */
	bool at_end;	  /* every record was read, but one of the files goes on, or is too short */
	uint64_t missing; /* there: how many records, as far as it is known */
	uint64_t seq;	  /* of the record that came next */
	uint64_t last_seq; /* the same; further on, where somebody puts several in a row together */
};

const struct cursor_fault *cursor_fault(const struct cursor *cursor);

/* Goes to the first record whose number is `seq` or larger. */
void cursor_seek(struct cursor *cursor, uint64_t seq);

/* Goes to a record of this time or later, such that the one before it is of an earlier time. That
 * is the first one of all, unless times go back somewhere. If all are earlier, to the end. Errors:
 * those of listing_read(). */
int cursor_seek_time(struct cursor *cursor, uint64_t time_ns);

/* The number of the record that comes next, if no number is missing there. */
uint64_t cursor_seq(const struct cursor *cursor);

/* Who has the record that was returned last: for the payload of a large one. Until the next call.
 */
struct reader *cursor_reader(const struct cursor *cursor);

DEFINE_CLEANUP(struct cursor *, cursor_free);

#endif
