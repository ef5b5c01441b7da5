/*
 * The owner writes into the lock file who it is. That is for people: a process that died leaves the
 * same words, and only the lock tells whether they are true.
 *
 * Nothing asks for a flock(2) without trying to take it. The kernel lists them in /proc/locks, with
 * the inode of each: where the lock is listed, that is the answer, and nobody notices the question.
 *
 * It may also be held and not be listed: by a process that is not visible from here. So it is tried
 * then, shared and for a moment. Somebody who wants to become the owner in the same moment tries
 * more than once for that reason; see directory.c.
 */
#include "spool/owner.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define TEXT_SIZE 160
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_SIZE 36

/* "7: FLOCK  ADVISORY  WRITE 1234 fe:00:4711 0 EOF"; of one that waits, an arrow follows the
 * number.
 */
static bool is_holder(const char *line, const struct stat *file, pid_t *ret_pid)
{
	char class[16], pid[16], place[64], *end;
	unsigned device_major, device_minor;

	if (sscanf(line, "%*s %15s %*s %*s %15s %63s", class, pid, place) != 3 ||
	    strcmp(class, "FLOCK") != 0)
		return false;
	device_major = (unsigned)strtoul(place, &end, 16);
	device_minor = *end == ':' ? (unsigned)strtoul(end + 1, &end, 16) : 0;
	if (*end != ':' || strtoull(end + 1, &end, 10) != file->st_ino || *end ||
	    makedev(device_major, device_minor) != file->st_dev)
		return false;
	*ret_pid = (pid_t)MAX(strtol(pid, NULL, 10), 0L);
	return true;
}

static bool is_listed(const struct stat *file, pid_t *ret_pid)
{
	CLEANUP_FILE FILE *locks = fopen("/proc/locks", "re");
	char line[160];

	while (locks && fgets(line, sizeof(line), locks))
		if (is_holder(line, file, ret_pid))
			return true;
	return false;
}

/* Whether somebody else holds it, found out by taking it for a moment. */
static bool is_taken(int fd)
{
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(fd, LOCK_UN);
	return false;
}

/* Changes with each start of the kernel; "" where nobody can say. */
static void read_boot(char to[BOOT_SIZE + 1])
{
	ssize_t n = io_read_file(AT_FDCWD, BOOT_ID, to, BOOT_SIZE);

	to[n == BOOT_SIZE ? BOOT_SIZE : 0] = '\0';
}

int owner_note(int lock_fd, uint64_t at, bool settled)
{
	char host[OWNER_HOST_SIZE] = "", boot[BOOT_SIZE + 1] = "", text[TEXT_SIZE];
	int size, r;

	gethostname(host, sizeof(host) - 1);
	if (settled)
		read_boot(boot);
	size = snprintf(text, sizeof(text), "owner %d %" PRIu64 " %s %s\n", (int)getpid(),
			clock_realtime_ns() / NS_PER_S, *host ? host : "?", boot);
	r = io_pwrite_all(lock_fd, text, (size_t)size, (off_t)at);
	if (r < 0)
		return r;
	return ftruncate(lock_fd, (off_t)at + size) < 0 ? -errno : 0;
}

/* Whatever stands in the file may end up on a terminal. */
static bool is_plain(const char *text)
{
	while (isgraph((unsigned char)*text))
		text++;
	return !*text;
}

static void read_note(int fd, struct owner *owner)
{
	char text[TEXT_SIZE + 1] = "", host[OWNER_HOST_SIZE], pid[16], since[24];

	/* The line behind the first one. */
	if (io_pread_all(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%*[^\n]\nowner %15s %23s %64s", pid, since, host) != 3)
		return;
	if (owner->pid == 0)
		owner->pid = (pid_t)MAX(strtol(pid, NULL, 10), 0L);
	owner->since_s = strtoull(since, NULL, 10);
	if (is_plain(host))
		snprintf(owner->host, sizeof(owner->host), "%s", host);
}

bool owner_is_of_this_boot(int lock_fd)
{
	char text[TEXT_SIZE + 1] = "", noted[BOOT_SIZE + 1], boot[BOOT_SIZE + 1];

	read_boot(boot);
	return io_pread_all(lock_fd, text, sizeof(text) - 1, 0) > 0 &&
	       sscanf(text, "%*[^\n]\nowner %*s %*s %*s %36s", noted) == 1 &&
	       strcmp(noted, boot) == 0;
}

int owner_probe(int dir_fd, struct owner *ret_owner)
{
	CLEANUP_FD int fd =
		openat(dir_fd, FORMAT_LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct owner owner = {0};
	struct stat status;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (fd >= 0 && fstat(fd, &status) < 0)
		return -errno;
	if (fd >= 0)
		owner.alive = is_listed(&status, &owner.pid) || is_taken(fd);
	if (owner.alive)
		read_note(fd, &owner);
	*ret_owner = owner;
	return 0;
}
