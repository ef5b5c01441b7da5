/* The end of a segment that was still open when its process died. */
#ifndef WEIR_SPOOL_TAIL_H
#define WEIR_SPOOL_TAIL_H

#include <stdbool.h>
#include <stdint.h>

struct tail {
	uint64_t index_size, data_size; /* of the files */
	uint64_t entries;		/* in the index, a torn one not counted */
	uint64_t whole;			/* records */
	uint64_t keep;			/* entries up to the last whole one */
	uint64_t data_end;		/* of that */
	uint64_t lost;			/* records that were captured, and stood behind it */
	uint64_t created_ns;
	bool header;  /* of the index: it is whole */
	bool damaged; /* something before the end is not */
	bool resumed; /* a start was here before, and died: its gap is on record, or a part of it */
};

/* Looks at an open segment from its beginning. Errors: those of salvage_open() and read(2). */
int tail_find(int dir_fd, uint64_t first_seq, struct tail *ret_tail);

struct tail_options {
	int dir_fd;
	uint64_t first_seq;
	uint64_t end_seq; /* with it the next segment begins; 0: there is none */
	uint64_t spare;
};

/* Cuts both files behind the last whole record, and puts on record what is lost. What is cut off is
 * left beside them, in .data.cut and .index.cut: 16 MiB of each at most, and nothing if it is more
 * than `spare` bytes or cannot be written. Errors: those of open(2) and ftruncate(2). */
int tail_cut(const struct tail_options *options, const struct tail *tail);

/* Of a segment without entries, the data becomes .data.cut, under the same conditions; the index is
 * deleted. Errors: those of rename(2), ftruncate(2) and unlink(2). */
int tail_cut_all(const struct tail_options *options, const struct tail *tail, uint64_t *ret_kept);

#endif
