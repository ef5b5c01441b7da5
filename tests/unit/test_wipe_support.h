/* Finds out whether a secret is left in memory that is given back. For tests that replace free().
 */
#ifndef WEIR_TEST_WIPE_SUPPORT_H
#define WEIR_TEST_WIPE_SUPPORT_H

#include "test_support.h"

#include <malloc.h>

static const char *looked_for; /* NULL: nothing is */
static bool found;

void __real_free(void *data);
void __wrap_free(void *data);

void __wrap_free(void *data)
{
	if (data && looked_for)
		found |= memmem(data, malloc_usable_size(data), looked_for, strlen(looked_for)) !=
			 NULL;
	__real_free(data);
}

/* Whether `live` gives memory back with this text in it. */
static inline bool leaves_behind(const char *text, void (*live)(void))
{
	looked_for = text;
	found = false;
	live();
	looked_for = NULL;
	return found;
}

#endif
