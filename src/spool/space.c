/*
 * One look at each name, once at the start: what others have put into a spool takes its space as
 * well as what is ours. What is gone between two looks takes none.
 */
#include "spool/space.h"

#include "spool/format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

static void close_dirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

enum file {
	FILE_OTHER,
	FILE_OF_SEGMENT,
	FILE_DATA, /* of one; each has one such */
};

static enum file file_of(const char *name)
{
	static const struct {
		const char *suffix;
		enum file file;
	} suffixes[] = {
		{FORMAT_DATA_SUFFIX, FILE_DATA},
		{FORMAT_PACKED_SUFFIX, FILE_DATA},
		{FORMAT_INDEX_SUFFIX, FILE_OF_SEGMENT},
		{FORMAT_DATA_CUT_SUFFIX, FILE_OF_SEGMENT},
		{FORMAT_INDEX_CUT_SUFFIX, FILE_OF_SEGMENT},
	};
	uint64_t seq;
	const char *suffix = format_parse_number(name, &seq);

	for (size_t i = 0; suffix && i < ARRAY_SIZE(suffixes); i++)
		if (strcmp(suffix, suffixes[i].suffix) == 0)
			return suffixes[i].file;
	return FILE_OTHER;
}

static void add(int dir_fd, const char *name, bool all, struct space *space)
{
	enum file file = file_of(name);
	struct stat status;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	space->segments += file == FILE_DATA;
	if ((all || file == FILE_OTHER) && fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		space->bytes += space_of(&status);
}

static int read_all(int dir_fd, bool all, struct space *ret_space)
{
	CLEANUP(close_dir) DIR *dir = NULL;
	CLEANUP_FD int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct space space = {.bytes = 0};
	struct dirent *found;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	take_fd(&fd);
	while ((errno = 0, found = readdir(dir)))
		add(dir_fd, found->d_name, all, &space);
	if (errno != 0)
		return -errno;
	*ret_space = space;
	return 0;
}

int space_of_all(int dir_fd, struct space *ret_space)
{
	return read_all(dir_fd, true, ret_space);
}

int space_of_others(int dir_fd, struct space *ret_space)
{
	return read_all(dir_fd, false, ret_space);
}
