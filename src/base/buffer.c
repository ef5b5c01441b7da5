/* A growable array of bytes whose bound is part of it, so that no caller can forget one. */
#include "base/buffer.h"

#include "base/macro.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 256

void buffer_init(struct buffer *buffer, size_t max)
{
	*buffer = (struct buffer){.max = max};
}

void buffer_init_secret(struct buffer *buffer, size_t max)
{
	*buffer = (struct buffer){.max = max, .secret = true};
}

void buffer_done(struct buffer *buffer)
{
	if (buffer->secret && buffer->data)
		explicit_bzero(buffer->data, buffer->room);
	free(buffer->data);
	*buffer = (struct buffer){.max = buffer->max, .secret = buffer->secret};
}

/* realloc() may move the bytes, and leaves those behind that it moved. */
static char *grow(struct buffer *buffer, size_t room)
{
	char *data;

	if (!buffer->secret)
		return realloc(buffer->data, room);
	data = malloc(room);
	if (data && buffer->data) {
		memcpy(data, buffer->data, buffer->size);
		explicit_bzero(buffer->data, buffer->room);
		free(buffer->data);
	}
	return data;
}

static int reserve(struct buffer *buffer, size_t size)
{
	size_t need = buffer->size + size;
	size_t room = MAX(buffer->room, (size_t)ROOM_MIN);
	char *data;

	if (need < size || need > buffer->max)
		return -ENOBUFS;
	if (need <= buffer->room)
		return 0;
	while (room < need)
		room *= 2;
	data = grow(buffer, room);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->room = room;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	int r = reserve(buffer, size);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	return 0;
}

int buffer_appendf(struct buffer *buffer, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return buffer_append(buffer, text, (size_t)length);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
	if (size == 0)
		return;
	memmove(buffer->data, buffer->data + size, buffer->size - size);
	buffer->size -= size;
	if (buffer->secret)
		explicit_bzero(buffer->data + buffer->size, size);
}
