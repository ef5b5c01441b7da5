/* Makes a clean segment of a damaged one: every whole record stays and keeps its number, and in the
 * place of each damaged one stands a gap. */
#ifndef WEIR_SPOOL_SALVAGE_H
#define WEIR_SPOOL_SALVAGE_H

#include "spool/reader.h"

#include <stdbool.h>
#include <stdint.h>

/* The files of a segment, whatever they are called. */
struct salvage_source {
	struct reader *reader;
	uint64_t first_seq;
	uint64_t end_seq; /* with it the next segment begins; 0: not known */
	uint64_t index_size, data_size;
	bool sealed;
};

/* Opens them. Errors: −EPROTO (of another version of weir), −ELOOP (a link), −EMEDIUMTYPE (no
 * regular file), −ENOMEM, those of open(2) and read(2). */
int salvage_open(struct salvage_source *source, int dir_fd, const char *index_name,
		 const char *data_name);

/* The same of a compressed segment. */
int salvage_open_packed(struct salvage_source *source, int dir_fd, const char *name);

/* The same for a segment under its own names, which may be compressed if it is sealed. */
int salvage_open_segment(struct salvage_source *source, int dir_fd);
void salvage_close(struct salvage_source *source);

/* What was found. */
struct salvage_report {
	uint64_t whole;	   /* records */
	uint64_t messages; /* of these */
	uint64_t bytes;	   /* of their payloads */
	uint64_t damaged;  /* records that are gaps now */
	uint64_t missing; /* records behind the last one that the index knows; they are a gap too */
	uint64_t loose;	  /* whole, but what stands around them was not as it should be */
	uint64_t records; /* of the copy */
	bool header;	  /* the header of the index was whole */
	bool table;	  /* that of a compressed segment was whole */
	bool end;	  /* both files ended where they should */
};

static inline bool salvage_found_damage(const struct salvage_report *report)
{
	return report->damaged > 0 || report->loose > 0 || !report->header || !report->table ||
	       !report->end;
}

/* Writes the copy into two files, which are empty. Errors: −EBADMSG (nothing in it is weir's),
 * −ENOMEM, those of read(2) and write(2). */
int salvage_copy(struct salvage_source *source, int index_fd, int data_fd,
		 struct salvage_report *ret_report);

static inline void salvage_closep(struct salvage_source *source)
{
	salvage_close(source);
}

#endif
