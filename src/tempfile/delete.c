/* Deleting by identity.
 *
 * A path is only where the file was made. By now the file may have been renamed, deleted or
 * replaced (many programs save by writing another file and renaming it over the old one), and then
 * what is there belongs to somebody else. So device and inode number are compared first, which is
 * sound while we have the file open: its inode number is not given away again. Symbolic links are
 * not followed: a link at the path is not our file. Between the comparison and the deletion there
 * is a moment that Linux offers no way to close. */
#include "tempfile/delete.h"

#include <errno.h>
#include <unistd.h>

struct temp_identity temp_identity_of(const struct stat *status)
{
	return (struct temp_identity){.device = status->st_dev, .inode = status->st_ino};
}

bool temp_identity_is(struct temp_identity a, struct temp_identity b)
{
	return a.device == b.device && a.inode == b.inode;
}

int temp_holds_at(int dir_fd, const char *path, struct temp_identity identity)
{
	struct stat status;

	if (fstatat(dir_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	return temp_identity_is(temp_identity_of(&status), identity);
}

int temp_place_holds(const struct temp_place *place, struct temp_identity identity)
{
	return temp_holds_at(place->dir_fd, temp_place_at(place), identity);
}

int temp_delete_at(int dir_fd, const char *path, struct temp_identity identity)
{
	int r = temp_holds_at(dir_fd, path, identity);

	if (r <= 0)
		return r;
	if (unlinkat(dir_fd, path, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int temp_delete(const struct temp_place *place, struct temp_identity identity)
{
	return temp_delete_at(place->dir_fd, temp_place_at(place), identity);
}
