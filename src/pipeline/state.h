/* What a running capture is made of: shared by capture.c, which begins and ends it, inflow.c and
 * record.c, which are between the sources and the spool, sync.c, which makes it durable, and
 * events.c, which is everything else. */
#ifndef WEIR_PIPELINE_STATE_H
#define WEIR_PIPELINE_STATE_H

#include "base/loop.h"
#include "pipeline/delivery.h"
#include "pipeline/endpoint.h"
#include "pipeline/fault.h"
#include "pipeline/intake.h"
#include "pipeline/token.h"
#include "spool/spool.h"
#include "websocket/source.h"

enum phase {
	RUNNING,  /* messages are captured */
	STOPPING, /* enough was captured, or it failed: the WebSockets are being closed */
	ENDING,	  /* there is no connection any more; what is sealed is being handed on */
};

/* One source of a capture. */
struct inlet {
	struct endpoint endpoint;
	struct source *source;
	struct token token;
	uint64_t lost_ns; /* since when it has no open connection, after it had one; 0: it has */
	enum weir_source_state state; /* but for what ends because the capture does */
	char *error;		      /* what went wrong last; NULL: nothing */
};

struct weir_capture {
	struct weir_capture_options options;
	struct fault fault;
	struct inlet *inlets; /* options.source_count */
	size_t inlets_running;
	struct segment_share *shares; /* of each of several sources; NULL: there is one */
	struct filter *filter;	      /* NULL: no message is looked into */
	struct intake *intake;	      /* NULL: there is one connection at a time, and no filter */
	uint32_t connections;	      /* begun in this run */
	struct loop *loop;
	struct spool *spool;
	struct delivery *delivery;
	enum phase phase;
	bool aborted, removed;
	uint64_t stops; /* calls of weir_capture_stop() */
	int stop_fd;
	struct loop_source stop_source, sync_source, pack_source;
	struct loop_timer age_timer, tick_timer, duration_timer, sync_timer;
	struct loop_timer room_timer; /* looks for room while the disk is full */
	uint64_t room_wait_ns;	      /* how long it waits */
	bool dropping;		      /* what comes is dropped, since there is no room */
	struct drop_lane *drop_lanes; /* where it may be, else NULL: SOURCE_LANES for each source */
	bool pressed;		      /* something waited for room since sources went on last */
	bool looking;		      /* for room, just now */
	int room_error;		      /* of looking for it, where nobody could take it */
	uint64_t told_full_ns;	      /* when it was told that it is; 0: never */
	uint64_t started_ns;
	uint64_t seen_messages, seen_bytes; /* taken for the spool, for the limits */
	uint64_t open_bytes;		    /* of seen_bytes: of a message that is not whole */
	struct weir_stats stats;	    /* what no module counts */
};

/* Makes inlets of the options. Errors: −ENOMEM; what cannot be right is a fault. */
int inflow_init(struct weir_capture *capture);
void inflow_done(struct weir_capture *capture);

/* All sources at once: they begin to connect, are closed, go on after there was no room. */
int inflow_start(struct weir_capture *capture);
int inflow_close(struct weir_capture *capture, uint16_t close_code);
int inflow_resume(struct weir_capture *capture);

/* Ends what runs for the sources: nothing of it is wanted any more. */
void inflow_abort(struct weir_capture *capture);

/* Writes what was taken, and does what follows from that; its data is the capture. */
int inflow_flush(void *data);

/* What came of the message that the lane is in the middle of is not to be captured, nor counted. */
int inflow_drop_open_message(struct weir_capture *capture, uint16_t lane);

/* Adds what the sources counted; tells what one of them is like, as weir_capture_source_stats(). */
void inflow_count(const struct weir_capture *capture, struct weir_stats *stats);
struct weir_source_stats inflow_source_stats(const struct weir_capture *capture, size_t source);

/* Whether all messages that are to be captured are. */
bool inflow_limit_reached(const struct weir_capture *capture);

/* How much may be received; 0: reading stops until there is room. */
size_t pressure_room(struct weir_capture *capture);

/* Whether something waits in memory, since the disk is full. Whoever notices calls the second. */
bool pressure_is_on(const struct weir_capture *capture);
int pressure_begin(struct weir_capture *capture);

/* The same, when pieces were taken: whether no further ones can be. */
bool pressure_stalls(struct weir_capture *capture);

/* Says, if that was not said lately, that there is no room. */
void pressure_tell(struct weir_capture *capture);

/* Looks for room, after something was acknowledged, and by the timer. */
int pressure_relieve(void *data);

/* Forgets what waits: nothing more is to be captured. What was dropped goes on record. */
int pressure_end(struct weir_capture *capture);

/* Messages that are dropped, where that is what is to be done when there is no room. drop_from()
 * takes them out of a batch while capture->dropping is set; drop_forget(): the lane's connection
 * has ended. */
int drop_begin(struct weir_capture *capture);
void drop_done(struct weir_capture *capture);
int drop_from(struct weir_capture *capture, struct message_batch *batch);
void drop_forget(struct weir_capture *capture, uint16_t lane);

/* Callbacks of a source, for connections that were opened or lost; their data is the capture. */
int record_opened(void *data, const struct source_place *place, uint64_t time_ns);
int record_lost(void *data, const struct source_place *place, const struct source_loss *loss);

/* Waits for what is being compressed, if anything ever is. */
int packing_begin(struct weir_capture *capture);

/* Waits for what is being synced, if anything is. */
int sync_begin(struct weir_capture *capture);

/* Something was committed: it is to be durable in time. */
void sync_watch(struct weir_capture *capture);

/* At the end: whether all that is left is durable, or cannot be made so, which is a fault. */
bool sync_is_settled(struct weir_capture *capture);

/* Ends the capture of messages; the rest follows from the ends of the connections. */
int events_end(struct weir_capture *capture, enum weir_end end, uint16_t close_code);
int events_fail_storage(struct weir_capture *capture, int error);

/* All sources have ended. */
int events_ran_dry(struct weir_capture *capture);

/* Begins the work that was left by an earlier run, or became possible. */
int events_kick(struct weir_capture *capture);

/* The same, and looks for room: something was made durable, or compressed. When everything is
 * handed on, and durable if it is to be, the capture ends. */
int events_go_on(struct weir_capture *capture);

/* The open segment is to be sealed when it is old enough. */
void events_watch_age(struct weir_capture *capture);

/* Callbacks; their data is the capture. */
int events_progress(void *data, int stream_error, int spool_error); /* a delivery_progress */
int events_age(void *data);					    /* timers */
int events_tick(void *data);
int events_duration(void *data);
int events_stop(void *data); /* weir_capture_stop() was called */

#endif
