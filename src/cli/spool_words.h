/* Why a file of a spool cannot be read, in words. */
#ifndef WEIR_CLI_SPOOL_WORDS_H
#define WEIR_CLI_SPOOL_WORDS_H

/* Of an error of reader_open() or reader_next(), −errno. */
const char *spool_words(int error);

#endif
