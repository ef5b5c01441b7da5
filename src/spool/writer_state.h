/* What a writer is made of: shared by writer.c, which puts messages into a segment, writer_files.c,
 * which has its files, and writer_hold.c, which keeps in memory what finds no room in them. */
#ifndef WEIR_SPOOL_WRITER_STATE_H
#define WEIR_SPOOL_WRITER_STATE_H

#include "spool/appender.h"
#include "spool/runs.h"
#include "spool/writer.h"

#include <tempfile.h>

#define WRITER_ENTRIES_MAX 16384 /* half a MiB */

struct writer {
	struct writer_options options;
	struct tempfile *data_file, *index_file;
	struct appender data, index;
	struct format_header header;
	struct segment committed, pending; /* pending: with what is not written yet */
	uint64_t committed_size;	   /* of the data that committed messages take */
	int broken; /* −errno: the files may hold more than was committed */
	bool in_message;
	struct format_entry message; /* the one that is open */
	uint32_t first_crc;	     /* of the payload of the first entry, if that came in parts */
	struct runs runs;	     /* payloads and separators, not written yet */
	uint8_t separator;	     /* for payloads with no byte to spare */
	uint8_t *waiting; /* the same, after a commit for which there was no room; or NULL */
	bool uncut;	  /* what that commit has written is still there, behind these: */
	uint64_t data_before, index_before;
	size_t entry_count;
	uint8_t entries[WRITER_ENTRIES_MAX][FORMAT_ENTRY_SIZE];
};

/* Makes both files, and writes the header. Errors: those of tempfile_open() and write(2); then
 * there is none. */
int writer_open_files(struct writer *writer);

/* Where there is a cap, it is what the files really take that must stay below it. */
void writer_measure(struct writer *writer);

/* Forgets what was appended since the last commit, and touches no file. */
void writer_forget_pending(struct writer *writer);

/* After a commit that found no room: cuts both files back, and keeps what was not written in memory
 * of the writer's own. What the disk is too full to cut stays until it is not. Errors: −ENOMEM,
 * those of ftruncate(2) and pread(2). */
int writer_hold(struct writer *writer);

/* Cuts off what that commit has written, if that was not done. Errors: ftruncate(2)'s. */
int writer_take_back(struct writer *writer);

#endif
