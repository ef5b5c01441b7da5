/* A walk over directories that are held open by descriptor: a name is only ever looked up in the
 * directory that it was read from, and never through a symbolic link, so that nobody can lead the
 * walk elsewhere by swapping a directory for a link.
 *
 * A few levels are open at a time. What lies deeper is first moved up, to the top of the tree,
 * under a name of its own, and comes back as a shallow tree: so depth costs neither descriptors nor
 * stack, and no path is ever too long. Every directory is read until a whole reading finds nothing
 * more to delete.
 *
 * A mount point inside is refused by openat2(2), and by the device number on kernels that do not
 * have it. Directories are read by getdents64(2) into small buffers on the stack, since opendir(3)
 * wants memory, which a signal handler may not ask for. */
#include "tempfile/remove.h"

#include "base/macro.h"
#include "tempfile/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEVELS 8
#define READ_SIZE 2048
#define READINGS_MAX 1000000 /* of one directory: somebody may add to it for ever */
#define MOVE_TRIES 16
#define MOVED_NAME_SIZE 32

/* As getdents64(2) has it. */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

/* One directory that is being emptied. */
struct level {
	int fd;
	bool deleted; /* something, in this reading: the next one may find what this one passed over
		       */
	uint32_t readings;
	size_t at, fill; /* in the buffer */
	char name[NAME_MAX + 1];
	_Alignas(struct entry) char buffer[READ_SIZE];
};

struct walk {
	dev_t device;
	int error; /* the first */
	size_t depth;
	struct level levels[LEVELS];
};

static void note(struct walk *walk, int error)
{
	if (error < 0 && error != -ENOENT && walk->error == 0)
		walk->error = error;
}

/* Opens a directory in another one. −EXDEV: something is mounted there. */
static int open_inside(const struct walk *walk, int dir_fd, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	struct stat status;
	int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dir_fd, name, (int)how.flags);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0 || status.st_dev != walk->device) {
		close(fd);
		return -EXDEV;
	}
	return fd;
}

/* Makes a directory of ours one that can be emptied and moved. Failing that, what follows fails. */
static void open_up(const struct walk *walk, int dir_fd, const char *name)
{
	char path[TEMP_PATH_PROC_SIZE];
	CLEANUP_FD int fd = open_inside(walk, dir_fd, name, O_PATH);

	if (fd < 0)
		return;
	(void)!chmod(temp_path_proc(path, fd), S_IRWXU);
}

static int open_child(const struct walk *walk, int dir_fd, const char *name)
{
	struct stat status;
	int fd = open_inside(walk, dir_fd, name, O_RDONLY);

	if (fd == -EACCES) {
		open_up(walk, dir_fd, name);
		fd = open_inside(walk, dir_fd, name, O_RDONLY);
	}
	if (fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & S_IRWXU) != S_IRWXU)
		(void)!fchmod(fd, S_IRWXU);
	return fd;
}

static void push(struct walk *walk, int fd, const char *name)
{
	struct level *level = &walk->levels[walk->depth++];

	level->fd = fd;
	level->deleted = false;
	level->readings = 0;
	level->at = level->fill = 0;
	strncpy(level->name, name, NAME_MAX);
	level->name[NAME_MAX] = '\0';
}

/* Moves a directory to the top of the tree, where it will be found again. */
static int move_up(const struct walk *walk, int dir_fd, const char *name)
{
	char moved[MOVED_NAME_SIZE];
	uint64_t random;
	int r = -EEXIST;

	for (int i = 0; i < MOVE_TRIES && r == -EEXIST; i++) {
		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return -errno;
		snprintf(moved, sizeof(moved), ".removed-%016llx", (unsigned long long)random);
		r = renameat2(dir_fd, name, walk->levels[0].fd, moved, RENAME_NOREPLACE) < 0
			    ? -errno
			    : 0;
	}
	return r;
}

