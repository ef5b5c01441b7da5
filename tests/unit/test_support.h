/* What the unit tests share: cmocka, and random numbers that are the same in every run. */
#ifndef WEIR_TEST_SUPPORT_H
#define WEIR_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after those */

#include "base/macro.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* splitmix64 */
static inline uint64_t random_next(uint64_t *random)
{
	uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline size_t random_below(uint64_t *random, size_t bound)
{
	return (size_t)(random_next(random) % bound);
}

static inline void random_fill(uint64_t *random, uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)random_next(random);
}

/* A block of exactly that size, so that AddressSanitizer sees every byte beyond it. */
static inline void *exact_copy(const void *data, size_t size)
{
	void *copy = malloc(size > 0 ? size : 1);

	assert_non_null(copy);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

#endif
