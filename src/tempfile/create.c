/* Born locked.
 *
 * Who cleans up after killed processes deletes the files whose lock is free. A file that is created
 * first and locked after could be taken for an orphan in between. So the file is made without a
 * name (O_TMPFILE), locked, given its mode, and only then linked into its directory: nobody ever
 * sees it unlocked or with other permissions.
 *
 * An inode is linked by its descriptor in one of two ways. AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH,
 * or Linux 6.10, since which it is enough to have opened the file oneself. Through /proc/self/fd
 * needs no privilege, but a mounted /proc, and a fifth of the time that all of this takes. So it
 * comes second.
 *
 * Where either step is impossible (overlayfs and NFS for long, old kernels, confined processes) the
 * file is created under another name (O_EXCL), locked, and then looked at again: if a cleaner was
 * faster, the lock is not to be had or the name is gone, and another one is tried. Then it gets its
 * own name, so that there too nobody ever sees it unlocked (stage.c). What is wrong with the
 * directory or the disk is told by that second way: it meets the same obstacle, and its error is
 * the one that people know. */
#include "tempfile/create.h"

#include "base/macro.h"
#include "tempfile/mark.h"
#include "tempfile/path.h"
#include "tempfile/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not an error: the first way is closed, go the second. */
#define GO_PLAIN 1

static int open_at(int dir_fd, const char *path, int flags, const struct tempfile_options *options)
{
	int fd = -1;

	flags |= O_RDWR | (options->inherit ? 0 : O_CLOEXEC) | (options->append ? O_APPEND : 0);
	for (int i = 0; i < TEMP_CREATE_TRIES; i++) {
		fd = openat(dir_fd, path, flags, (options->mode & 0777) | S_IRUSR | S_IWUSR);
		if (fd >= 0 || errno != EINTR)
			break;
	}
	return fd >= 0 ? fd : -errno;
}

/* 0, GO_PLAIN or −errno. */
static int open_unnamed(int dir_fd, const char *dir, const struct tempfile_options *options,
			int *ret_fd)
{
	int fd = open_at(dir_fd, dir, O_TMPFILE, options);

	/* No support by: the file system, a kernel that does not know the flag, a layer between. */
	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
		return GO_PLAIN;
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int set_mode(int fd, const struct stat *status, mode_t mode)
{
	if ((status->st_mode & 07777) == mode)
		return 0;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int temp_link(int fd, int dir_fd, const char *name)
{
	char path[TEMP_PATH_PROC_SIZE];

	if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno == EEXIST || errno == EXDEV)
		return -errno;
	temp_path_proc(path, fd);
	return linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int temp_link_under_free_name(int fd, struct temp_place *place, ino_t marked_inode)
{
	for (int i = 0; i < TEMP_CREATE_TRIES; i++) {
		int r = temp_stage_mark_next(place, fd, marked_inode);

		if (r < 0)
			return r;
		r = temp_link(fd, place->dir_fd, temp_place_at(place));
		if (r != -EEXIST)
			return r;
		if (place->name_is_given)
			break;
	}
	return -EEXIST;
}

/* The inode that is to carry a mark, 0 when none is. */
static ino_t inode_to_mark(const struct tempfile_options *options, ino_t inode)
{
	return options->deletion == TEMPFILE_DELETE_NEVER ? 0 : inode;
}

static int create_then_link(struct temp_place *place, const struct tempfile_options *options,
			    struct temp_created *ret_created)
{
	CLEANUP_FD int fd = -1;
	struct stat status;
	int r = open_unnamed(place->dir_fd, temp_place_dir(place), options, &fd);

	if (r != 0)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &status) < 0)
		return -errno;
	r = set_mode(fd, &status, options->mode);
	if (r < 0)
		return r;
	r = temp_link_under_free_name(fd, place, inode_to_mark(options, status.st_ino));
	if (r == -EEXIST)
		return r;
	if (r < 0)
		return GO_PLAIN;
	ret_created->identity = temp_identity_of(&status);
	ret_created->fd = take_fd(&fd);
	return 0;
}

