/* What a running capture is made of: shared by capture.c, which begins and ends it, and events.c,
 * which is everything in between. */
#ifndef WEIR_PIPELINE_STATE_H
#define WEIR_PIPELINE_STATE_H

#include "base/loop.h"
#include "pipeline/delivery.h"
#include "pipeline/fault.h"
#include "pipeline/route.h"
#include "spool/spool.h"
#include "websocket/client.h"

enum phase {
	RUNNING,  /* messages are captured */
	STOPPING, /* enough was captured, or it failed: the WebSocket is being closed */
	ENDING,	  /* there is no connection any more; what is sealed is being handed on */
};

struct weir_capture {
	struct weir_capture_options options;
	struct fault fault;
	struct url url;
	char *shown_url;
	struct route route;
	struct loop *loop;
	struct spool *spool;
	struct delivery *delivery;
	struct client *client;
	enum phase phase;
	bool aborted, removed;
	uint64_t stops; /* calls of weir_capture_stop() */
	int stop_fd;
	struct loop_source stop_source;
	struct loop_timer age_timer, tick_timer, duration_timer;
	uint64_t started_ns;
	uint64_t seen_messages, seen_bytes; /* taken for the spool, for the limits */
	struct weir_stats stats;	    /* what no module counts */
};

extern const struct client_handler events_of_client;

/* Begins the work that was left by an earlier run, or became possible. */
int events_kick(struct weir_capture *capture);

/* Callbacks; their data is the capture. */
int events_progress(void *data, int stream_error, int spool_error); /* a delivery_progress */
int events_age(void *data);					    /* timers */
int events_tick(void *data);
int events_duration(void *data);
int events_stop(void *data); /* weir_capture_stop() was called */

#endif
