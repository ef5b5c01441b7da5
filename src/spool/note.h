/* The number that comes next, noted in the file "lock" for the time when no segment is there to
 * tell. */
#ifndef WEIR_SPOOL_NOTE_H
#define WEIR_SPOOL_NOTE_H

#include <stdint.h>

#define NOTE_SIZE 26 /* with its newline; the owner's line follows */

enum note_kind {
	NOTE_NONE,    /* nothing, or zeros: what has not reached the disk */
	NOTE_FOREIGN, /* something that was never a note of ours */
	NOTE_DAMAGED, /* what is left of one */
	NOTE_WHOLE,
};

struct note {
	enum note_kind kind;
	uint64_t next_seq; /* 0: not known */
};

/* Errors: those of pread(2) and pwrite(2). */
int note_read(int lock_fd, struct note *ret_note);
int note_write(int lock_fd, uint64_t next_seq);

/* Reads it in a directory, for who only looks. Errors: those of open(2) and read(2); −EMEDIUMTYPE:
 * what has the name is no regular file. */
int note_look(int dir_fd, struct note *ret_note);

#endif
