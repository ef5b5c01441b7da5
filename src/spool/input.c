/* Files are read, not mapped: a file that somebody truncates meanwhile is an error here, and would
 * be a SIGBUS there. */
#include "spool/input.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int input_open(struct input *input, int dir_fd, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	input->fd = openat(dir_fd, format_name(name, first_seq, suffix),
			   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return input->fd < 0 ? -errno : 0;
}

void input_done(struct input *input)
{
	close_fdp(&input->fd);
	input->fd = -1;
}

ssize_t input_read(struct input *input, uint64_t offset, void *data, size_t size)
{
	return io_pread_all(input->fd, data, size, (off_t)offset);
}

int input_size(struct input *input, uint64_t *ret_size)
{
	struct stat status;

	if (fstat(input->fd, &status) < 0)
		return -errno;
	*ret_size = (uint64_t)status.st_size;
	return 0;
}

int input_fd(const struct input *input)
{
	return input->fd;
}
