/* What a cursor is made of: for cursor.c and cursor_open.c alone. */
#ifndef WEIR_SPOOL_CURSOR_STATE_H
#define WEIR_SPOOL_CURSOR_STATE_H

#include "spool/cursor.h"
#include "spool/listing.h"

struct cursor {
	int dir_fd;
	bool live;
	struct listing listing;
	size_t at;	 /* in the listing: the segment that is opened next */
	uint64_t passed; /* the last segment that was opened; nothing up to it is opened again */
	bool has_passed;
	uint64_t seq;		    /* of the next record */
	uint64_t end;		    /* behind the last one that was returned */
	bool continuing;	    /* there was one before it */
	uint64_t skipped, skipping; /* before the last batch, and before the next one */
	struct reader *reader;	    /* NULL: between two segments */
	uint64_t first_seq;	    /* of the segment that is being read */
	bool sealed, gone;
	const char *suffix; /* of the file that could not be opened */
	uint64_t sure; /* below it, an entry of the open segment that is not whole is damaged */
	bool blind;    /* the directory cannot be listed */
	struct cursor_fault fault;
};

/* Finds in the listing the segment that is to be opened next. */
void cursor_place(struct cursor *cursor);

/* Looks at the directory again. Errors: those of listing_read(). */
int cursor_refresh(struct cursor *cursor);

/* Of an index of the segment with this number; −1: there is none. */
off_t cursor_index_size(const struct cursor *cursor, uint64_t first_seq, const char *suffix);

/* Opens a segment, which may be sealed by its owner in the same moment. −ENODATA: it has no header
 * yet. Else the errors of reader_open(). */
int cursor_open_reader(const struct cursor *cursor, const struct listing_entry *entry,
		       bool *ret_sealed, struct reader **ret_reader);

/* Opens the segment that begins with the next number. −ENOENT: it is not there; or it is being
 * begun, or damaged, which is for the listing to tell. */
int cursor_open_following(struct cursor *cursor);

/* Opens the segment that the listing says is next. 1, or an error with `reader` set: of the header
 * alone, or the table of a compressed segment. 0: not yet; −EAGAIN: it is not there any
 * more, or nothing was captured in it. Errors: −ENOENT (a file of it is missing), −EBUSY (a start
 * died while it wrote the segment anew), −EEXIST (its numbers are those of the segment before),
 * those of reader_open(); then `suffix` says which file that is about. */
int cursor_open_listed(struct cursor *cursor);

/* Whether a number is one of a segment that is still to be opened, as far as the listing says. */
bool cursor_is_of_next(const struct cursor *cursor, uint64_t seq);

#endif
