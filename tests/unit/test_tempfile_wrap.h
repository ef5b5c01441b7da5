/* System calls and allocations that fail when they are told to. Included by one test program.
 * --wrap: openat openat64 linkat flock unlinkat fstat fstat64 fstatat fstatat64 fchmod fchmodat
 * mkdirat getrandom malloc calloc. */
#ifndef WEIR_TEST_TEMPFILE_WRAP_H
#define WEIR_TEST_TEMPFILE_WRAP_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

enum call {
	CALL_OPENAT,
	CALL_LINKAT,
	CALL_FLOCK,
	CALL_UNLINKAT,
	CALL_FSTAT,
	CALL_FSTATAT,
	CALL_FCHMOD,
	CALL_FCHMODAT,
	CALL_MKDIRAT,
	CALL_GETRANDOM,
	CALL_ALLOCATION,
	CALL_COUNT,
};

/* Which call is to fail: the `at`-th of its kind from now, 0 for none; `times` of them in a row. */
static struct {
	enum call call;
	int at;
	int times;
	int error;
} fault;

static int seen[CALL_COUNT]; /* since reset_faults() */
static int no_tmpfile_error; /* what O_TMPFILE gets, 0 when it works */
static bool no_links;	     /* linkat finds neither /proc nor a privilege */
static bool same_names;	     /* getrandom is stuck */
static void (*before_flock)(int fd);

static void reset_faults(void)
{
	memset(&fault, 0, sizeof(fault));
	memset(seen, 0, sizeof(seen));
	no_tmpfile_error = 0;
	no_links = false;
	same_names = false;
	before_flock = NULL;
}

static bool fails(enum call call)
{
	seen[call]++;
	if (!fault.at || fault.call != call || seen[call] < fault.at ||
	    seen[call] >= fault.at + fault.times)
		return false;
	errno = fault.error;
	return true;
}

#define WRAP(type, name, parameters, call, arguments)                                              \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails(call) ? (type)-1 : __real_##name arguments;                           \
	}

static bool openat_fails(int flags)
{
	if (fails(CALL_OPENAT))
		return true;
	if (!no_tmpfile_error || (flags & O_TMPFILE) != O_TMPFILE)
		return false;
	errno = no_tmpfile_error;
	return true;
}

int __real_openat(int dir_fd, const char *path, int flags, mode_t mode);

/* With 64-bit offsets the C library's headers call the second of each pair. */
WRAP(int, fstat, (int fd, struct stat *status), CALL_FSTAT, (fd, status))
WRAP(int, fstat64, (int fd, struct stat *status), CALL_FSTAT, (fd, status))
WRAP(int, fstatat, (int dir_fd, const char *path, struct stat *status, int flags), CALL_FSTATAT,
     (dir_fd, path, status, flags))
WRAP(int, fstatat64, (int dir_fd, const char *path, struct stat *status, int flags), CALL_FSTATAT,
     (dir_fd, path, status, flags))
WRAP(int, unlinkat, (int dir_fd, const char *path, int flags), CALL_UNLINKAT, (dir_fd, path, flags))
WRAP(int, fchmod, (int fd, mode_t mode), CALL_FCHMOD, (fd, mode))
WRAP(int, fchmodat, (int dir_fd, const char *path, mode_t mode, int flags), CALL_FCHMODAT,
     (dir_fd, path, mode, flags))
WRAP(int, mkdirat, (int dir_fd, const char *path, mode_t mode), CALL_MKDIRAT, (dir_fd, path, mode))

int __wrap_openat(int dir_fd, const char *path, int flags, mode_t mode);
int __wrap_openat64(int dir_fd, const char *path, int flags, mode_t mode);

int __wrap_openat(int dir_fd, const char *path, int flags, mode_t mode)
{
	return openat_fails(flags) ? -1 : __real_openat(dir_fd, path, flags, mode);
}

int __wrap_openat64(int dir_fd, const char *path, int flags, mode_t mode)
{
	return __wrap_openat(dir_fd, path, flags, mode);
}

int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (fails(CALL_LINKAT))
		return -1;
	if (no_links) {
		errno = ENOENT;
		return -1;
	}
	return __real_linkat(from_fd, from, to_fd, to, flags);
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
	if (before_flock)
		before_flock(fd);
	return fails(CALL_FLOCK) ? -1 : __real_flock(fd, operation);
}

ssize_t __real_getrandom(void *data, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags);

ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags)
{
	if (fails(CALL_GETRANDOM))
		return -1;
	if (!same_names)
		return __real_getrandom(data, size, flags);
	memset(data, 0, size);
	return (ssize_t)size;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	return fails(CALL_ALLOCATION) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(CALL_ALLOCATION) ? NULL : __real_calloc(count, size);
}

#endif
