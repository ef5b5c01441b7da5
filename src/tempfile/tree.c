/* The handle of a temporary directory: its descriptor, which holds the lock, and where it is.
 *
 * A directory cannot be made without a name, and so not be born locked. It is made on the stage
 * (stage.c), and gets its own name when it is locked and marked. A reaper that comes before that
 * takes the empty directory for a leftover and deletes it; that is noticed, and another one is
 * made. */
#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/delete.h"
#include "tempfile/live.h"
#include "tempfile/mark.h"
#include "tempfile/options.h"
#include "tempfile/place.h"
#include "tempfile/remove.h"
#include "tempfile/stage.h"

#include <errno.h>
#include <sys/file.h>
#include <tempfile.h>

struct tempfile_directory {
	int fd;
	struct temp_place place;
	struct temp_identity identity;
	struct live *live; /* NULL: it is to be kept */
	struct temp_owner owner;
	bool ignore_errors;
};

/* Opens and locks a directory that was just made. −EAGAIN: somebody else took it. */
static int take(struct tempfile_directory *directory, const char *path)
{
	int dir_fd = directory->place.dir_fd, r;
	struct stat status;

	directory->fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory->fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(directory->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (fstat(directory->fd, &status) < 0)
		return -errno;
	directory->identity = temp_identity_of(&status);
	r = temp_holds_at(dir_fd, path, directory->identity);
	return r == 0 ? -EAGAIN : MIN(r, 0);
}

/* Makes it what it is to be, and gives it its name. */
static int furnish(struct tempfile_directory *directory, const char *staged,
		   const struct tempfile_options *options)
{
	struct stat status;
	mode_t mode = options->mode;

	if (fstat(directory->fd, &status) < 0)
		return -errno;
	/* A directory gets the set-group-ID bit from the one above, where that is the custom. */
	mode |= status.st_mode & S_ISGID;
	if ((status.st_mode & 07777) != mode && fchmod(directory->fd, mode) < 0)
		return -errno;
	return temp_stage_move(staged, &directory->place, directory->fd,
			       options->deletion == TEMPFILE_DELETE_NEVER ? 0 : status.st_ino);
}

static int make_once(struct tempfile_directory *directory, char *staged,
		     const struct tempfile_options *options)
{
	int dir_fd = directory->place.dir_fd, r = temp_stage_next(staged);

	if (r < 0)
		return r;
	if (mkdirat(dir_fd, staged, S_IRWXU) < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	r = take(directory, staged);
	if (r == 0)
		r = furnish(directory, staged, options);
	if (r < 0) {
		unlinkat(dir_fd, staged, AT_REMOVEDIR);
		close_fdp(&directory->fd);
		directory->fd = -1;
	}
	return r;
}

static int make(struct tempfile_directory *directory, const struct tempfile_options *options)
{
	CLEANUP_FREE char *staged = temp_stage_new(&directory->place);
	int r = staged ? -EAGAIN : -ENOMEM;

	for (int i = 0; r == -EAGAIN && i < TEMP_CREATE_TRIES; i++)
		r = make_once(directory, staged, options);
	if (r < 0 || options->deletion == TEMPFILE_DELETE_NEVER)
		return r;
	directory->live =
		live_add(&directory->place, directory->fd, directory->identity, LIVE_DIRECTORY);
	if (directory->live)
		return 0;
	unlinkat(directory->place.dir_fd, temp_place_at(&directory->place), AT_REMOVEDIR);
	return -ENOMEM;
}

static void free_directory(struct tempfile_directory *directory)
{
	close_fdp(&directory->fd);
	temp_place_done(&directory->place);
	free(directory);
}

int tempfile_directory_open_with(struct tempfile_directory **ret_directory,
				 const struct tempfile_options *options)
{
	struct tempfile_directory *directory;
	struct tempfile_options resolved;
	int r = options && options->memory ? -EINVAL
					   : temp_options_resolve(options, 0700, &resolved);

	if (r < 0)
		return r;
	directory = calloc(1, sizeof(*directory));
	if (!directory)
		return -ENOMEM;
	directory->fd = -1;
	directory->owner = temp_owner_here();
	directory->ignore_errors = resolved.ignore_cleanup_errors;
	r = temp_place_init(&directory->place, &resolved);
	if (r == 0)
		r = make(directory, &resolved);
	if (r < 0)
		free_directory(directory);
	else
		*ret_directory = directory;
	return r;
}

int tempfile_directory_close(struct tempfile_directory **directory_pointer)
{
	struct tempfile_directory *directory =
		directory_pointer ? TAKE_PTR(*directory_pointer) : NULL;
	int r = 0;

	if (!directory)
		return 0;
	if (directory->live && temp_owner_is_here(directory->owner))
		r = temp_remove(directory->fd, directory->place.dir_fd,
				temp_place_at(&directory->place), directory->identity);
	live_remove(directory->live);
	if (directory->ignore_errors)
		r = 0;
	free_directory(directory);
	return r;
}

int tempfile_directory_fd(const struct tempfile_directory *directory)
{
	return directory->fd;
}

const char *tempfile_directory_path(const struct tempfile_directory *directory)
{
	return temp_place_path(&directory->place);
}

int tempfile_directory_keep(struct tempfile_directory *directory)
{
	int r;

	if (!directory->live)
		return 0;
	r = temp_owner_is_here(directory->owner) ? temp_unmark(directory->fd) : -EPERM;
	if (r == 0)
		live_remove(TAKE_PTR(directory->live));
	return r;
}

void tempfile_directory_adopt(struct tempfile_directory *directory)
{
	directory->owner = temp_owner_here();
	if (directory->live)
		live_adopt(directory->live);
}
