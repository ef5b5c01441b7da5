/* Absolute paths.
 *
 * A program may change its working directory between making a file and deleting it, so that every
 * path is made absolute first. Empty components and "." are dropped. ".." stays: taking it out
 * together with the component before it is wrong when that one is a symbolic link. */
#include "tempfile/path.h"

#include "base/macro.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* In place; `path` begins with '/'. */
static void tidy(char *path)
{
	char *to = path;

	for (const char *from = path; *from;) {
		size_t size = 1 + strcspn(from + 1, "/");
		bool empty = size == 1 || (size == 2 && from[1] == '.');

		if (!empty) {
			memmove(to, from, size);
			to += size;
		}
		from += size;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static char *join(const char *dir, const char *rest)
{
	size_t dir_length = strlen(dir);
	size_t rest_size = strlen(rest) + 1;
	char *path = malloc(dir_length + 1 + rest_size);

	if (!path)
		return NULL;
	memcpy(path, dir, dir_length);
	path[dir_length] = '/';
	memcpy(path + dir_length + 1, rest, rest_size);
	return path;
}

int temp_path_absolute(const char *path, char **ret_path)
{
	CLEANUP_FREE char *cwd = NULL;
	char *joined;

	if (!*path)
		return -ENOENT;
	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return -errno;
	}
	joined = join(cwd ? cwd : "", path);
	if (!joined)
		return -ENOMEM;
	tidy(joined);
	*ret_path = joined;
	return 0;
}

const char *temp_path_proc(char buffer[static TEMP_PATH_PROC_SIZE], int fd)
{
	snprintf(buffer, TEMP_PATH_PROC_SIZE, "/proc/self/fd/%d", fd);
	return buffer;
}

int temp_path_of_fd(int fd, char **ret_path)
{
	char link[TEMP_PATH_PROC_SIZE];
	char target[PATH_MAX];
	ssize_t length;

	length = readlink(temp_path_proc(link, fd), target, sizeof(target));
	if (length <= 0 || length == (ssize_t)sizeof(target) || target[0] != '/')
		return -ENOENT;
	target[length] = '\0';
	return temp_path_absolute(target, ret_path);
}
