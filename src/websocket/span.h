/* A stretch of a text, and the words in it. */
#ifndef WEIR_WEBSOCKET_SPAN_H
#define WEIR_WEBSOCKET_SPAN_H

#include <stdbool.h>
#include <stddef.h>

struct span {
	const char *text;
	size_t size;
};

/* Without the blanks at both ends. */
struct span span_trim(struct span span);

/* Cuts the first word off, and the blanks behind it. */
struct span span_take_word(struct span *rest);

bool span_is(struct span span, const char *text);

#endif
