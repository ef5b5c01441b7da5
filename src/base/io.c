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

/* Moves on by `size` bytes, which are there, from byte `*within` of the first stretch. */
static void skip(struct iovec **stretches, size_t *count, size_t *within, size_t size)
{
	size += *within;
	while (*count > 0 && size >= (*stretches)->iov_len) {
		size -= (*stretches)->iov_len;
		++*stretches;
		--*count;
	}
	*within = size;
}

/* Writes the stretches from byte `within` of the first. They are as they were afterwards: who could
 * not write all of them needs them again. */
static ssize_t write_from(int fd, struct iovec *stretches, size_t count, size_t within)
{
	ssize_t n;

	stretches->iov_base = (char *)stretches->iov_base + within;
	stretches->iov_len -= within;
	n = writev(fd, stretches, (int)MIN(count, (size_t)IOV_MAX));
	stretches->iov_base = (char *)stretches->iov_base - within;
	stretches->iov_len += within;
	return n;
}

int io_writev_all(int fd, struct iovec *stretches, size_t count, size_t *ret_done)
{
	size_t done = 0, within = 0;
	int r = 0;

	skip(&stretches, &count, &within, 0);
	while (count > 0) {
		ssize_t n = write_from(fd, stretches, count, within);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			break;
		}
		done += (size_t)n;
		skip(&stretches, &count, &within, (size_t)n);
	}
	*ret_done = done;
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

int io_open_names(int dir_fd, DIR **ret_names)
{
	CLEANUP_FD int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);

	if (!names)
		return -errno;
	take_fd(&fd);
	*ret_names = names;
	return 0;
}