/* −EAGAIN: somebody else took the file that we just made. */
static int lock_and_look_again(int fd, const struct temp_place *place, const char *path,
			       const struct tempfile_options *options, const struct stat *status)
{
	int r;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	r = temp_holds_at(place->dir_fd, path, temp_identity_of(status));
	if (r < 0)
		return r;
	if (r == 0)
		return -EAGAIN;
	return set_mode(fd, status, options->mode);
}

static int create_once(const struct temp_place *place, const char *path,
		       const struct tempfile_options *options, struct temp_created *ret_created)
{
	CLEANUP_FD int fd = open_at(place->dir_fd, path, O_CREAT | O_EXCL | O_NOFOLLOW, options);
	struct stat status;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0) {
		r = -errno;
		unlinkat(place->dir_fd, path, 0);
		return r;
	}
	r = lock_and_look_again(fd, place, path, options, &status);
	if (r < 0) {
		temp_delete_at(place->dir_fd, path, temp_identity_of(&status));
		return r;
	}
	ret_created->identity = temp_identity_of(&status);
	ret_created->fd = take_fd(&fd);
	return 0;
}

/* Makes a file under a name of the stage, which then says it. */
static int create_staged(const struct temp_place *place, char *staged,
			 const struct tempfile_options *options, struct temp_created *ret_created)
{
	int r = -EEXIST;

	for (int i = 0; i < TEMP_CREATE_TRIES; i++) {
		r = temp_stage_next(staged);
		if (r == 0)
			r = create_once(place, staged, options, ret_created);
		if (r != -EAGAIN && r != -EEXIST)
			return r;
	}
	return r;
}

static int create_plain(struct temp_place *place, const struct tempfile_options *options,
			struct temp_created *ret_created)
{
	CLEANUP_FREE char *staged = temp_stage_new(place);
	struct temp_created created = {0};
	int r = staged ? create_staged(place, staged, options, &created) : -ENOMEM;

	if (r < 0)
		return r;
	r = temp_stage_move(staged, place, created.fd,
			    inode_to_mark(options, created.identity.inode));
	if (r < 0) {
		temp_delete_at(place->dir_fd, staged, created.identity);
		close(created.fd);
		return r;
	}
	*ret_created = created;
	return 0;
}

int temp_create_named(struct temp_place *place, const struct tempfile_options *options,
		      struct temp_created *ret_created)
{
	int r = create_then_link(place, options, ret_created);

	return r == GO_PLAIN ? create_plain(place, options, ret_created) : r;
}

static int create_and_unlink(const struct temp_place *place, const struct tempfile_options *options,
			     int *ret_fd)
{
	CLEANUP_FREE char *staged = temp_stage_new(place);
	struct temp_created created = {0};
	int r = staged ? create_staged(place, staged, options, &created) : -ENOMEM;

	if (r < 0)
		return r;
	r = temp_delete_at(place->dir_fd, staged, created.identity);
	if (r < 0) {
		close(created.fd);
		return r;
	}
	*ret_fd = created.fd;
	return 0;
}

static int create_without_o_tmpfile(const struct tempfile_options *options, int *ret_fd)
{
	struct temp_place place;
	int r = temp_place_init(&place, options);

	if (r < 0)
		return r;
	r = create_and_unlink(&place, options, ret_fd);
	temp_place_done(&place);
	return r;
}

/* Needs no place, and so no memory, as a rule. */
int temp_create_anonymous(const struct tempfile_options *options, int *ret_fd)
{
	int dir_fd = options->dir_fd ? *options->dir_fd : AT_FDCWD;
	CLEANUP_FD int fd = -1;
	struct stat status;
	int r = open_unnamed(dir_fd, options->dir ? options->dir : ".", options, &fd);

	if (r == GO_PLAIN)
		return create_without_o_tmpfile(options, ret_fd);
	if (r < 0)
		return r;
	if (fstat(fd, &status) < 0)
		return -errno;
	r = set_mode(fd, &status, options->mode);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int temp_create_memory(const struct tempfile_options *options, int *ret_fd)
{
	CLEANUP_FD int fd = memfd_create(options->prefix, options->inherit ? 0 : MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fchmod(fd, options->mode) < 0)
		return -errno;
	if (options->append && fcntl(fd, F_SETFL, O_APPEND) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}
