/*
 * A disk that is full is noticed in the middle of what was received, and its memory will be used
 * again. So the rest of it is copied into here, piece by piece: at most what the batch in hand
 * holds, since nobody goes on to the next one.
 */
#include "spool/waiting.h"

#include "base/macro.h"

#include <errno.h>
#include <string.h>

static void add(struct waiting *waiting, struct waiting_item *item)
{
	item->next = NULL;
	if (waiting->last)
		waiting->last->next = item;
	else
		waiting->first = item;
	waiting->last = item;
	waiting->count++;
	waiting->events += item->is_event;
}

/* With a byte behind the data, which is the spare one of a message's last piece. */
static struct waiting_item *copy_piece(const struct message_batch *batch,
				       const struct message_piece *piece)
{
	struct waiting_item *item = malloc(sizeof(*item) + piece->size + 1);

	if (!item)
		return NULL;
	item->is_event = false;
	item->time_ns = batch->time_ns;
	item->source = batch->source;
	item->connection = batch->connection;
	item->lane = batch->lane;
	item->kernel_time = batch->kernel_time;
	item->piece = *piece;
	item->piece.data = item->data;
	item->piece.spare = piece->last;
	memcpy(item->data, piece->data, piece->size);
	return item;
}

int waiting_add(struct waiting *waiting, const struct message_batch *batch, size_t from)
{
	struct waiting added = {0};

	for (size_t i = from; i < batch->count; i++) {
		struct waiting_item *item = copy_piece(batch, &batch->pieces[i]);

		if (!item) {
			waiting_clear(&added);
			return -ENOMEM;
		}
		add(&added, item);
	}
	waiting_move_all(&added, waiting);
	return 0;
}

int waiting_add_event(struct waiting *waiting, const struct format_entry *event)
{
	if (waiting->events >= WAITING_EVENTS_MAX)
		return -ENOBUFS;
	return waiting_add_taken_event(waiting, event);
}

int waiting_add_taken_event(struct waiting *waiting, const struct format_entry *event)
{
	struct waiting_item *item = malloc(sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->is_event = true;
	item->event = *event;
	add(waiting, item);
	return 0;
}

static struct waiting_item *take_first(struct waiting *waiting)
{
	struct waiting_item *item = waiting->first;

	waiting->first = item->next;
	if (!waiting->first)
		waiting->last = NULL;
	waiting->count--;
	waiting->events -= item->is_event;
	return item;
}

void waiting_move_first(struct waiting *waiting, struct waiting *to)
{
	add(to, take_first(waiting));
}

void waiting_move_all(struct waiting *waiting, struct waiting *to)
{
	if (!waiting->first)
		return;
	if (to->last)
		to->last->next = waiting->first;
	else
		to->first = waiting->first;
	to->last = waiting->last;
	to->count += waiting->count;
	to->events += waiting->events;
	*waiting = (struct waiting){0};
}

void waiting_pop(struct waiting *waiting)
{
	free(take_first(waiting));
}

void waiting_clear(struct waiting *waiting)
{
	while (waiting->first)
		waiting_pop(waiting);
}

void waiting_count(const struct waiting *waiting, struct loss *sum)
{
	uint64_t bytes = 0;

	for (const struct waiting_item *item = waiting->first; item; item = item->next) {
		if (item->is_event)
			continue;
		bytes += item->piece.size;
		if (!item->piece.last)
			continue;
		loss_add(sum, &(struct loss){
				      .messages = 1,
				      .bytes = bytes,
				      .first_ns = item->time_ns,
				      .last_ns = item->time_ns,
				      .source = item->source,
			      });
		bytes = 0;
	}
}

bool waiting_in_message(const struct waiting *waiting)
{
	bool open = false;

	for (const struct waiting_item *item = waiting->first; item; item = item->next)
		if (!item->is_event)
			open = !item->piece.last;
	return open;
}

/* The pieces of the message stand in a row, with nothing but events between and behind them. */
bool waiting_drop_open_message(struct waiting *waiting)
{
	struct waiting kept = {0};
	size_t open = 0, at = 0;
	bool begun = false;

	for (const struct waiting_item *item = waiting->first; item; item = item->next, at++) {
		if (!item->is_event && item->piece.first) {
			open = at;
			begun = true;
		}
	}
	for (at = 0; waiting->first; at++) {
		if (at >= open && !waiting->first->is_event)
			waiting_pop(waiting);
		else
			waiting_move_first(waiting, &kept);
	}
	*waiting = kept;
	return begun;
}
