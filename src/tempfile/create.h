/* Making files: born locked, or without a name. */
#ifndef WEIR_TEMPFILE_CREATE_H
#define WEIR_TEMPFILE_CREATE_H

#include "tempfile/delete.h"
#include "tempfile/place.h"

#include <tempfile.h>

/* How many random names are tried, each of them taken. Two would do: more are somebody's attack. */
#define TEMP_CREATE_TRIES 100

struct temp_created {
	int fd;
	struct temp_identity identity;
};

/* Both want resolved options (options.h), and the first the place made of them. Errors: as
 * tempfile_open_with(); nothing is left behind. */
int temp_create_named(struct temp_place *place, const struct tempfile_options *options,
		      struct temp_created *ret_created);
int temp_create_anonymous(const struct tempfile_options *options, int *ret_fd);

/* Gives an open file without a name one: exactly this, or the first that is free of those that the
 * place makes; it is marked for that first, if `marked_inode` is not 0. Errors: those of linkat(2);
 * −EEXIST also when all that were tried are taken. */
int temp_link(int fd, int dir_fd, const char *name);
int temp_link_under_free_name(int fd, struct temp_place *place, ino_t marked_inode);

/* A file in memory, which needs no place. */
int temp_create_memory(const struct tempfile_options *options, int *ret_fd);

#endif
