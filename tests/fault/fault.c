/*
 * A library to preload that makes calls of the C library fail.
 *
 * WEIR_FAULT is function:error:from[:count], as write:ENOSPC:3 or unlinkat:EIO:1:2. The from-th
 * call of that function and the next ones, `count` in all (1 when not given, 0 for ever), fail with
 * that error. The error SHORT makes write, writev, pwrite, send and recv do half of the work only;
 * HANG makes any of them wait for ever.
 *
 * WEIR_FAULT_PATH: only for files whose path contains this text.
 * WEIR_FAULT_PROGRAM: only in the program of this name, not in those that it starts.
 * WEIR_FAULT_LOG: a file that gets one line for every call that was made to fail.
 * WEIR_FAULT_CALLS: a file that gets one line for every call that could have been; none fails.
 * WEIR_FAULT_IDLE_SYNC: fsync and fdatasync that do not fail do nothing, which takes less time.
 *
 * open and openat count only when they make a file, and as reopen when they do not; O_TMPFILE
 * stands for both of them where they make one without a name. send and recv count only on
 * connections. The variants with 64 in their names count as the same function, fstatat as fstat,
 * fstatvfs as statvfs. Everything that the library does itself goes through system calls, so that
 * it never counts its own.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SHORT (-1)
#define HANG (-2)

static struct {
	char function[32];
	int error;
	long from;
	long count;
	const char *path;
	const char *log;
	const char *calls;
	bool idle_sync;
} plan;
static atomic_long calls;
static bool armed;

static const struct {
	const char *name;
	int error;
} errors[] = {
	{"EIO", EIO},
	{"ENOSPC", ENOSPC},
	{"EDQUOT", EDQUOT},
	{"EINTR", EINTR},
	{"EAGAIN", EAGAIN},
	{"ENOMEM", ENOMEM},
	{"EACCES", EACCES},
	{"EMFILE", EMFILE},
	{"ENFILE", ENFILE},
	{"EROFS", EROFS},
	{"ENOSYS", ENOSYS},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"EPIPE", EPIPE},
	{"EEXIST", EEXIST},
	{"EPERM", EPERM},
	{"ECONNRESET", ECONNRESET},
	{"SHORT", SHORT},
	{"HANG", HANG},
	{"ENOENT", ENOENT},
	{"ENOLCK", ENOLCK},
	{"EWOULDBLOCK", EWOULDBLOCK},
};

static void complain(const char *text)
{
	(void)!syscall(SYS_write, 2, "fault: ", 7);
	(void)!syscall(SYS_write, 2, text, strlen(text));
	(void)!syscall(SYS_write, 2, "\n", 1);
	syscall(SYS_exit_group, 99);
}

static int error_of(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(errors[i].name, name))
			return errors[i].error;
	complain("unknown error in WEIR_FAULT");
	return 0;
}

__attribute__((constructor)) static void arm(void)
{
	const char *text = getenv("WEIR_FAULT");
	const char *program = getenv("WEIR_FAULT_PROGRAM");
	char error[16];

	if (program && strcmp(program, program_invocation_short_name) != 0)
		return;
	plan.path = getenv("WEIR_FAULT_PATH");
	plan.log = getenv("WEIR_FAULT_LOG");
	plan.calls = getenv("WEIR_FAULT_CALLS");
	plan.idle_sync = getenv("WEIR_FAULT_IDLE_SYNC") != NULL;
	armed = plan.calls != NULL;
	if (!text)
		return;
	plan.count = 1;
	if (sscanf(text, "%31[^:]:%15[^:]:%ld:%ld", plan.function, error, &plan.from, &plan.count) <
	    3)
		complain("WEIR_FAULT is not function:error:from[:count]");
	plan.error = error_of(error);
	armed = true;
}

static void log_call(const char *path, const char *function)
{
	struct iovec line[2] = {{(void *)(uintptr_t)function, strlen(function)}, {"\n", 1}};
	long fd;

	if (!path)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	/* By one call, or threads would mix their lines. */
	(void)!syscall(SYS_writev, fd, line, 2L);
	syscall(SYS_close, fd);
}

