/* A temporary file becomes one that stays.
 *
 * On one file system that is a rename, or for a file without a name a link: the file is at its new
 * place in one moment, whole, or not at all. To another file system it is copied, into a temporary
 * file in the directory where it is to be; that one is then renamed, and takes the place of the
 * first behind the descriptor, so that whoever has the handle sees no difference.
 *
 * Whatever can fail is done before something is replaced: the stream is flushed, the data synced if
 * that is asked for, the new path put together. */
#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/handle.h"
#include "tempfile/mark.h"
#include "tempfile/name.h"
#include "tempfile/stage.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>

#define COPY_STEP ((off_t)1 << 30)

/* Where it is to be: a directory, and a name in it. */
struct target {
	int dir_fd;
	const char *name;
	struct temp_place place;
};

static void target_donep(struct target *target)
{
	close_fdp(&target->dir_fd);
	temp_place_done(&target->place);
}

static int open_target(const struct tempfile_persist_options *options, struct target *target)
{
	const char *slash = strrchr(options->path, '/');
	CLEANUP_FREE char *dir =
		slash ? strndup(options->path, (size_t)(slash - options->path + 1)) : strdup(".");
	struct tempfile_options place = {.dir_fd = options->dir_fd};
	int at = options->dir_fd ? *options->dir_fd : AT_FDCWD;

	if (!dir)
		return -ENOMEM;
	target->name = slash ? slash + 1 : options->path;
	if (!*target->name)
		return -EISDIR;
	target->dir_fd = openat(at, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target->dir_fd < 0 && errno == EACCES && !options->sync)
		target->dir_fd = openat(at, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target->dir_fd < 0)
		return -errno;
	place.dir = dir;
	place.name = target->name;
	return temp_place_init(&target->place, &place);
}

static int move_name(const struct tempfile *file, const struct target *target, bool no_replace)
{
	int from_fd = file->place.dir_fd;
	const char *from = temp_place_at(&file->place);
	int r = temp_place_holds(&file->place, file->identity);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (no_replace)
		return temp_rename(from_fd, from, target->dir_fd, target->name);
	if (renameat(from_fd, from, target->dir_fd, target->name) < 0)
		return -errno;
	/* Between two names of one file, rename(2) does nothing. */
	return temp_delete(&file->place, file->identity);
}

/* A name for a file that has none. What is there is replaced by way of another name beside it. */
static int add_name(const struct tempfile *file, const struct target *target, bool no_replace)
{
	struct tempfile_options options = {
		.dir_fd = &target->dir_fd,
		.prefix = ".",
		.suffix = "",
		.random_size = TEMP_NAME_RANDOM,
	};
	struct temp_place beside;
	int r = temp_link(file->fd, target->dir_fd, target->name);

	if (r == -ENOENT) /* one that had a name once can have none again */
		return -EXDEV;
	if (r != -EEXIST || no_replace)
		return r;
	r = temp_place_init(&beside, &options);
	if (r < 0)
		return r;
	r = temp_link_under_free_name(file->fd, &beside, 0);
	if (r == 0 &&
	    renameat(beside.dir_fd, temp_place_at(&beside), target->dir_fd, target->name) < 0) {
		r = -errno;
		unlinkat(beside.dir_fd, temp_place_at(&beside), 0);
	}
	temp_place_done(&beside);
	return r;
}

/* Copies the bytes from `at` to `end`. */
static int copy_stretch(int from, int to, off_t at, off_t end)
{
	if (lseek(to, at, SEEK_SET) < 0)
		return -errno;
	while (at < end) {
		ssize_t n = sendfile(to, from, &at, (size_t)MIN(end - at, COPY_STEP));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* somebody cut it */
	}
	return 0;
}

/* What is a hole in one is a hole in the other. */
static int copy_contents(int from, int to, off_t size)
{
	off_t data = 0, hole = 0;
	int r = 0;

	while (r == 0 && hole < size) {
		data = lseek(from, hole, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			return -errno;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		r = copy_stretch(from, to, data, MIN(hole, size));
	}
	if (r == 0 && ftruncate(to, size) < 0)
		r = -errno;
	return r;
}

/* The copy takes the place of the file behind its descriptor, at the same position. */
static int take_over(const struct tempfile *file, int copy_fd, off_t position)
{
	int flags = fcntl(file->fd, F_GETFD), status = fcntl(file->fd, F_GETFL);

	if (flags < 0 || status < 0 || fcntl(copy_fd, F_SETFL, status) < 0 ||
	    lseek(copy_fd, position, SEEK_SET) < 0)
		return -errno;
	return dup3(copy_fd, file->fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 ? -errno : 0;
}

static int copy_to(struct tempfile *file, const struct target *target,
		   const struct tempfile_persist_options *options)
{
	TEMPFILE_AUTO struct tempfile *copy = NULL;
	struct tempfile_persist_options as = {.path = target->name,
					      .dir_fd = &target->dir_fd,
					      .no_replace = options->no_replace,
					      .sync = options->sync};
	struct tempfile_options where = {.dir_fd = &target->dir_fd, .prefix = "."};
	off_t position = lseek(file->fd, 0, SEEK_CUR);
	struct stat status;
	int r;

	if (position < 0 || fstat(file->fd, &status) < 0)
		return -errno;
	where.mode = status.st_mode & 07777;
	r = tempfile_open_with(&copy, &where);
	if (r >= 0)
		r = copy_contents(file->fd, copy->fd, status.st_size);
	if (r >= 0)
		r = tempfile_persist_with(copy, &as);
	if (r >= 0 && file->place.path)
		temp_delete(&file->place, file->identity);
	if (r >= 0)
		r = take_over(file, copy->fd, position);
	file->identity = r >= 0 ? copy->identity : file->identity;
	return r;
}

static int move(struct tempfile *file, const struct target *target,
		const struct tempfile_persist_options *options)
{
	int r = file->place.path ? move_name(file, target, options->no_replace)
				 : add_name(file, target, options->no_replace);

	return r == -EXDEV && options->copy ? copy_to(file, target, options) : r;
}

static int prepare(struct tempfile *file, bool sync)
{
	int r = file->fd < 0 ? -EBADF : temp_flush(file);

	if (r == 0 && sync && fsync(file->fd) < 0)
		r = -errno;
	return r < 0 ? r : temp_unmark(file->fd);
}

int tempfile_persist_with(struct tempfile *file, const struct tempfile_persist_options *options)
{
	CLEANUP(target_done) struct target target = {.dir_fd = -1, .place = TEMP_PLACE_NONE};
	struct stat status;
	off_t position;
	int r = options && options->path ? open_target(options, &target) : -EINVAL;

	if (r >= 0)
		r = prepare(file, options->sync);
	if (r < 0)
		return r;
	position = lseek(file->fd, 0, SEEK_CUR); /* looking for holes moves it */
	r = move(file, &target, options);
	if (r < 0) {
		lseek(file->fd, position, SEEK_SET);
		if (file->live)
			temp_mark(file->fd, file->identity.inode, temp_place_name(&file->place));
		return r;
	}
	live_remove(TAKE_PTR(file->live));
	temp_place_done(&file->place);
	file->place = target.place;
	target.place = (struct temp_place)TEMP_PLACE_NONE;
	if (fstat(file->fd, &status) == 0)
		file->identity = temp_identity_of(&status);
	return options->sync && fsync(target.dir_fd) < 0 ? -errno : 0;
}
