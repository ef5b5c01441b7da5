/* Arrays that grow: their memory doubles, so that what is added costs the same however long they
 * are. */
#ifndef WEIR_BASE_ARRAY_H
#define WEIR_BASE_ARRAY_H

#include <stddef.h>

/* Makes room for one more item of `size` bytes behind `count` of them. The items, which may be
 * elsewhere now, or NULL; then all is as it was. An empty array is NULL, with a room of 0. */
void *array_grow(void *items, size_t count, size_t *room, size_t size);

#endif
