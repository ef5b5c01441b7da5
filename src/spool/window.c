/* What is needed next stands behind what was needed last, so that one read fills all of it. */
#include "spool/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int window_init(struct window *window, struct input *input, size_t room)
{
	*window = (struct window){.input = *input, .room = room, .data = malloc(room)};
	*input = (struct input){.fd = -1};
	return window->data ? 0 : -ENOMEM;
}

void window_done(struct window *window)
{
	input_done(&window->input);
	free(window->data);
}

int window_move(struct window *window, uint64_t offset)
{
	uint64_t end = window->start + window->size;
	size_t kept = 0;
	ssize_t n;

	if (offset >= window->start && offset < end) {
		kept = (size_t)(end - offset);
		memmove(window->data, window->data + (offset - window->start), kept);
	}
	window->start = offset;
	window->size = kept;
	n = input_read(&window->input, offset + kept, window->data + kept, window->room - kept);
	if (n < 0)
		return (int)n;
	window->size += (size_t)n;
	return 0;
}

ssize_t window_show(struct window *window, uint64_t offset, size_t size, const uint8_t **ret_data)
{
	if (!window_has(window, offset, size)) {
		int r = window_move(window, offset);

		if (r < 0)
			return r;
	}
	*ret_data = window->data + (offset - window->start);
	return (ssize_t)MIN(size, window->size - (size_t)(offset - window->start));
}
