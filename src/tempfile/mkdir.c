/* Temporary directories: mkdirat(2) under random names until one is free.
 *
 * The umask can only take permissions away, so a directory is never more open than asked, and what
 * is missing is added after. That is done without following a symbolic link, in case somebody who
 * may write to the directory above swaps ours for one. */
#include "tempfile/create.h"
#include "tempfile/options.h"
#include "tempfile/place.h"

#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <tempfile.h>
#include <unistd.h>

static int make(struct temp_place *place, mode_t mode)
{
	for (int i = 0; i < TEMP_CREATE_TRIES; i++) {
		int r = temp_place_next_name(place);

		if (r < 0)
			return r;
		if (mkdirat(place->dir_fd, temp_place_at(place), mode) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		if (place->name_is_given)
			break;
	}
	return -EEXIST;
}

static int set_mode(const struct temp_place *place, mode_t mode)
{
	const char *path = temp_place_at(place);
	struct stat status;

	if (fstatat(place->dir_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* A directory gets the set-group-ID bit from the one above, where that is the custom. */
	mode |= status.st_mode & S_ISGID;
	if ((status.st_mode & 07777) == mode)
		return 0;
	return fchmodat(place->dir_fd, path, mode, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int make_in(struct temp_place *place, mode_t mode)
{
	int r;

	r = make(place, mode);
	if (r < 0)
		return r;
	r = set_mode(place, mode);
	if (r < 0)
		unlinkat(place->dir_fd, temp_place_at(place), AT_REMOVEDIR);
	return r;
}

int tempfile_mkdir_with(char **ret_path, const struct tempfile_options *options)
{
	struct tempfile_options resolved;
	struct temp_place place;
	int r = options && options->memory ? -EINVAL
					   : temp_options_resolve(options, 0700, &resolved);

	if (r < 0)
		return r;
	r = temp_place_init(&place, &resolved);
	if (r < 0)
		return r;
	r = temp_place_path(&place) ? make_in(&place, resolved.mode) : -ENOENT;
	if (r == 0)
		*ret_path = TAKE_PTR(place.path);
	temp_place_done(&place);
	return r;
}
