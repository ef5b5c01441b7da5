/* What follows on the last range becomes a part of it, so that a whole spool is one range. */
#include "spool/ranges.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>

void ranges_done(struct ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct ranges){0};
}

uint64_t ranges_end(const struct ranges *ranges)
{
	return ranges->count > 0 ? ranges->items[ranges->count - 1].end : 0;
}

int ranges_add(struct ranges *ranges, uint64_t first, uint64_t end)
{
	struct range *items;

	if (ranges->count > 0 && ranges_end(ranges) == first) {
		ranges->items[ranges->count - 1].end = end;
		return 0;
	}
	items = array_grow(ranges->items, ranges->count, &ranges->room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	ranges->items = items;
	items[ranges->count++] = (struct range){first, end};
	return 0;
}

/* The first range that ends behind `number`. */
static const struct range *find(const struct ranges *ranges, uint64_t number)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->items[middle].end <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->count ? &ranges->items[low] : NULL;
}

bool ranges_overlap(const struct ranges *ranges, uint64_t first, uint64_t end)
{
	const struct range *range = find(ranges, first);

	return range && range->first < end;
}

bool ranges_hold(const struct ranges *ranges, uint64_t first, uint64_t end)
{
	const struct range *range = find(ranges, first);

	return range && range->first <= first && end <= range->end;
}
