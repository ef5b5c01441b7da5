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
#include <sys/stat.h>

#define ASIDE_NAME_SIZE (FORMAT_NAME_SIZE + 16)
#define ASIDE_MAX 1000 /* files of one name */

/* Some file systems, as NFS, cannot do it in one step. The spool is ours, so that nobody else takes
 * the name in between. */
static int rename_to_free_name(int dir_fd, const char *from, const char *to)
{
	struct stat status;

	if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (fstatat(dir_fd, to, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT)
		return -errno;
	return renameat(dir_fd, from, dir_fd, to) < 0 ? -errno : 0;
}

int aside_put(int dir_fd, uint64_t first_seq, const char *suffix)
{
	char from[FORMAT_NAME_SIZE], to[ASIDE_NAME_SIZE];

	format_name(from, first_seq, suffix);
	for (int i = 1; i <= ASIDE_MAX; i++) {
		int r;

		snprintf(to, sizeof(to), "%s" FORMAT_ASIDE_SUFFIX "%d", from, i);
		r = rename_to_free_name(dir_fd, from, to);
		if (r != -EEXIST)
			return r == -ENOENT ? 0 : r;
	}
	return -EEXIST;
}
