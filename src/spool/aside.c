/*
 * Nothing is deleted that somebody might still make sense of. A file is renamed, which needs no
 * space and looks at nothing but the name: it may as well be a link or a directory, and is neither
 * followed nor opened.
 */
#include "spool/aside.h"

#include "spool/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define ASIDE_NAME_SIZE (FORMAT_NAME_SIZE + 16)
#define ASIDE_MAX 1000 /* files of one name */

int aside_put(int dir_fd, uint64_t first_seq, const char *suffix)
{
	char from[FORMAT_NAME_SIZE], to[ASIDE_NAME_SIZE];

	format_name(from, first_seq, suffix);
	for (int i = 1; i <= ASIDE_MAX; i++) {
		snprintf(to, sizeof(to), "%s" FORMAT_ASIDE_SUFFIX "%d", from, i);
		if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0 || errno == ENOENT)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}
