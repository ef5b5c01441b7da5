/* What is small is gathered; what is large is not copied once more. */
#include "cli/output.h"

#include "base/io.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/sendfile.h>

#define LARGE KIB(16)
#define COPY_MAX MIB(16) /* by one call, so that a signal is noticed */

/* Waits until a descriptor that somebody has made non-blocking takes more. */
static int wait_for_room(int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLOUT};

	return poll(&wanted, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

static void write_out(struct output *output, const uint8_t *data, size_t size)
{
	while (output->error == 0 && size > 0) {
		size_t done;

		output->error = io_write_all(output->fd, data, size, &done);
		data += done;
		size -= done;
		if (output->error == -EAGAIN)
			output->error = wait_for_room(output->fd);
	}
}

bool output_is_gone(const struct output *output)
{
	struct pollfd wanted = {.fd = output->fd};

	return poll(&wanted, 1, 0) > 0 && wanted.revents & POLLERR;
}

void output_flush(struct output *output)
{
	write_out(output, output->bytes, output->used);
	output->used = 0;
}

void output_write(struct output *output, const void *data, size_t size)
{
	if (size > OUTPUT_ROOM - output->used || size >= LARGE)
		output_flush(output);
	if (size >= LARGE) {
		write_out(output, data, size);
		return;
	}
	if (size > 0)
		memcpy(output->bytes + output->used, data, size);
	output->used += size;
}

uint64_t output_copy(struct output *output, int from_fd, uint64_t offset, uint64_t size)
{
	off_t at = (off_t)offset, end = (off_t)(offset + size);

	output_flush(output);
	while (at < end && output->error == 0) {
		ssize_t n =
			sendfile(output->fd, from_fd, &at, (size_t)MIN(end - at, (off_t)COPY_MAX));

		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (n == 0)
			break;
		if (errno == EAGAIN) {
			output->error = wait_for_room(output->fd);
			continue;
		}
		if ((errno == EINVAL || errno == ENOSYS) && at == (off_t)offset)
			break;
		output->error = -errno;
	}
	return (uint64_t)at - offset;
}
