/*
 * read(2) and write(2) may do less than they were asked for, and a signal may interrupt them. Every
 * caller wants the whole thing, so the loops stand here, once.
 */
#include "base/io.h"

#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

int io_write_all(int fd, const void *data, size_t size, size_t *ret_done)
{
	const char *from = data;
	size_t done = 0;
	int r = 0;

	while (done < size) {
		ssize_t n = write(fd, from + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			break;
		}
		done += (size_t)n;
	}
	if (ret_done)
		*ret_done = done;
	return r;
}

/* Moves on by `size` bytes, which are there. */
static void skip(struct iovec **stretches, size_t *count, size_t size)
{
	while (*count > 0 && size >= (*stretches)->iov_len) {
		size -= (*stretches)->iov_len;
		++*stretches;
		--*count;
	}
	if (*count > 0) {
		(*stretches)->iov_base = (char *)(*stretches)->iov_base + size;
		(*stretches)->iov_len -= size;
	}
}

int io_writev_all(int fd, struct iovec *stretches, size_t count, size_t *ret_done)
{
	int r = 0;

	*ret_done = 0;
	skip(&stretches, &count, 0);
	while (count > 0) {
		ssize_t n = writev(fd, stretches, (int)MIN(count, (size_t)IOV_MAX));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			break;
		}
		*ret_done += (size_t)n;
		skip(&stretches, &count, (size_t)n);
	}
	return r;
}

int io_pwrite_all(int fd, const void *data, size_t size, off_t offset)
{
	const char *from = data;
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, from + done, size - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

ssize_t io_pread_all(int fd, void *data, size_t size, off_t offset)
{
	char *to = data;
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, to + done, size - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t io_read_file(int dir_fd, const char *path, void *data, size_t size)
{
	CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *to = data;
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < size) {
		ssize_t n = read(fd, to + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
