/*
 * A disk that notes what is done to it: recorder DIRECTORY IMAGE LOG.
 *
 * Mounts a file system at DIRECTORY that has one file, `disk`. A loop device on it is a disk whose
 * bytes are in IMAGE; whatever reaches it goes to the end of LOG, in the order in which it came:
 *
 *	8 bytes	what: 1 write, 2 flush, 3 zeros
 *	8 bytes	where
 *	8 bytes	how many bytes; they follow, if it is a write
 *
 * all integers as this machine writes them. The loop driver makes of a flush that the file system
 * above sends to its disk an fsync(2) here, and of what it has no more use for a hole. An answer is
 * given when the entry is in LOG, so that the size of LOG at any moment says how far the disk had
 * come then.
 *
 * Requests are served one after the other. Prints a line when the file is there.
 */
#define FUSE_USE_VERSION 31

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	WRITE = 1,
	FLUSH = 2,
	ZEROS = 3
};

static const char path_of_disk[] = "/disk";
static int image, log_file;

static int record(uint64_t what, uint64_t where, const void *data, uint64_t size)
{
	uint64_t head[3] = {what, where, size};
	struct iovec parts[2] = {
		{.iov_base = head, .iov_len = sizeof(head)},
		{.iov_base = (void *)(uintptr_t)data, .iov_len = what == WRITE ? size : 0},
	};
	ssize_t wanted = (ssize_t)(parts[0].iov_len + parts[1].iov_len);

	/* A log with a torn entry would prove anything. */
	if (writev(log_file, parts, 2) != wanted)
		_exit(1);
	return 0;
}

static int get_attributes(const char *path, struct stat *ret_status, struct fuse_file_info *file)
{
	(void)file;
	if (strcmp(path, path_of_disk) == 0)
		return fstat(image, ret_status) < 0 ? -errno : 0;
	if (strcmp(path, "/") != 0)
		return -ENOENT;
	*ret_status = (struct stat){.st_mode = S_IFDIR | 0700, .st_nlink = 2};
	return 0;
}

static int open_disk(const char *path, struct fuse_file_info *file)
{
	if (strcmp(path, path_of_disk) != 0)
		return -ENOENT;
	file->direct_io = 1;
	return 0;
}

static int read_disk(const char *path, char *data, size_t size, off_t at,
		     struct fuse_file_info *file)
{
	ssize_t got = pread(image, data, size, at);

	(void)path, (void)file;
	return got < 0 ? -errno : (int)got;
}

static int write_disk(const char *path, const char *data, size_t size, off_t at,
		      struct fuse_file_info *file)
{
	ssize_t put = pwrite(image, data, size, at);

	(void)path, (void)file;
	if (put != (ssize_t)size)
		return put < 0 ? -errno : -EIO;
	record(WRITE, (uint64_t)at, data, size);
	return (int)size;
}

static int flush_disk(const char *path, int data_only, struct fuse_file_info *file)
{
	(void)path, (void)data_only, (void)file;
	return record(FLUSH, 0, NULL, 0);
}

static int make_zeros(const char *path, int mode, off_t at, off_t size, struct fuse_file_info *file)
{
	int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	(void)path, (void)file;
	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	if (fallocate(image, hole, at, size) < 0)
		return -errno;
	return record(ZEROS, (uint64_t)at, NULL, (uint64_t)size);
}

static void *begin(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	config->kernel_cache = 0;
	config->direct_io = 1;
	puts("ready");
	fflush(stdout);
	return NULL;
}

static const struct fuse_operations operations = {
	.getattr = get_attributes,
	.open = open_disk,
	.read = read_disk,
	.write = write_disk,
	.fsync = flush_disk,
	.fallocate = make_zeros,
	.init = begin,
};

int main(int argc, char *argv[])
{
	char *arguments[] = {argv[0], "-f", "-s", argv[1], NULL};

	if (argc != 4) {
		fputs("usage: recorder DIRECTORY IMAGE LOG\n", stderr);
		return 2;
	}
	image = open(argv[2], O_RDWR | O_CLOEXEC);
	log_file = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (image < 0 || log_file < 0) {
		perror("recorder");
		return 1;
	}
	return fuse_main(4, arguments, &operations, NULL);
}
