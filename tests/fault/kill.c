/*
 * A library to preload that kills the process at an exact place of its work on the disk.
 *
 * WEIR_KILL is number[:half]: the process gets SIGKILL in place of its number-th call of any of the
 * functions below, counted together. With half, and when that call writes, it writes the first half
 * before. WEIR_KILL_PROGRAM: only in the program of this name, not in those that it starts.
 *
 * To die before a call is the same as to die behind the call before it, so that all numbers
 * together are all states that a death can leave behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long number;
static bool half;

__attribute__((constructor)) static void arm(void)
{
	const char *text = getenv("WEIR_KILL");
	const char *program = getenv("WEIR_KILL_PROGRAM");

	if (!text || (program && strcmp(program, program_invocation_short_name) != 0))
		return;
	number = strtol(text, NULL, 10);
	half = strstr(text, ":half") != NULL;
}

static bool is_the_last(void)
{
	return number > 0 && atomic_fetch_add(&calls, 1) + 1 == number;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

static void die_if_last(void)
{
	if (is_the_last())
		die();
}

#define EXPORT __attribute__((visibility("default")))

EXPORT ssize_t write(int fd, const void *data, size_t size)
{
	if (is_the_last()) {
		if (half)
			(void)!syscall(SYS_write, fd, data, size / 2);
		die();
	}
	return syscall(SYS_write, fd, data, size);
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
	if (is_the_last()) {
		if (half)
			(void)!syscall(SYS_pwrite64, fd, data, size / 2, at);
		die();
	}
	return syscall(SYS_pwrite64, fd, data, size, at);
}

EXPORT int unlinkat(int fd, const char *path, int flags)
{
	die_if_last();
	return (int)syscall(SYS_unlinkat, fd, path, flags);
}

EXPORT int rmdir(const char *path)
{
	die_if_last();
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	die_if_last();
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

EXPORT int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	die_if_last();
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

EXPORT int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	die_if_last();
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	die_if_last();
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

EXPORT int mkdirat(int fd, const char *path, mode_t mode)
{
	die_if_last();
	return (int)syscall(SYS_mkdirat, fd, path, mode);
}

EXPORT int ftruncate64(int fd, off_t size)
{
	die_if_last();
	return (int)syscall(SYS_ftruncate, fd, size);
}

EXPORT int fallocate64(int fd, int mode, off_t at, off_t size)
{
	die_if_last();
	return (int)syscall(SYS_fallocate, fd, mode, at, size);
}

EXPORT int flock(int fd, int operation)
{
	die_if_last();
	return (int)syscall(SYS_flock, fd, operation);
}

EXPORT int openat64(int fd, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode = 0;

	if (flags & O_CREAT) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
		die_if_last();
	}
	return (int)syscall(SYS_openat, fd, path, flags, mode);
}