/* Goes into a directory, or moves it up when that would be too deep. */
static int enter(struct walk *walk, const char *name)
{
	struct level *level = &walk->levels[walk->depth - 1];
	int r;

	if (walk->depth < LEVELS) {
		int fd = open_child(walk, level->fd, name);

		if (fd >= 0)
			push(walk, fd, name);
		return MIN(fd, 0);
	}
	r = move_up(walk, level->fd, name);
	if (r == -EACCES) { /* to change what ".." is in it, it must be writable */
		open_up(walk, level->fd, name);
		r = move_up(walk, level->fd, name);
	}
	if (r == 0)
		walk->levels[0].deleted = level->deleted = true;
	return r;
}

static void delete_entry(struct walk *walk, const struct entry *entry)
{
	struct level *level = &walk->levels[walk->depth - 1];

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return;
	if (entry->type != DT_DIR) {
		if (unlinkat(level->fd, entry->name, 0) == 0) {
			level->deleted = true;
			return;
		}
		if (errno != EISDIR)
			return note(walk, -errno);
	}
	if (unlinkat(level->fd, entry->name, AT_REMOVEDIR) == 0) { /* if it is empty */
		level->deleted = true;
		return;
	}
	if (errno == ENOTEMPTY || errno == EEXIST || errno == EACCES)
		return note(walk, enter(walk, entry->name));
	if (errno != ENOTDIR || unlinkat(level->fd, entry->name, 0) < 0)
		note(walk, -errno);
}

/* The next entry of the directory on top, NULL at the end of a reading. */
static const struct entry *next_entry(struct walk *walk)
{
	struct level *level = &walk->levels[walk->depth - 1];
	const struct entry *entry;

	if (level->at == level->fill) {
		long size = syscall(SYS_getdents64, level->fd, level->buffer, READ_SIZE);

		if (size < 0)
			note(walk, -errno);
		if (size <= 0)
			return NULL;
		level->at = 0;
		level->fill = (size_t)size;
	}
	entry = (const struct entry *)(const void *)(level->buffer + level->at);
	level->at += entry->size;
	return entry;
}

/* Begins another reading of the directory on top, if the last one was of any use. */
static bool read_again(struct walk *walk)
{
	struct level *level = &walk->levels[walk->depth - 1];

	if (!level->deleted || ++level->readings == READINGS_MAX)
		return false;
	level->deleted = false;
	level->at = level->fill = 0;
	return lseek(level->fd, 0, SEEK_SET) == 0;
}

/* Deletes the directory on top, which was read to its end, and goes back to the one above it. */
static void leave(struct walk *walk)
{
	struct level *level = &walk->levels[walk->depth - 1], *above = level - 1;

	if (unlinkat(above->fd, level->name, AT_REMOVEDIR) == 0)
		above->deleted = true;
	else if ((errno == ENOTEMPTY || errno == EEXIST) && read_again(walk))
		return;
	else
		note(walk, -errno);
	close(level->fd);
	walk->depth--;
}

static int remove_contents(int fd)
{
	struct walk walk = {.depth = 0};
	struct stat status;

	if (fstat(fd, &status) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	if ((status.st_mode & S_IRWXU) != S_IRWXU)
		(void)!fchmod(fd, S_IRWXU);
	walk.device = status.st_dev;
	push(&walk, fd, "");
	for (;;) {
		const struct entry *entry = next_entry(&walk);

		if (entry)
			delete_entry(&walk, entry);
		else if (walk.depth > 1)
			leave(&walk);
		else if (!read_again(&walk))
			return walk.error;
	}
}

int temp_remove(int fd, int dir_fd, const char *path, struct temp_identity identity)
{
	int held = temp_holds_at(dir_fd, path, identity), r;

	if (held <= 0)
		return held;
	r = remove_contents(fd);
	held = temp_holds_at(dir_fd, path, identity);
	if (held > 0 && unlinkat(dir_fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		held = -errno;
	return r < 0 ? r : MIN(held, 0);
}
