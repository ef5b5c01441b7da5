/* Bytes that grow at the end and leave at the front, up to a bound. */
#ifndef WEIR_BASE_BUFFER_H
#define WEIR_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *data; /* NULL while nothing was ever added */
	size_t size;
	size_t room;
	size_t max;  /* growing beyond it is −ENOBUFS */
	bool secret; /* no copy of the bytes is left when they are gone */
};

void buffer_init(struct buffer *buffer, size_t max);
void buffer_init_secret(struct buffer *buffer, size_t max);
void buffer_done(struct buffer *buffer);

/* Errors: −ENOBUFS (the bound), −ENOMEM; the buffer is as before then. */
int buffer_append(struct buffer *buffer, const void *data, size_t size);
int buffer_appendf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);

static inline void buffer_donep(struct buffer *buffer)
{
	buffer_done(buffer);
}

#endif
