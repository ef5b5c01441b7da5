/*
 * epoll(7) with callbacks. Timers are a list sorted by due time: there are a handful of them, and
 * the first one is the time-out of the wait.
 *
 * Two points are subtle. A callback may remove (and free) any source, also one whose event stands
 * later in the batch that is being delivered. loop_remove() therefore strikes the source out of
 * that batch.
 *
 * And a timer says as a rule that something did not come in time. A callback may have taken long,
 * or the machine may have had no time for us, so that it is there by now and nobody has looked. So
 * a timer runs only when its time had come before the sources were asked.
 */
#include "base/loop.h"

#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 16
#define WAIT_MAX_MS (UINT64_C(3600) * 1000)

struct loop {
	int epoll_fd;
	bool stopped;
	struct loop_timer *timers;
	struct epoll_event batch[BATCH];
	int batch_size;
};

int loop_new(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int r = -errno;

		free(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	source->fd = fd;
	return 0;
}

int loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (!loop || source->fd < 0)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
	for (int i = 0; i < loop->batch_size; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	if (!loop || timer->due_ns == 0)
		return;
	for (struct loop_timer **at = &loop->timers; *at; at = &(*at)->next) {
		if (*at == timer) {
			*at = timer->next;
			break;
		}
	}
	timer->due_ns = 0;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ns)
{
	struct loop_timer **at = &loop->timers;

	loop_timer_clear(loop, timer);
	while (*at && (*at)->due_ns <= due_ns)
		at = &(*at)->next;
	timer->due_ns = MAX(due_ns, UINT64_C(1));
	timer->next = *at;
	*at = timer;
}

/* Until the first timer, rounded up so that it is due then. */
int loop_timeout_ms(const struct loop *loop)
{
	uint64_t now = clock_monotonic_ns();

	if (!loop->timers)
		return -1;
	if (loop->timers->due_ns <= now)
		return 0;
	return (int)MIN((loop->timers->due_ns - now + NS_PER_MS - 1) / NS_PER_MS, WAIT_MAX_MS);
}

static int run_timers(struct loop *loop, uint64_t until_ns)
{
	while (!loop->stopped && loop->timers && loop->timers->due_ns <= until_ns) {
		struct loop_timer *timer = loop->timers;
		int r;

		loop_timer_clear(loop, timer);
		r = timer->callback(timer->data);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_sources(struct loop *loop)
{
	for (int i = 0; i < loop->batch_size && !loop->stopped; i++) {
		struct loop_source *source = loop->batch[i].data.ptr;
		int r = source ? source->callback(source->data) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int run_once(struct loop *loop, int timeout_max_ms)
{
	uint64_t begin_ns = clock_monotonic_ns();
	int timeout_ms = loop_timeout_ms(loop), n, r;

	if (timeout_max_ms >= 0 && (timeout_ms < 0 || timeout_ms > timeout_max_ms))
		timeout_ms = timeout_max_ms;
	n = epoll_wait(loop->epoll_fd, loop->batch, BATCH, timeout_ms);

	if (n < 0 && errno != EINTR)
		return -errno;
	loop->batch_size = MAX(n, 0);
	r = run_sources(loop);
	loop->batch_size = 0;
	if (r < 0)
		return r;
	return run_timers(loop, begin_ns);
}

int loop_run(struct loop *loop)
{
	int r = 0;

	while (r >= 0 && !loop->stopped)
		r = run_once(loop, -1);
	loop->stopped = false;
	return r;
}

int loop_step(struct loop *loop, int timeout_ms)
{
	int r = loop->stopped ? 0 : run_once(loop, timeout_ms);
	bool stopped = loop->stopped;

	loop->stopped = false;
	return r >= 0 && stopped ? 1 : r;
}

int loop_fd(const struct loop *loop)
{
	return loop->epoll_fd;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
