/* The mark on files and directories that nobody needs once their owner is gone. */
#ifndef WEIR_TEMPFILE_MARK_H
#define WEIR_TEMPFILE_MARK_H

#include <sys/stat.h>

/* Marks an open file or directory, for as long as it is this inode under this name (without its
 * directory). What cannot be marked is not found by the reaper, no more. */
void temp_mark(int fd, ino_t inode, const char *name);

/* Takes the mark off: it is to be kept. Errors: those of fremovexattr(2). */
int temp_unmark(int fd);

/* 1: it has a mark that is good for this inode and name; 0: it has none, or one that is not;
 * −EOPNOTSUPP: the file system has no marks. Else −errno. */
int temp_is_marked(int fd, ino_t inode, const char *name);

#endif
