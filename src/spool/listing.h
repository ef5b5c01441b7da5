/* What segments a directory holds. */
#ifndef WEIR_SPOOL_LISTING_H
#define WEIR_SPOOL_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listing_entry {
	uint64_t first_seq;
	bool data;    /* there is a data file */
	bool sealed;  /* there is a sealed index */
	bool open;    /* there is an index that was not sealed */
	bool packed;  /* there is a compressed file, which holds both */
	bool packing; /* there is one that was never finished */
	bool cut;     /* there is what recovery cut off */
	bool fresh;   /* there is a clean copy, finished or not */
	bool odd;     /* something of these is no regular file: it must not be opened */
};

/* Whether there is anything of the segment itself. */
static inline bool listing_is_segment(const struct listing_entry *entry)
{
	return entry->data || entry->sealed || entry->open;
}

struct listing {
	struct listing_entry *entries; /* by sequence number */
	size_t count;
	bool has_lock;	/* as every spool has */
	size_t asides;	/* files that an earlier start made no sense of */
	size_t foreign; /* names that are none of ours */
};

/* Errors: −ENOMEM, those of open(2) and readdir(3). */
int listing_read(int dir_fd, struct listing *ret_listing);
void listing_done(struct listing *listing);

/* The suffix of the file that a segment is known by: its index, as a rule. */
const char *listing_suffix(const struct listing_entry *entry);

/* Whether a name with this suffix is one of a segment. */
bool listing_is_suffix(const char *suffix);

/* Whether it is one of a file that was put aside. */
bool listing_is_aside(const char *suffix);

/* Whether a file of a segment is there; −errno: nobody knows. */
int listing_has(int dir_fd, uint64_t first_seq, const char *suffix);

/* Sets `*entry` anew, but for `odd`. Errors: those of stat(2). */
int listing_look_again(int dir_fd, struct listing_entry *entry);

static inline void listing_donep(struct listing *listing)
{
	listing_done(listing);
}

#endif
