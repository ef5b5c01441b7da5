/* A part of a file in memory, which moves over it. */
#ifndef WEIR_SPOOL_WINDOW_H
#define WEIR_SPOOL_WINDOW_H

#include "base/macro.h"
#include "spool/input.h"

struct window {
	struct input input;
	uint64_t start;
	size_t size; /* bytes in it */
	size_t room;
	uint8_t *data;
};

/* Takes the input over, and makes room for so many bytes. −ENOMEM; then it is to be done all the
 * same.
 */
int window_init(struct window *window, struct input *input, size_t room);
void window_done(struct window *window);

/* Forgets what is in it: the file may have changed. */
static inline void window_clear(struct window *window)
{
	window->size = 0;
}

static inline bool window_has(const struct window *window, uint64_t offset, size_t size)
{
	uint64_t end = window->start + window->size;

	return offset >= window->start && offset <= end && size <= end - offset;
}

/* Moves it to `offset`, and fills it. What is in it already is kept. Errors: those of input_read().
 */
int window_move(struct window *window, uint64_t offset);

/* Makes it hold `size` bytes at `offset`, or what there is of them before the end of the file.
 * Returns how many there are, or an error as above. */
ssize_t window_show(struct window *window, uint64_t offset, size_t size, const uint8_t **ret_data);

#endif
