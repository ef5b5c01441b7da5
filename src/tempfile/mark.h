/* The mark on files and directories that nobody needs once their owner is gone. */
#ifndef WEIR_TEMPFILE_MARK_H
#define WEIR_TEMPFILE_MARK_H

/* Marks an open file or directory. What cannot be marked is not found by the reaper, no more. */
void temp_mark(int fd);

/* Takes the mark off: it is to be kept. Errors: those of fremovexattr(2). */
int temp_unmark(int fd);

/* 1: it is marked; 0: it is not; −EOPNOTSUPP: the file system has no marks. Else −errno. */
int temp_is_marked(int fd);

#endif
