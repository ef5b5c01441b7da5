/*
 * read(2) and write(2) may do less than they were asked for, and a signal may interrupt them. Every
 * caller wants the whole thing, so the loops stand here, once.
 */
#include "base/io.h"

#include <errno.h>
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
