/*
 * A strict reading of RFC 7230 section 3: lines end in CR LF, names are tokens right before their
 * colon, nothing is folded over lines, no control character is let through. What is stricter than
 * some servers are is a request smuggled less.
 */
#include "websocket/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

size_t head_size(const char *data, size_t size)
{
	const char *end = memmem(data, size, "\r\n\r\n", 4);

	return end ? (size_t)(end - data) + 4 : 0;
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

bool head_next_line(const char **at, const char *end, const char **ret_line, size_t *ret_size)
{
	const char *line = *at;
	const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

	if (!stop)
		return false;
	for (const char *c = line; c < stop; c++)
		if (is_control(*c))
			return false;
	*at = stop + 2;
	*ret_line = line;
	*ret_size = (size_t)(stop - line);
	return true;
}

bool head_is_token(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", text[i]))
			return false;
	return size > 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *size)
{
	while (*size > 0 && is_blank(**text)) {
		(*text)++;
		(*size)--;
	}
	while (*size > 0 && is_blank((*text)[*size - 1]))
		(*size)--;
}

int head_next_field(const char **at, const char *end, struct head_field *ret_field)
{
	struct head_field field;
	const char *line, *colon;
	size_t size;

	if (!head_next_line(at, end, &line, &size))
		return -EBADMSG;
	if (size == 0)
		return 0;
	colon = memchr(line, ':', size);
	if (!colon || !head_is_token(line, (size_t)(colon - line)))
		return -EBADMSG;
	field.name = line;
	field.name_size = (size_t)(colon - line);
	field.value = colon + 1;
	field.value_size = size - field.name_size - 1;
	trim(&field.value, &field.value_size);
	*ret_field = field;
	return 1;
}

static bool same(const char *text, size_t size, const char *word)
{
	return size == strlen(word) && strncasecmp(text, word, size) == 0;
}

bool head_name_is(const struct head_field *field, const char *name)
{
	return same(field->name, field->name_size, name);
}

bool head_value_is(const struct head_field *field, const char *value)
{
	return same(field->value, field->value_size, value);
}

bool head_value_has(const struct head_field *field, const char *token)
{
	const char *at = field->value, *end = at + field->value_size;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *item = at;
		size_t size = (size_t)((comma ? comma : end) - at);

		trim(&item, &size);
		if (same(item, size, token))
			return true;
		at = comma ? comma + 1 : end;
	}
	return false;
}
