/* Why something in a spool cannot be read, in words. */
#ifndef WEIR_PIPELINE_READER_WORDS_H
#define WEIR_PIPELINE_READER_WORDS_H

#include "spool/cursor.h"

#define READER_WORDS_SIZE 4400 /* a path and a few words */

/* Of an error of reader_open() or reader_next(), −errno. */
const char *reader_words(int error);

/* The whole sentence for an error of a cursor on the spool at `path`. Returns `to`. */
const char *reader_words_fault(char to[READER_WORDS_SIZE], const char *path,
			       const struct cursor_fault *fault, int error);

/* The same when a spool cannot be opened. */
const char *reader_words_spool(char to[READER_WORDS_SIZE], const char *path, int error);

#endif
