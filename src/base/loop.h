/* A small event loop over epoll(7): descriptors, timers, nothing else. One thread. */
#ifndef WEIR_BASE_LOOP_H
#define WEIR_BASE_LOOP_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* What a descriptor or timer calls. An error (−errno) that it returns ends loop_run() with it. */
typedef int loop_callback(void *data);

/* Embedded in whoever waits; the memory must stay until the source was removed. */
struct loop_source {
	loop_callback *callback;
	void *data;
	int fd; /* -1 while not added */
};

struct loop_timer {
	loop_callback *callback;
	void *data;
	uint64_t due_ns; /* by the monotonic clock, 0 while not set */
	struct loop_timer *next;
};

/* Errors: −ENOMEM, or those of epoll_create1(2). */
int loop_new(struct loop **ret_loop);
void loop_free(struct loop *loop);

/* Watches `fd` for `events` (EPOLLIN, EPOLLOUT, 0 for errors alone), level-triggered. The caller
 * keeps the descriptor and sets callback and data of the source before. −EPERM: the descriptor
 * cannot be waited for (a regular file). */
int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events);
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);

/* May be called from any callback, also the source's own, and for a source never added. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Calls the timer once at `due_ns` of the monotonic clock; setting it again moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ns);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* Runs until loop_stop(), which may have been called before, or until a callback returns an error,
 * which is then returned. It can be run again. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* For who has a loop of his own: runs what is due, and waits for it `timeout_ms` at most (-1: as
 * long as it takes). Returns 1 after loop_stop(), else 0 or an error as loop_run(). */
int loop_step(struct loop *loop, int timeout_ms);

/* A descriptor that becomes readable, and the time after which, at the latest (-1: there is none),
 * loop_step() is to be called. */
int loop_fd(const struct loop *loop);
int loop_timeout_ms(const struct loop *loop);

DEFINE_CLEANUP(struct loop *, loop_free);

#endif
