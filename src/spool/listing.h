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
};

struct listing {
	struct listing_entry *entries; /* by sequence number */
	size_t count;
	bool has_lock;	/* as every spool has */
	size_t foreign; /* names that are none of ours */
};

/* Errors: −ENOMEM, those of open(2) and readdir(3). */
int listing_read(int dir_fd, struct listing *ret_listing);
void listing_done(struct listing *listing);

static inline void listing_donep(struct listing *listing)
{
	listing_done(listing);
}

#endif
