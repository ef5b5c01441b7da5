/*
 * What follows when a segment was compressed, or made plain again: one can come out, there is more
 * room, and the capture may end.
 */
#include "pipeline/state.h"

#include <sys/epoll.h>

static int on_progress(void *data)
{
	struct weir_capture *capture = data;

	spool_pack_collect(capture->spool);
	return events_go_on(capture);
}

int packing_begin(struct weir_capture *capture)
{
	int fd = spool_pack_fd(capture->spool);

	capture->pack_source.callback = on_progress;
	capture->pack_source.data = capture;
	return fd < 0 ? 0 : loop_add(capture->loop, &capture->pack_source, fd, EPOLLIN);
}
