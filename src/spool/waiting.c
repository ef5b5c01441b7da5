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
	if (!added.first)
		return 0;
	if (waiting->last)
		waiting->last->next = added.first;
	else
		waiting->first = added.first;
	waiting->last = added.last;
	waiting->count += added.count;
	return 0;
}

int waiting_add_event(struct waiting *waiting, const struct format_entry *event)
{
	struct waiting_item *item;

	if (waiting->events >= WAITING_EVENTS_MAX)
		return -ENOBUFS;
	item = malloc(sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->is_event = true;
	item->event = *event;
	add(waiting, item);
	return 0;
}

void waiting_pop(struct waiting *waiting)
{
	struct waiting_item *item = waiting->first;

	waiting->first = item->next;
	if (!waiting->first)
		waiting->last = NULL;
	waiting->count--;
	waiting->events -= item->is_event;
	free(item);
}

void waiting_clear(struct waiting *waiting)
{
	while (waiting->first)
		waiting_pop(waiting);
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
	struct waiting all = *waiting, kept = {0};
	size_t open = 0, at = 0;
	bool begun = false;

	for (struct waiting_item *item = all.first; item; item = item->next, at++) {
		if (item->is_event)
			continue;
		if (item->piece.first) {
			open = at;
			begun = true;
		}
	}
	at = 0;
	while (all.first) {
		struct waiting_item *item = all.first;

		all.first = item->next;
		if (at++ >= open && !item->is_event)
			free(item);
		else
			add(&kept, item);
	}
	*waiting = kept;
	return begun;
}
