/*
 * One look at each name, once at the start: what others have put into a spool takes its space as
 * well as what is ours. What is gone between two looks takes none.
 */
#include "spool/space.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"
#include "spool/listing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

enum file {
	FILE_OTHER,
	FILE_OF_SEGMENT,
	FILE_DATA, /* of one; each has one such */
	FILE_CUT,  /* of one, or of none */
};

static bool has_segment(int dir_fd, uint64_t seq)
{
	return listing_has(dir_fd, seq, FORMAT_DATA_SUFFIX) != 0 ||
	       listing_has(dir_fd, seq, FORMAT_PACKED_SUFFIX) != 0;
}

static enum file file_of(int dir_fd, const char *name)
{
	static const struct {
		const char *suffix;
		enum file file;
	} suffixes[] = {
		{FORMAT_DATA_SUFFIX, FILE_DATA},	{FORMAT_PACKED_SUFFIX, FILE_DATA},
		{FORMAT_INDEX_SUFFIX, FILE_OF_SEGMENT}, {FORMAT_DATA_CUT_SUFFIX, FILE_CUT},
		{FORMAT_INDEX_CUT_SUFFIX, FILE_CUT},
	};
	enum file file = FILE_OTHER;
	uint64_t seq;
	const char *suffix = format_parse_number(name, &seq);

	for (size_t i = 0; suffix && i < ARRAY_SIZE(suffixes); i++)
		if (strcmp(suffix, suffixes[i].suffix) == 0)
			file = suffixes[i].file;
	if (file == FILE_CUT && !has_segment(dir_fd, seq))
		file = FILE_OTHER;
	return file;
}

static void add(int dir_fd, const char *name, bool all, struct space *space)
{
	enum file file = file_of(dir_fd, name);
	struct stat status;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	space->segments += file == FILE_DATA;
	if ((all || file == FILE_OTHER) && fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		space->bytes += space_of(&status);
}

static int read_all(int dir_fd, bool all, struct space *ret_space)
{
	CLEANUP(io_close_names) DIR *names = NULL;
	struct space space = {.bytes = 0};
	struct dirent *found;
	int r = io_open_names(dir_fd, &names);

	if (r < 0)
		return r;
	while ((errno = 0, found = readdir(names)))
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
