/* What was taken for a segment and cannot be written yet: pieces of messages, and events, copied,
 * in their order. */
#ifndef WEIR_SPOOL_WAITING_H
#define WEIR_SPOOL_WAITING_H

#include "base/message.h"
#include "spool/format.h"
#include "spool/loss.h"

#define WAITING_EVENTS_MAX 256

struct waiting_item {
	struct waiting_item *next;
	bool is_event;
	struct format_entry event;  /* if it is one; else */
	struct message_piece piece; /* whose data stands behind this, */
	uint64_t time_ns;	    /* and of its batch: */
	uint16_t source, connection, lane;
	bool kernel_time;
	uint8_t data[];
};

/* A batch of that piece alone, good for as long as the item is there. */
static inline void waiting_batch(const struct waiting_item *item, struct message_batch *ret_batch)
{
	ret_batch->count = 1;
	ret_batch->time_ns = item->time_ns;
	ret_batch->source = item->source;
	ret_batch->connection = item->connection;
	ret_batch->lane = item->lane;
	ret_batch->kernel_time = item->kernel_time;
	ret_batch->pieces[0] = item->piece;
}

struct waiting {
	struct waiting_item *first, *last; /* NULL: nothing waits */
	size_t count, events;
};

/* Adds copies of the pieces of `batch` from number `from`. Errors: −ENOMEM, then none was added. */
int waiting_add(struct waiting *waiting, const struct message_batch *batch, size_t from);

/* Adds an event that may be lost for want of memory: −ENOBUFS when WAITING_EVENTS_MAX wait; or one
 * that was taken already. Errors: −ENOMEM. */
int waiting_add_event(struct waiting *waiting, const struct format_entry *event);
int waiting_add_taken_event(struct waiting *waiting, const struct format_entry *event);

/* Moves the first, which must be there, to the end of another. */
void waiting_move_first(struct waiting *waiting, struct waiting *to);

/* Moves all to the end of another. */
void waiting_move_all(struct waiting *waiting, struct waiting *to);

/* Forgets the first, which must be there. */
void waiting_pop(struct waiting *waiting);

/* Forgets all of it. */
void waiting_clear(struct waiting *waiting);

static inline bool waiting_has_pieces(const struct waiting *waiting)
{
	return waiting->count > waiting->events;
}

/* Adds the messages whose ends wait here. */
void waiting_count(const struct waiting *waiting, struct loss *sum);

/* Whether the last piece that waits is not the last of its message. False if none waits. */
bool waiting_in_message(const struct waiting *waiting);

/* Forgets the message that is not whole. Returns whether it began in here: if not, there is more of
 * it elsewhere. */
bool waiting_drop_open_message(struct waiting *waiting);

#endif
