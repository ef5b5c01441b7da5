/* Other ways to the same file: another descriptor, the descriptor itself, its blocks, its memory.
 */
#include "base/macro.h"
#include "tempfile/handle.h"
#include "tempfile/path.h"
#include "tempfile/pool.h"

#include <errno.h>
#include <sys/mman.h>

static int held_fd(const struct tempfile *file)
{
	return file->fd >= 0 ? file->fd : file->lock_fd;
}

/* /proc leads to the very file, also when it has no name. Without it, and for a file that was
 * finished and stays, there is the path. */
static int open_again(const struct tempfile *file, int flags)
{
	char path[TEMP_PATH_PROC_SIZE];
	int fd = -1;

	flags |= O_CLOEXEC | O_NOCTTY;
	if (held_fd(file) >= 0)
		fd = open(temp_path_proc(path, held_fd(file)), flags);
	if (fd < 0 && (held_fd(file) < 0 || errno == ENOENT) && file->place.path)
		fd = openat(file->place.dir_fd, temp_place_at(&file->place), flags | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int tempfile_reopen(const struct tempfile *file, int flags, int *ret_fd)
{
	struct temp_identity identity = file->identity;
	CLEANUP_FD int fd = -1;
	struct stat status;

	if (flags & (O_CREAT | O_TRUNC))
		return -EINVAL;
	if (file->deleted || (held_fd(file) < 0 && !file->place.path))
		return -ENOENT;
	if (held_fd(file) >= 0) {
		if (fstat(held_fd(file), &status) < 0)
			return -errno;
		identity = temp_identity_of(&status);
	}
	fd = open_again(file, flags);
	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!temp_identity_is(temp_identity_of(&status), identity))
		return -ENOENT;
	*ret_fd = take_fd(&fd);
	return 0;
}

int tempfile_take_fd(struct tempfile **file_pointer, int *ret_fd)
{
	struct tempfile *file = *file_pointer;
	CLEANUP_FD int fd = -1;
	int cloexec, r;

	if (file->fd < 0)
		return -EBADF;
	r = temp_flush(file);
	if (r < 0)
		return r;
	/* A number that the stream does not close. */
	cloexec = fcntl(file->fd, F_GETFD);
	fd = cloexec < 0 ? -1
			 : fcntl(file->fd, cloexec & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (fd < 0)
		return -errno;
	if (file->live && temp_owner_is_here(file->owner))
		r = temp_delete(&file->place, file->identity);
	if (r < 0)
		return r;
	tempfile_close(file_pointer);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int allocate(const struct tempfile *file, int mode, uint64_t size)
{
	if (file->fd < 0)
		return -EBADF;
	if (size == 0)
		return 0;
	return fallocate(file->fd, mode, 0, (off_t)size) < 0 ? -errno : 0;
}

/* Charges the pool for `size` bytes, and allocates them. */
static int charge_and_allocate(struct tempfile *file, uint64_t size,
			       int (*act)(const struct tempfile *file, uint64_t size))
{
	uint64_t before = file->charged;
	int r = file->fd < 0 ? -EBADF : pool_charge(file, size);

	if (r < 0)
		return r;
	r = act(file, size);
	if (r < 0)
		pool_refund(file, before);
	return r;
}

static int reserve(const struct tempfile *file, uint64_t size)
{
	return allocate(file, FALLOC_FL_KEEP_SIZE, size);
}

int tempfile_reserve(struct tempfile *file, uint64_t size)
{
	return charge_and_allocate(file, size, reserve);
}

int tempfile_discard(struct tempfile *file, uint64_t size)
{
	return allocate(file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, size);
}

/* Makes the file at least so large, with space on the disk for all of it. */
static int grow(const struct tempfile *file, uint64_t size)
{
	int r = allocate(file, 0, size);

	if (r == -EOPNOTSUPP)
		r = -posix_fallocate(file->fd, 0, (off_t)size); /* writes, where it must */
	return r;
}

int tempfile_map(struct tempfile *file, size_t size, void **ret_memory)
{
	struct stat status;
	void *memory;
	int r = file->fd < 0 ? -EBADF : temp_flush(file);

	if (r < 0)
		return r;
	if (fstat(file->fd, &status) < 0)
		return -errno;
	if (size == 0)
		size = (size_t)status.st_size;
	if (size == 0)
		return -EINVAL;
	r = charge_and_allocate(file, size, grow);
	if (r < 0)
		return r;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}
