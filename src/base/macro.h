/* The few macros that the whole project shares: sizes, and clean-up at the end of a scope. */
#ifndef WEIR_BASE_MACRO_H
#define WEIR_BASE_MACRO_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) CHOOSE_ONCE_(a, <, b, __COUNTER__)
#define MAX(a, b) CHOOSE_ONCE_(a, >, b, __COUNTER__)
#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* Each side is evaluated once. The number keeps nested ones apart. */
#define CHOOSE_ONCE_(a, than, b, number) CHOOSE_NAMED_(a, than, b, number)
#define CHOOSE_NAMED_(a, than, b, number)                                                          \
	__extension__({                                                                            \
		__auto_type a_##number = (a);                                                      \
		__auto_type b_##number = (b);                                                      \
		a_##number than b_##number ? a_##number : b_##number;                              \
	})

/* `CLEANUP(thing_free) struct thing *t = NULL;` calls thing_freep(&t) at the end of the scope. */
#define CLEANUP(function) __attribute__((cleanup(function##p)))

/* Defines `static inline void functionp(type *p)`, which calls function(*p): for CLEANUP(). */
#define DEFINE_CLEANUP(type, function)                                                             \
	static inline void function##p(type *p)                                                    \
	{                                                                                          \
		function(*p);                                                                      \
	}                                                                                          \
	struct cleanup_needs_a_semicolon

/* Moves ownership out of a variable that has a clean-up: returns it and leaves NULL. */
#define TAKE_PTR(pointer)                                                                          \
	__extension__({                                                                            \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	})

/* The same for a descriptor, and leaves -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void close_filep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void free_memoryp(void *pointer)
{
	free(*(void **)pointer);
}

#define CLEANUP_FD CLEANUP(close_fd)
#define CLEANUP_FILE CLEANUP(close_file)
#define CLEANUP_FREE CLEANUP(free_memory)

#endif
