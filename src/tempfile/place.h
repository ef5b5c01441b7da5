/* Where a new file or directory goes, and where it is found again. */
#ifndef WEIR_TEMPFILE_PLACE_H
#define WEIR_TEMPFILE_PLACE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <tempfile.h>

struct temp_place {
	int dir_fd;	     /* of the directory, ours; or AT_FDCWD, and then `dir` is absolute */
	char *dir;	     /* the absolute path, NULL when there is a descriptor */
	char *path;	     /* directory and name, or the name alone when that is all we know */
	size_t name_start;   /* in `path` */
	size_t random_start; /* in `path` */
	size_t random_size;
	bool name_is_given; /* not random */
};

#define TEMP_PLACE_NONE                                                                            \
	{                                                                                          \
		.dir_fd = AT_FDCWD                                                                 \
	}

/* Wants resolved options (options.h). Opens a descriptor only when dir_fd is one of them. Errors:
 * those of openat(2) and getcwd(3), −ENOMEM; then there is nothing to be done with. */
int temp_place_init(struct temp_place *place, const struct tempfile_options *options);
void temp_place_done(struct temp_place *place);

/* Picks the next name: a new random one, or the given one again. Errors: those of getrandom(2). */
int temp_place_next_name(struct temp_place *place);

/* What openat(2) and its like know the directory, and the file in it, by: relative to dir_fd. */
const char *temp_place_dir(const struct temp_place *place);
const char *temp_place_at(const struct temp_place *place);

/* The name alone. */
const char *temp_place_name(const struct temp_place *place);

/* The absolute path, NULL when it is not known. */
const char *temp_place_path(const struct temp_place *place);

#endif
