/*
 * Blanks separate, and what is between them is shown where it lies: nothing is copied.
 */
#include "websocket/span.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct span span_trim(struct span span)
{
	while (span.size > 0 && is_blank(span.text[0])) {
		span.text++;
		span.size--;
	}
	while (span.size > 0 && is_blank(span.text[span.size - 1]))
		span.size--;
	return span;
}

struct span span_take_word(struct span *rest)
{
	struct span word = {.text = rest->text};

	while (word.size < rest->size && !is_blank(rest->text[word.size]))
		word.size++;
	*rest = span_trim((struct span){rest->text + word.size, rest->size - word.size});
	return word;
}

bool span_is(struct span span, const char *text)
{
	return span.size == strlen(text) && memcmp(span.text, text, span.size) == 0;
}
