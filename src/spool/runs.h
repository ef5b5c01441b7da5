/* The payloads that are not written yet: stretches of memory, in the order of the file. */
#ifndef WEIR_SPOOL_RUNS_H
#define WEIR_SPOOL_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RUNS_MAX 256

struct runs {
	size_t count;
	size_t size; /* bytes of all of them */
	struct iovec at[RUNS_MAX];
};

static inline void runs_clear(struct runs *runs)
{
	runs->count = runs->size = 0;
}

/* Whether there is no place for another `more` stretches. */
static inline bool runs_are_full(const struct runs *runs, size_t more)
{
	return runs->count + more > RUNS_MAX;
}

/* Adds bytes at the end. What follows the stretch before it in memory makes that one longer; else
 * there must be a place for another one. */
static inline void runs_add(struct runs *runs, uint8_t *data, size_t size)
{
	struct iovec *last = runs->count > 0 ? &runs->at[runs->count - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += size;
	else
		runs->at[runs->count++] = (struct iovec){data, size};
	runs->size += size;
}

/* Forgets all behind the first `size` bytes. */
void runs_cut(struct runs *runs, size_t size);

#endif
