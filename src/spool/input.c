/* Files are read, not mapped: a file that somebody truncates meanwhile is an error here, and would
 * be a SIGBUS there. Of a compressed segment, both files are read out of the one that there is. */
#include "spool/input.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"
#include "spool/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int input_open(struct input *input, int dir_fd, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];

	input->fd = openat(dir_fd, format_name(name, first_seq, suffix),
			   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return input->fd < 0 ? -errno : 0;
}

int input_take_packed(struct input *input, int fd, bool lenient, bool is_index)
{
	input->is_index = is_index;
	return lenient ? packed_open_lenient(fd, &input->packed) : packed_open(fd, &input->packed);
}

static int open_packed(struct input *input, int dir_fd, uint64_t first_seq, const char *suffix,
		       bool lenient)
{
	CLEANUP(input_done) struct input file = {.fd = -1};
	int r = input_open(&file, dir_fd, first_seq, FORMAT_PACKED_SUFFIX);

	return r < 0 ? r
		     : input_take_packed(input, take_fd(&file.fd), lenient,
					 strcmp(suffix, FORMAT_DATA_SUFFIX) != 0);
}

int input_open_packed(struct input *input, int dir_fd, uint64_t first_seq, const char *suffix)
{
	return open_packed(input, dir_fd, first_seq, suffix, false);
}

int input_open_packed_lenient(struct input *input, int dir_fd, uint64_t first_seq,
			      const char *suffix)
{
	return open_packed(input, dir_fd, first_seq, suffix, true);
}

bool input_has_table(const struct input *input)
{
	return !input->packed || packed_has_table(input->packed);
}

void input_done(struct input *input)
{
	close_fdp(&input->fd);
	packed_free(input->packed);
	*input = (struct input){.fd = -1};
}

ssize_t input_read(struct input *input, uint64_t offset, void *data, size_t size)
{
	if (!input->packed)
		return io_pread_all(input->fd, data, size, (off_t)offset);
	return input->is_index ? packed_read_index(input->packed, offset, data, size)
			       : packed_read(input->packed, offset, data, size);
}

int input_size(const struct input *input, uint64_t *ret_size)
{
	struct stat status;

	if (input->packed) {
		*ret_size = input->is_index ? packed_index_size(input->packed)
					    : packed_data_size(input->packed);
		return 0;
	}
	if (fstat(input->fd, &status) < 0)
		return -errno;
	*ret_size = (uint64_t)status.st_size;
	return 0;
}

int input_fd(const struct input *input)
{
	return input->fd;
}
