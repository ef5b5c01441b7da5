/* What a reader is made of: for reader.c and reader_open.c alone. */
#ifndef WEIR_SPOOL_READER_STATE_H
#define WEIR_SPOOL_READER_STATE_H

#include "spool/reader.h"
#include "spool/window.h"

struct reader {
	struct window index, data;
	uint64_t first_seq;
	uint64_t next; /* number of the entry that comes next */
	uint64_t data_end;
	uint64_t created_ns;
	uint64_t records; /* as the header says; 0: not known */
	bool sealed;
	bool has_header;
	bool damaged; /* told so already */
	bool lost;    /* the entry before was damaged: where the next begins is not known */
	bool fresh;   /* since the first of those that are damaged in a row, the windows are */
	struct format_entry entry; /* returned last */
};

#endif
