/*
 * Blocks stand one behind the other and are never used twice in a run, with poison between them and
 * in those that were freed, so that the sanitizer sees what it sees on its own heap, at a tenth of
 * the price for large blocks. What is not ours goes to the heap.
 */
#include "arena.h"

#include "base/macro.h"

#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_SIZE MIB(4)
#define RED_ZONE 32 /* in front of each block, with its size in it */

static _Alignas(16) uint8_t memory[ARENA_SIZE];
static size_t used, blocks;
static bool running;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_realloc(void *data, size_t size);
void __real_free(void *data);
void __wrap_free(void *data);

void arena_begin(void)
{
	running = true;
}

void arena_end(void)
{
	if (blocks > 0)
		abort();
	running = false;
	used = 0;
}

static bool is_ours(const void *data)
{
	uintptr_t at = (uintptr_t)data, begin = (uintptr_t)memory;

	return at >= begin && at < begin + sizeof(memory);
}

static size_t *size_of(void *data)
{
	return (size_t *)(void *)((uint8_t *)data - RED_ZONE);
}

static void *allocate(size_t size)
{
	size_t whole = RED_ZONE + (size + 15) / 16 * 16;
	uint8_t *data = memory + used + RED_ZONE;

	if (size > ARENA_SIZE / 2 || whole > ARENA_SIZE - RED_ZONE - used)
		abort();
	ASAN_UNPOISON_MEMORY_REGION(data - RED_ZONE, RED_ZONE + size);
	*size_of(data) = size;
	ASAN_POISON_MEMORY_REGION(data - RED_ZONE, RED_ZONE);
	ASAN_POISON_MEMORY_REGION(data + whole - RED_ZONE, RED_ZONE);
	used += whole;
	blocks++;
	return data;
}

static void release(void *data)
{
	size_t size;

	ASAN_UNPOISON_MEMORY_REGION(size_of(data), sizeof(size));
	size = *size_of(data);
	ASAN_POISON_MEMORY_REGION(size_of(data), RED_ZONE + size);
	blocks--;
}

void *__wrap_malloc(size_t size)
{
	return running ? allocate(size) : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	if (!running)
		return __real_calloc(count, size);
	if (size > 0 && count > ARENA_SIZE / size)
		abort();
	return memset(allocate(count * size), 0, count * size);
}

void *__wrap_realloc(void *data, size_t size)
{
	size_t before;
	void *moved;

	if (!running || (data && !is_ours(data)))
		return __real_realloc(data, size);
	moved = allocate(size);
	if (!data)
		return moved;
	ASAN_UNPOISON_MEMORY_REGION(size_of(data), sizeof(before));
	before = *size_of(data);
	memcpy(moved, data, MIN(before, size));
	release(data);
	return moved;
}

void __wrap_free(void *data)
{
	if (is_ours(data))
		release(data);
	else
		__real_free(data);
}
