/* Cleaning up after processes that were killed.
 *
 * A file is an orphan when it carries our mark and its lock is to be had: a living owner holds it,
 * in whatever container, and so does a child that inherited the descriptor. Files are born locked,
 * and who makes one where that is impossible looks again after locking it; a directory's maker does
 * the same. So whoever gets the lock here owns what it locks, and may delete it once it is sure
 * that the name still is that of what was locked. */
#include "base/io.h"
#include "base/macro.h"
#include "tempfile/delete.h"
#include "tempfile/mark.h"
#include "tempfile/remove.h"
#include "tempfile/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <tempfile.h>
#include <unistd.h>

/* What may be ours, by what can be seen without opening it. */
static bool is_candidate(const struct stat *status)
{
	return status->st_uid == geteuid() &&
	       (S_ISDIR(status->st_mode) || (S_ISREG(status->st_mode) && status->st_nlink == 1));
}

/* Opens a file that may not be readable, or not writable. */
static int open_candidate(int dir_fd, const char *name)
{
	int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	int fd = openat(dir_fd, name, O_RDONLY | flags);

	if (fd < 0 && errno == EACCES)
		fd = openat(dir_fd, name, O_WRONLY | flags);
	if (fd < 0)
		return errno == EISDIR ? -EACCES : -errno;
	return fd;
}

static bool is_empty(int fd)
{
	CLEANUP(io_close_names) DIR *names = NULL;
	int entries = 0;

	if (io_open_names(fd, &names) < 0)
		return false;
	while (entries <= 2 && readdir(names))
		entries++;
	return entries == 2;
}

/* The file is ours now: its lock is. */
static int delete_orphan(int dir_fd, const char *name, int fd, const struct stat *status,
			 struct tempfile_reaped *reaped)
{
	struct temp_identity identity = temp_identity_of(status);
	bool directory = S_ISDIR(status->st_mode);
	int r = temp_holds_at(dir_fd, name, identity);

	if (r <= 0)
		return r;
	r = directory ? temp_remove(fd, dir_fd, name, identity)
		      : temp_delete_at(dir_fd, name, identity);
	reaped->directories += r == 0 && directory;
	reaped->files += r == 0 && !directory;
	return r;
}

/* What it is, as the open file says: the name may have become another's. 1: an orphan, if the lock
 * is free. 0: not ours. */
static int examine(int fd, const char *name, struct stat *ret_status)
{
	int marked;

	if (fstat(fd, ret_status) < 0)
		return -errno;
	if (!is_candidate(ret_status))
		return 0;
	marked = temp_is_marked(fd, ret_status->st_ino, name);
	if (marked == -EACCES) /* not even its owner may read it */
		return 0;
	/* Killed before it could be given its name: then it is empty, too. */
	if (marked == 0 && temp_stage_is(name))
		return S_ISREG(ret_status->st_mode) ? ret_status->st_size == 0 : is_empty(fd);
	return marked;
}

static int look_at(int dir_fd, const char *name, struct tempfile_reaped *reaped)
{
	CLEANUP_FD int fd = -1;
	struct stat status;
	int r;

	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!is_candidate(&status))
		return 0;
	fd = open_candidate(dir_fd, name);
	if (fd < 0) /* gone, or a link by now, or not to be opened by anybody */
		return fd == -ENOENT || fd == -ELOOP || fd == -EACCES ? 0 : fd;
	r = examine(fd, name, &status);
	if (r <= 0)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		reaped->alive += errno == EWOULDBLOCK;
		return errno == EWOULDBLOCK ? 0 : -errno;
	}
	/* Its owner may have let it go just now, to keep it. */
	r = examine(fd, name, &status);
	return r <= 0 ? r : delete_orphan(dir_fd, name, fd, &status, reaped);
}

static int reap(DIR *dir, struct tempfile_reaped *reaped)
{
	struct dirent *entry;
	int error = 0;

	while ((errno = 0, entry = readdir(dir))) {
		int r;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = look_at(dirfd(dir), entry->d_name, reaped);
		error = error < 0 ? error : MIN(r, 0);
	}
	return error < 0 ? error : -errno;
}

int tempfile_reap(const char *path, struct tempfile_reaped *ret_reaped)
{
	CLEANUP(io_close_names) DIR *dir = NULL;
	struct tempfile_reaped reaped = {0};
	int r;

	if (!path)
		path = tempfile_gettempdir();
	dir = path ? opendir(path) : NULL;
	r = dir ? reap(dir, &reaped) : -errno;
	if (ret_reaped)
		*ret_reaped = reaped;
	return r;
}
