/* inotify(7) on the directory tells of writes to the files in it, at no cost for who writes them
 * but the note itself; a note that is there already is not made again. */
#include "spool/watch.h"

#include "base/macro.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>

#define UNWATCHED_MS 50 /* how often to look where nothing can be watched */
#define EVENTS                                                                                     \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |        \
	 IN_DELETE_SELF)

int watch_open(int dir_fd)
{
	CLEANUP_FD int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	if (inotify_add_watch(fd, path, EVENTS) < 0)
		return -errno;
	return take_fd(&fd);
}

bool watch_wait(int watch_fd, int timeout_ms)
{
	struct pollfd wanted = {.fd = watch_fd, .events = POLLIN};
	char events[sizeof(struct inotify_event) + NAME_MAX + 1];

	if (watch_fd < 0 && (timeout_ms < 0 || timeout_ms > UNWATCHED_MS))
		timeout_ms = UNWATCHED_MS;
	if (poll(&wanted, 1, timeout_ms) <= 0)
		return false;
	while (read(watch_fd, events, sizeof(events)) > 0)
		;
	return true;
}
