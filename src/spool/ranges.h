/* Ranges of numbers that do not overlap, in order. */
#ifndef WEIR_SPOOL_RANGES_H
#define WEIR_SPOOL_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t first, end;
};

struct ranges {
	struct range *items;
	size_t count, room;
};

void ranges_done(struct ranges *ranges);

/* Adds one that is behind all others. −ENOMEM. */
int ranges_add(struct ranges *ranges, uint64_t first, uint64_t end);

/* Whether one of the numbers from `first` to before `end` is there, or all of them are, in one
 * range. */
bool ranges_overlap(const struct ranges *ranges, uint64_t first, uint64_t end);
bool ranges_hold(const struct ranges *ranges, uint64_t first, uint64_t end);

/* Behind the last number. */
uint64_t ranges_end(const struct ranges *ranges);

#endif
