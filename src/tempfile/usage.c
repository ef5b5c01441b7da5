/* Disk usage, by the same formula as psutil, so that the numbers can be compared with its. */
#include <errno.h>
#include <sys/statvfs.h>
#include <tempfile.h>

int tempfile_disk_usage(const char *path, struct tempfile_usage *ret_usage)
{
	struct statvfs fs;
	uint64_t block;

	if (statvfs(path, &fs) < 0)
		return -errno;
	block = fs.f_frsize;
	ret_usage->total = fs.f_blocks * block;
	/* Some network file systems claim more free blocks than there are. */
	ret_usage->used = fs.f_blocks > fs.f_bfree ? (fs.f_blocks - fs.f_bfree) * block : 0;
	ret_usage->free = fs.f_bavail * block;
	return 0;
}
