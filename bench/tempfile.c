/*
 * What a temporary file costs: by libtempfile, and by the bare system calls that it makes.
 *
 * usage: tempfile CASE COUNT DIR
 *
 * Makes and closes COUNT files in DIR, one after the other, and prints the CPU time that one took,
 * in nanoseconds. CASE is bare-anonymous, anonymous, bare-named or named.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <tempfile.h>
#include <unistd.h>

static int bare_anonymous(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 || close(fd) < 0 ? -errno : 0;
}

static int anonymous(const char *dir)
{
	struct tempfile *file = NULL;
	int r = tempfile_open_anonymous(&file, .dir = dir);

	return r < 0 ? r : tempfile_close(&file);
}

/* The calls that tempfile_open() and tempfile_close() make for a named file, and nothing else. */
static int bare_named(const char *dir)
{
	char path[4096];
	uint64_t random[4];
	struct stat status;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &status) < 0)
		return -errno;
	fsetxattr(fd, "user.tempfile", "1", 1, 0);
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -errno;
	snprintf(path, sizeof(path), "%s/tmp%012" PRIx64, dir, random[0] >> 16);
	if (linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) < 0)
		return -errno;
	if (fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) < 0 || unlink(path) < 0)
		return -errno;
	return close(fd) < 0 ? -errno : 0;
}

static int named(const char *dir)
{
	struct tempfile *file = NULL;
	int r = tempfile_open(&file, .dir = dir);

	return r < 0 ? r : tempfile_close(&file);
}

static const struct {
	const char *name;
	int (*make)(const char *dir);
} cases[] = {
	{"bare-anonymous", bare_anonymous},
	{"anonymous", anonymous},
	{"bare-named", bare_named},
	{"named", named},
};

static uint64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int measure(int (*make)(const char *dir), uint64_t count, const char *dir)
{
	uint64_t begin = cpu_us();

	for (uint64_t i = 0; i < count; i++) {
		int r = make(dir);

		if (r < 0) {
			fprintf(stderr, "tempfile: %s: %s\n", dir, strerror(-r));
			return 1;
		}
	}
	printf("%" PRIu64 "\n", (cpu_us() - begin) * 1000 / count);
	return 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 4 && i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			return measure(cases[i].make, strtoull(argv[2], NULL, 10), argv[3]);
	fprintf(stderr, "usage: tempfile CASE COUNT DIR\n");
	return 2;
}
