/* Waits until something happens in a spool that another process writes. */
#ifndef WEIR_SPOOL_WATCH_H
#define WEIR_SPOOL_WATCH_H

#include <stdbool.h>

/* A descriptor that is readable when something was written, sealed or deleted. Errors: those of
 * inotify_init1(2) and inotify_add_watch(2). */
int watch_open(int dir_fd);

/* Waits, `timeout_ms` at most, and returns whether something happened. It returns early when a
 * signal comes, and where nothing can be watched, with a `watch_fd` below 0. */
bool watch_wait(int watch_fd, int timeout_ms);

#endif