static bool path_matches(int fd, const char *name)
{
	char link[32], path[PATH_MAX];
	long size;

	if (!plan.path || (name && strstr(name, plan.path)))
		return true;
	if (fd < 0 || (name && name[0] == '/'))
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
	if (size < 0)
		return false;
	path[size] = '\0';
	return strstr(path, plan.path) != NULL;
}

/* Whether this call shall fail; then errno is set, unless it is to be a short one. */
static bool fails(const char *function, int fd, const char *name)
{
	long call;

	if (!armed || (!plan.calls && strcmp(plan.function, function) != 0) ||
	    !path_matches(fd, name))
		return false;
	if (plan.calls) {
		log_call(plan.calls, function);
		return false;
	}
	call = atomic_fetch_add(&calls, 1) + 1;
	if (call < plan.from || (plan.count && call >= plan.from + plan.count))
		return false;
	log_call(plan.log, function);
	while (plan.error == HANG)
		pause();
	if (plan.error != SHORT)
		errno = plan.error;
	return true;
}

static size_t half_of(size_t size)
{
	return size > 1 ? size / 2 : size;
}

/* A pair of sockets inside the process, as libraries use to wake themselves up, is no connection.
 */
static bool is_connection(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	return !syscall(SYS_getsockname, fd, &address, &size) && address.ss_family != AF_UNIX;
}

#define EXPORT __attribute__((visibility("default")))
#define LIST(...) __VA_ARGS__

