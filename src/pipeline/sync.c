/*
 * When what is captured is to be made durable by the clock, and what follows when something was:
 * segments come out of the spool or are deleted, reading goes on, the capture may end. A sync that
 * failed ends the capture, since nobody can say what is on the disk then.
 */
#include "pipeline/state.h"

#include "base/clock.h"
#include "websocket/close.h"

#include <sys/epoll.h>

/* Other errors come the same way: those of files that were to be deleted, or could not be taken
 * over for a sync. */
static int fail(struct weir_capture *capture, int error)
{
	struct sync_progress progress = spool_durable(capture->spool);

	if (progress.error == 0)
		return events_fail_storage(capture, error);
	fault_set_sync(&capture->fault, spool_path(capture->spool), progress.error,
		       progress.durable.end_seq);
	return events_end(capture, WEIR_END_FAILURE, CLOSE_INTERNAL);
}

static int on_progress(void *data)
{
	struct weir_capture *capture = data;
	int r = spool_collect(capture->spool);

	if (r < 0)
		r = fail(capture, r);
	if (r >= 0 && spool_durable(capture->spool).full < 0)
		r = pressure_begin(capture);
	return r < 0 ? r : events_go_on(capture);
}

static int on_timer(void *data)
{
	struct weir_capture *capture = data;
	int r = spool_sync(capture->spool);

	return r < 0 ? events_fail_storage(capture, r) : 0;
}

int sync_begin(struct weir_capture *capture)
{
	int fd = spool_sync_fd(capture->spool);

	capture->sync_timer = (struct loop_timer){.callback = on_timer, .data = capture};
	capture->sync_source.callback = on_progress;
	capture->sync_source.data = capture;
	return fd < 0 ? 0 : loop_add(capture->loop, &capture->sync_source, fd, EPOLLIN);
}

void sync_watch(struct weir_capture *capture)
{
	if (capture->options.sync == WEIR_SYNC_INTERVAL && capture->sync_timer.due_ns == 0)
		loop_timer_set(
			capture->loop, &capture->sync_timer,
			clock_after(clock_monotonic_ns(), capture->options.sync_interval_ns));
}

bool sync_is_settled(struct weir_capture *capture)
{
	int r = spool_settle(capture->spool);
	int full = spool_durable(capture->spool).full;

	if (r < 0)
		fail(capture, r);
	if (full == 0)
		return r != 0;
	if (capture->stats.end == WEIR_END_SERVER && capture->stops == 0 &&
	    capture->options.on_full != WEIR_FULL_STOP) {
		pressure_tell(capture);
		return false;
	}
	fault_set_storage(&capture->fault, &capture->options, spool_path(capture->spool), full);
	return true;
}
