/* Finds spools: those in a directory. */
#ifndef WEIR_CLI_SPOOLS_H
#define WEIR_CLI_SPOOLS_H

#include "spool/listing.h"

/* A directory that may be a spool. */
struct spools_found {
	const char *path;
	int parent_fd; /* the directory that it is in, −1: not known */
	const char *name;
	int dir_fd;
	struct listing listing;
	bool is_spool;
};

typedef void spools_visit(void *data, const struct spools_found *found);

/* Looks at one directory. A symbolic link at the end of the path is not followed if `name` is not
 * the path itself: below a directory, only what is really in it counts. Errors: those of open(2).
 */
int spools_look(int parent_fd, const char *path, const char *name, spools_visit *visit, void *data);

/* Visits every spool directly in `dir` whose name begins with `prefix`, by name. What cannot be
 * looked at is passed over. Errors: those of scandir(3). */
int spools_each(const char *dir, const char *prefix, spools_visit *visit, void *data);

#endif