/* The next definition of a function: the C library's own. */
#define FIND_REAL(type, symbol, types)                                                             \
	static type (*real)(types);                                                                \
	if (!real)                                                                                 \
	*(void **)&real = dlsym(RTLD_NEXT, #symbol)

/* `symbol` counts as `name`, and returns `failure` when it shall fail. */
#define FAIL_AS(type, symbol, name, failure, fd, path, parameters, types, arguments)               \
	EXPORT type symbol(parameters);                                                            \
	EXPORT type symbol(parameters)                                                             \
	{                                                                                          \
		FIND_REAL(type, symbol, LIST(types));                                              \
		if (fails(name, fd, path))                                                         \
			return failure;                                                            \
		return real(arguments);                                                            \
	}
#define FAIL(symbol, fd, path, parameters, types, arguments)                                       \
	FAIL_AS(int, symbol, #symbol, -1, fd, path, LIST(parameters), LIST(types), LIST(arguments))

#define FAIL_SYNC(symbol)                                                                          \
	EXPORT int symbol(int fd)                                                                  \
	{                                                                                          \
		if (fails(#symbol, fd, NULL))                                                      \
			return -1;                                                                 \
		return plan.idle_sync ? 0 : (int)syscall(SYS_##symbol, fd);                        \
	}
FAIL_SYNC(fsync)
FAIL_SYNC(fdatasync)
FAIL(flock, fd, NULL, LIST(int fd, int operation), LIST(int, int), LIST(fd, operation))
FAIL(ftruncate, fd, NULL, LIST(int fd, off_t size), LIST(int, off_t), LIST(fd, size))
FAIL_AS(int, ftruncate64, "ftruncate", -1, fd, NULL, LIST(int fd, off_t size), LIST(int, off_t),
	LIST(fd, size))
FAIL(fallocate, fd, NULL, LIST(int fd, int mode, off_t at, off_t size),
     LIST(int, int, off_t, off_t), LIST(fd, mode, at, size))
FAIL_AS(int, fallocate64, "fallocate", -1, fd, NULL, LIST(int fd, int mode, off_t at, off_t size),
	LIST(int, int, off_t, off_t), LIST(fd, mode, at, size))
FAIL(fchmod, fd, NULL, LIST(int fd, mode_t mode), LIST(int, mode_t), LIST(fd, mode))
FAIL_AS(int, fstat, "fstat", -1, fd, NULL, LIST(int fd, struct stat *status),
	LIST(int, struct stat *), LIST(fd, status))
FAIL_AS(int, fstat64, "fstat", -1, fd, NULL, LIST(int fd, struct stat64 *status),
	LIST(int, struct stat64 *), LIST(fd, status))
FAIL_AS(int, fstatat, "fstat", -1, fd, path,
	LIST(int fd, const char *path, struct stat *status, int flags),
	LIST(int, const char *, struct stat *, int), LIST(fd, path, status, flags))
FAIL_AS(int, fstatat64, "fstat", -1, fd, path,
	LIST(int fd, const char *path, struct stat64 *status, int flags),
	LIST(int, const char *, struct stat64 *, int), LIST(fd, path, status, flags))
FAIL_AS(int, fstatvfs64, "statvfs", -1, fd, NULL, LIST(int fd, struct statvfs64 *space),
	LIST(int, struct statvfs64 *), LIST(fd, space))
FAIL_AS(int, statvfs64, "statvfs", -1, -1, path, LIST(const char *path, struct statvfs64 *space),
	LIST(const char *, struct statvfs64 *), LIST(path, space))
FAIL_AS(ssize_t, fgetxattr, "fgetxattr", -1, fd, NULL,
	LIST(int fd, const char *name, void *value, size_t size),
	LIST(int, const char *, void *, size_t), LIST(fd, name, value, size))
FAIL(fsetxattr, fd, NULL, LIST(int fd, const char *name, const void *value, size_t size, int flags),
     LIST(int, const char *, const void *, size_t, int), LIST(fd, name, value, size, flags))
FAIL(fremovexattr, fd, NULL, LIST(int fd, const char *name), LIST(int, const char *),
     LIST(fd, name))
FAIL_AS(off_t, lseek64, "lseek", -1, fd, NULL, LIST(int fd, off_t to, int whence),
	LIST(int, off_t, int), LIST(fd, to, whence))
FAIL_AS(void *, mmap64, "mmap", MAP_FAILED, fd, NULL,
	LIST(void *at, size_t size, int protection, int flags, int fd, off_t offset),
	LIST(void *, size_t, int, int, int, off_t), LIST(at, size, protection, flags, fd, offset))
FAIL_AS(DIR *, opendir, "opendir", NULL, -1, path, LIST(const char *path), LIST(const char *),
	LIST(path))
FAIL_AS(DIR *, fdopendir, "opendir", NULL, fd, NULL, LIST(int fd), LIST(int), LIST(fd))
FAIL_AS(struct dirent64 *, readdir64, "readdir", NULL, dirfd(directory), NULL, LIST(DIR *directory),
	LIST(DIR *), LIST(directory))
FAIL(dup, fd, NULL, LIST(int fd), LIST(int), LIST(fd))
FAIL(eventfd, -1, NULL, LIST(unsigned int count, int flags), LIST(unsigned int, int),
     LIST(count, flags))
FAIL_AS(ssize_t, sendfile64, "sendfile", -1, fd, NULL,
	LIST(int fd, int from, off_t *at, size_t size), LIST(int, int, off_t *, size_t),
	LIST(fd, from, at, size))
FAIL_AS(ssize_t, splice, "splice", -1, from, NULL,
	LIST(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned int flags),
	LIST(int, off64_t *, int, off64_t *, size_t, unsigned int),
	LIST(from, from_at, to, to_at, size, flags))
FAIL(rmdir, -1, path, LIST(const char *path), LIST(const char *), LIST(path))
FAIL(mkdir, -1, path, LIST(const char *path, mode_t mode), LIST(const char *, mode_t),
     LIST(path, mode))
FAIL(mkdirat, fd, path, LIST(int fd, const char *path, mode_t mode),
     LIST(int, const char *, mode_t), LIST(fd, path, mode))
FAIL(unlink, -1, path, LIST(const char *path), LIST(const char *), path)
FAIL(unlinkat, fd, path, LIST(int fd, const char *path, int flags), LIST(int, const char *, int),
     LIST(fd, path, flags))
FAIL(rename, -1, to, LIST(const char *from, const char *to), LIST(const char *, const char *),
     LIST(from, to))
FAIL(renameat, fd, from, LIST(int fd, const char *from, int to_fd, const char *to),
     LIST(int, const char *, int, const char *), LIST(fd, from, to_fd, to))
FAIL(renameat2, fd, from,
     LIST(int fd, const char *from, int to_fd, const char *to, unsigned int flags),
     LIST(int, const char *, int, const char *, unsigned int), LIST(fd, from, to_fd, to, flags))
FAIL(linkat, to_fd, to, LIST(int fd, const char *from, int to_fd, const char *to, int flags),
     LIST(int, const char *, int, const char *, int), LIST(fd, from, to_fd, to, flags))
FAIL(epoll_wait, -1, NULL, LIST(int fd, struct epoll_event *events, int count, int timeout),
     LIST(int, struct epoll_event *, int, int), LIST(fd, events, count, timeout))
FAIL_AS(int, epoll_pwait, "epoll_wait", -1, -1, NULL,
	LIST(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask),
	LIST(int, struct epoll_event *, int, int, const sigset_t *),
	LIST(fd, events, count, timeout, mask))
FAIL_AS(ssize_t, getrandom, "getrandom", -1, -1, NULL,
	LIST(void *data, size_t size, unsigned int flags), LIST(void *, size_t, unsigned int),
	LIST(data, size, flags))
FAIL_AS(pid_t, fork, "fork", -1, -1, NULL, void, void, )

/* These two return the error instead of setting errno. */
#define SPAWN_PARAMETERS                                                                           \
	pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,                   \
		const posix_spawnattr_t *attributes, char *const arguments[],                      \
		char *const environment[]
#define SPAWN_TYPES                                                                                \
	pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,      \
		char *const[], char *const[]
FAIL_AS(int, posix_spawn, "posix_spawn", plan.error, -1, path, LIST(SPAWN_PARAMETERS),
	LIST(SPAWN_TYPES), LIST(pid, path, actions, attributes, arguments, environment))
FAIL_AS(int, posix_spawnp, "posix_spawn", plan.error, -1, path, LIST(SPAWN_PARAMETERS),
	LIST(SPAWN_TYPES), LIST(pid, path, actions, attributes, arguments, environment))

/* Calls that move data: with the error SHORT, they move half of it. */
#define FAIL_DATA(symbol, name, counts, parameters, types, whole, half)                            \
	EXPORT ssize_t symbol(parameters);                                                         \
	EXPORT ssize_t symbol(parameters)                                                          \
	{                                                                                          \
		FIND_REAL(ssize_t, symbol, LIST(types));                                           \
		if (!(counts) || !fails(name, fd, NULL))                                           \
			return real(whole);                                                        \
		return plan.error == SHORT ? real(half) : -1;                                      \
	}

FAIL_DATA(write, "write", true, LIST(int fd, const void *data, size_t size),
	  LIST(int, const void *, size_t), LIST(fd, data, size), LIST(fd, data, half_of(size)))
FAIL_DATA(pwrite, "pwrite", true, LIST(int fd, const void *data, size_t size, off_t at),
	  LIST(int, const void *, size_t, off_t), LIST(fd, data, size, at),
	  LIST(fd, data, half_of(size), at))
FAIL_DATA(pwrite64, "pwrite", true, LIST(int fd, const void *data, size_t size, off_t at),
	  LIST(int, const void *, size_t, off_t), LIST(fd, data, size, at),
	  LIST(fd, data, half_of(size), at))
FAIL_DATA(read, "read", true, LIST(int fd, void *data, size_t size), LIST(int, void *, size_t),
	  LIST(fd, data, size), LIST(fd, data, half_of(size)))
FAIL_DATA(pread64, "pread", true, LIST(int fd, void *data, size_t size, off_t at),
	  LIST(int, void *, size_t, off_t), LIST(fd, data, size, at),
	  LIST(fd, data, half_of(size), at))
FAIL_DATA(send, "send", is_connection(fd), LIST(int fd, const void *data, size_t size, int flags),
	  LIST(int, const void *, size_t, int), LIST(fd, data, size, flags),
	  LIST(fd, data, half_of(size), flags))
FAIL_DATA(recv, "recv", is_connection(fd), LIST(int fd, void *data, size_t size, int flags),
	  LIST(int, void *, size_t, int), LIST(fd, data, size, flags),
	  LIST(fd, data, half_of(size), flags))

/* Half of its first vector, which is a short write too. */
static ssize_t short_writev(int fd, const struct iovec *vectors)
{
	struct iovec part = vectors[0];

	part.iov_len = half_of(part.iov_len);
	return syscall(SYS_writev, fd, &part, 1L);
}

EXPORT ssize_t writev(int fd, const struct iovec *vectors, int count)
{
	FIND_REAL(ssize_t, writev, LIST(int, const struct iovec *, int));
	if (!fails("writev", fd, NULL))
		return real(fd, vectors, count);
	return plan.error == SHORT ? short_writev(fd, vectors) : -1;
}

/* recv, as weir does it. */
EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	struct iovec half;
	struct msghdr part = *message;
	ssize_t received;

	FIND_REAL(ssize_t, recvmsg, LIST(int, struct msghdr *, int));
	if (!is_connection(fd) || !fails("recv", fd, NULL))
		return real(fd, message, flags);
	if (plan.error != SHORT)
		return -1;
	half = message->msg_iov[0];
	half.iov_len = half_of(half.iov_len);
	part.msg_iov = &half;
	received = real(fd, &part, flags);
	part.msg_iov = message->msg_iov;
	*message = part;
	return received;
}

/* open and its kin take the mode only when they make a file. */
static mode_t mode_of(int flags, va_list arguments)
{
	bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;

	return makes ? va_arg(arguments, mode_t) : 0;
}

static int open_or_fail(const char *name, int fd, const char *path, int flags, mode_t mode)
{
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;

	if (unnamed && fails("O_TMPFILE", fd, path))
		return -1;
	if (fails((flags & O_CREAT) || unnamed ? name : "reopen", fd, path))
		return -1;
	return (int)syscall(SYS_openat, fd, path, flags, mode);
}

#define FAIL_OPEN(symbol)                                                                          \
	EXPORT int symbol(const char *path, int flags, ...)                                        \
	{                                                                                          \
		va_list arguments;                                                                 \
		mode_t mode;                                                                       \
		va_start(arguments, flags);                                                        \
		mode = mode_of(flags, arguments);                                                  \
		va_end(arguments);                                                                 \
		return open_or_fail("open", AT_FDCWD, path, flags, mode);                          \
	}
#define FAIL_OPENAT(symbol)                                                                        \
	EXPORT int symbol(int fd, const char *path, int flags, ...)                                \
	{                                                                                          \
		va_list arguments;                                                                 \
		mode_t mode;                                                                       \
		va_start(arguments, flags);                                                        \
		mode = mode_of(flags, arguments);                                                  \
		va_end(arguments);                                                                 \
		return open_or_fail("openat", fd, path, flags, mode);                              \
	}
FAIL_OPEN(open)
FAIL_OPEN(open64)
FAIL_OPENAT(openat)
FAIL_OPENAT(openat64)

/* Not through dlsym(), which wants memory itself. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

EXPORT void *malloc(size_t size)
{
	return fails("malloc", -1, NULL) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return fails("calloc", -1, NULL) ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *memory, size_t size)
{
	return fails("realloc", -1, NULL) ? NULL : __libc_realloc(memory, size);
}
