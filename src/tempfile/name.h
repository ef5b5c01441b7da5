/* Names of temporary files: what may be part of one, and the random middle. */
#ifndef WEIR_TEMPFILE_NAME_H
#define WEIR_TEMPFILE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define TEMP_NAME_RANDOM 12 /* characters, by default */
#define TEMP_NAME_RANDOM_MAX 64

/* Whether `part` can be the beginning or the end of a name in a directory. */
bool temp_name_part_valid(const char *part);

/* Whether `name` can be a whole one. */
bool temp_name_valid(const char *name);

/* Whether all characters are such as random names are made of. */
bool temp_name_is_random(const char *text);

/* Fills `size` characters, without a terminator. Errors: those of getrandom(2). */
int temp_name_randomize(char *random, size_t size);

#endif
