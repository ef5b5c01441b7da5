/* Between the making of a directory and its lock and mark there is a moment, and the same goes for
 * a file where the file system cannot make one without a name. A process that is killed in that
 * moment leaves something that nobody can tell from somebody else's. So it is made under a name
 * that only this library uses, and gets its own name when it is locked and marked: what has a name
 * like this, is empty, and has a free lock, is a leftover. */
#include "tempfile/stage.h"

#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/mark.h"
#include "tempfile/name.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX ".tempfile-"
#define RANDOM_SIZE 16

char *temp_stage_new(const struct temp_place *place)
{
	size_t length = place->dir_fd == AT_FDCWD ? place->name_start : 0;
	char *staged = malloc(length + sizeof(PREFIX) + RANDOM_SIZE);

	if (!staged)
		return NULL;
	memcpy(staged, place->path, length);
	memcpy(staged + length, PREFIX, strlen(PREFIX));
	memset(staged + length + strlen(PREFIX), '_', RANDOM_SIZE);
	staged[length + strlen(PREFIX) + RANDOM_SIZE] = '\0';
	return staged;
}

int temp_stage_next(char *staged)
{
	return temp_name_randomize(staged + strlen(staged) - RANDOM_SIZE, RANDOM_SIZE);
}

bool temp_stage_is(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
	       strlen(name) == strlen(PREFIX) + RANDOM_SIZE &&
	       temp_name_is_random(name + strlen(PREFIX));
}

/* Makes something empty of the same kind under a name that is free, to be replaced by a rename. */
static int claim(int to_fd, const char *to, bool directory)
{
	int fd;

	if (directory)
		return mkdirat(to_fd, to, S_IRWXU) < 0 ? -errno : 0;
	fd = openat(to_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Where rename(2) replaces whatever is there: a link replaces nothing; and where there are none, as
 * for directories, the name is claimed first. */
static int rename_by_hand(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat status;
	bool directory;
	int r;

	if (linkat(from_fd, from, to_fd, to, 0) == 0)
		return unlinkat(from_fd, from, 0) < 0 ? -errno : 0;
	if (errno == EEXIST || errno == EXDEV || errno == ENOENT)
		return -errno;
	if (fstatat(from_fd, from, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	directory = S_ISDIR(status.st_mode);
	r = claim(to_fd, to, directory);
	if (r == 0 && renameat(from_fd, from, to_fd, to) < 0) {
		r = -errno;
		unlinkat(to_fd, to, directory ? AT_REMOVEDIR : 0);
	}
	return r;
}

int temp_rename(int from_fd, const char *from, int to_fd, const char *to)
{
	if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	return rename_by_hand(from_fd, from, to_fd, to);
}

int temp_stage_mark_next(struct temp_place *place, int fd, ino_t marked_inode)
{
	int r = temp_place_next_name(place);

	if (r == 0 && marked_inode)
		temp_mark(fd, marked_inode, temp_place_name(place));
	return r;
}

int temp_stage_move(const char *staged, struct temp_place *place, int fd, ino_t marked_inode)
{
	for (int i = 0; i < TEMP_CREATE_TRIES; i++) {
		int r = temp_stage_mark_next(place, fd, marked_inode);

		if (r < 0)
			return r;
		r = temp_rename(place->dir_fd, staged, place->dir_fd, temp_place_at(place));
		if (r != -EEXIST || place->name_is_given)
			return r;
	}
	return -EEXIST;
}
