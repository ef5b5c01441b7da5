/* zlib's memory comes from where all other memory does, so that tests can make it fail too. */
#ifndef WEIR_WEBSOCKET_ZLIB_MEMORY_H
#define WEIR_WEBSOCKET_ZLIB_MEMORY_H

#include <stdlib.h>

static inline void *zlib_memory_alloc(void *unused, unsigned count, unsigned size)
{
	(void)unused;
	return calloc(count, size);
}

static inline void zlib_memory_free(void *unused, void *memory)
{
	(void)unused;
	free(memory);
}

#endif
