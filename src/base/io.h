/* Reads and writes that finish: interrupted and short calls are carried on. And the names in a
 * directory. */
#ifndef WEIR_BASE_IO_H
#define WEIR_BASE_IO_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Whether an error says that the disk, or our share of it, is full: the same may work later. */
static inline bool io_is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

/* Writes all of it. 0, or −errno; then `*ret_done` (may be NULL) says how much was written before,
 * and is set in either case. */
int io_write_all(int fd, const void *data, size_t size, size_t *ret_done);

/* The same with `count` stretches of memory, one behind the other. They are changed meanwhile, and
 * as they were afterwards. */
int io_writev_all(int fd, struct iovec *stretches, size_t count, size_t *ret_done);

/* io_write_all() at `offset`, wherever the file stands. */
int io_pwrite_all(int fd, const void *data, size_t size, off_t offset);

/* Reads up to `size` bytes at `offset`, fewer only at the end of the file. Returns the count or
 * −errno. */
ssize_t io_pread_all(int fd, void *data, size_t size, off_t offset);

/* Opens a file, relative to `dir_fd`, and reads up to `size` bytes, fewer only at its end. It need
 * not be a regular one. Returns the count or −errno. */
ssize_t io_read_file(int dir_fd, const char *path, void *data, size_t size);

/* The directory that is open as `dir_fd`, for readdir(3), from its beginning; others that read it
 * have positions of their own. To be closed by closedir(3). Errors: those of open(2). */
int io_open_names(int dir_fd, DIR **ret_names);

static inline void io_close_namesp(DIR **names)
{
	if (*names)
		closedir(*names);
}

#endif
