/* The bound is that of what is read: names in a directory, frames in a file. */
#include "base/array.h"

#include "base/macro.h"

#include <stdlib.h>

#define ROOM_MIN ((size_t)16)

void *array_grow(void *items, size_t count, size_t *room, size_t size)
{
	size_t larger = MAX(*room * 2, ROOM_MIN);
	void *grown;

	if (count < *room)
		return items;
	grown = reallocarray(items, larger, size);
	if (grown)
		*room = larger;
	return grown;
}
