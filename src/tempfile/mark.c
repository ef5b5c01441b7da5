/* An extended attribute, and not a part of the name: a name can be copied, be chosen by somebody,
 * or be met by chance, and a reaper that deletes by it would one day delete what it should not.
 *
 * An attribute can be copied too, by cp(1) and mv(1), and it stays when a file is renamed or linked
 * to another name, which is how somebody says that it is wanted. So the mark says which inode it is
 * for, and under which name, and is good for no other. */
#include "tempfile/mark.h"

#include "base/macro.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>

#define NAME "user.tempfile"
#define VALUE_MAX (NAME_MAX + 32)

struct mark {
	char value[VALUE_MAX];
	size_t size;
};

static struct mark mark_for(ino_t inode, const char *name)
{
	struct mark mark;

	snprintf(mark.value, sizeof(mark.value), "%llu %.*s", (unsigned long long)inode, NAME_MAX,
		 name);
	mark.size = strlen(mark.value);
	return mark;
}

static int set(int fd, const struct mark *mark)
{
	return fsetxattr(fd, NAME, mark->value, mark->size, 0) < 0 ? -errno : 0;
}

static int take_off(int fd, const struct mark *mark)
{
	(void)mark;
	return fremovexattr(fd, NAME) < 0 ? -errno : 0;
}

/* Attributes are for those who may write to the file, and to have it open for writing does not
 * count. So the owner's permissions are widened for a moment. */
static int with_permission(int fd, int (*change)(int fd, const struct mark *mark),
			   const struct mark *mark)
{
	struct stat status;
	int r = change(fd, mark);

	if (r != -EACCES || fstat(fd, &status) < 0 || fchmod(fd, status.st_mode | S_IWUSR) < 0)
		return r;
	r = change(fd, mark);
	return fchmod(fd, status.st_mode & 07777) < 0 ? -errno : r;
}

void temp_mark(int fd, ino_t inode, const char *name)
{
	struct mark mark = mark_for(inode, name);

	with_permission(fd, set, &mark);
}

int temp_unmark(int fd)
{
	int r = with_permission(fd, take_off, NULL);

	return r == -ENODATA || r == -EOPNOTSUPP ? 0 : r;
}

int temp_is_marked(int fd, ino_t inode, const char *name)
{
	struct mark expected = mark_for(inode, name);
	char value[VALUE_MAX];
	ssize_t size = fgetxattr(fd, NAME, value, sizeof(value));

	if (size < 0)
		return errno == ENODATA || errno == ERANGE ? 0 : -errno;
	return (size_t)size == expected.size && memcmp(value, expected.value, expected.size) == 0;
}
