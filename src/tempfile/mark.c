/* An extended attribute, and not a part of the name: a name can be copied, be chosen by somebody,
 * or be met by chance, and a reaper that deletes by it would one day delete what it should not. The
 * attribute belongs to the inode, goes with it, and a file that is kept loses it. */
#include "tempfile/mark.h"

#include "base/macro.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define NAME "user.tempfile"

/* Attributes are for those who may write to the file, and to have it open for writing does not
 * count. So the owner's permissions are widened for a moment. */
static int with_permission(int fd, int (*change)(int fd))
{
	struct stat status;
	int r = change(fd);

	if (r != -EACCES || fstat(fd, &status) < 0 || fchmod(fd, status.st_mode | S_IWUSR) < 0)
		return r;
	r = change(fd);
	return fchmod(fd, status.st_mode & 07777) < 0 ? -errno : r;
}

static int set(int fd)
{
	return fsetxattr(fd, NAME, "1", 1, 0) < 0 ? -errno : 0;
}

static int take_off(int fd)
{
	return fremovexattr(fd, NAME) < 0 ? -errno : 0;
}

void temp_mark(int fd)
{
	with_permission(fd, set);
}

int temp_unmark(int fd)
{
	int r = with_permission(fd, take_off);

	return r == -ENODATA || r == -EOPNOTSUPP ? 0 : r;
}

int temp_is_marked(int fd)
{
	char value;

	if (fgetxattr(fd, NAME, &value, sizeof(value)) == 1)
		return 1;
	return errno == ENODATA || errno == ERANGE ? 0 : -errno;
}
