/* Bytes are copied in stretches, and where a stretch ends does not show: it is no matter in how
 * many pieces a payload came. A fuzzer's time is spent here, hence nothing is done byte by byte. */
#include "found.h"

#include <string.h>

#define MARK_SHIFT 24 /* beside the place, which is at most INPUT_MAX */

void found_reset(struct found *found)
{
	found->count = found->size = 0;
	found->whole_count = found->whole_size = 0;
	found->violation = 0;
	found->closed = false;
	found->code = 0;
	found->reason_size = 0;
}

void found_mark(struct found *found, unsigned mark)
{
	if (found->count == INPUT_MAX)
		abort();
	found->marks[found->count++] = (uint32_t)mark << MARK_SHIFT | (uint32_t)found->size;
}

void found_bytes(struct found *found, const uint8_t *data, size_t size)
{
	if (size > INPUT_MAX - found->size)
		abort();
	if (size > 0)
		memcpy(found->bytes + found->size, data, size);
	found->size += size;
}

void found_whole(struct found *found)
{
	found->whole_count = found->count;
	found->whole_size = found->size;
}

void found_close(struct found *found, uint16_t code, const uint8_t *reason, size_t size)
{
	if (found->closed || size > sizeof(found->reason))
		abort();
	found->closed = true;
	found->code = code;
	found->reason_size = size;
	if (size > 0)
		memcpy(found->reason, reason, size);
}

bool found_same_content(const struct found *a, const struct found *b)
{
	bool all = !a->violation && !b->violation;
	size_t count = all ? a->count : a->whole_count;
	size_t size = all ? a->size : a->whole_size;

	return count == (all ? b->count : b->whole_count) &&
	       size == (all ? b->size : b->whole_size) && a->whole_count == b->whole_count &&
	       memcmp(a->marks, b->marks, count * sizeof(a->marks[0])) == 0 &&
	       memcmp(a->bytes, b->bytes, size) == 0;
}

bool found_same_close(const struct found *a, const struct found *b)
{
	return a->closed == b->closed && a->code == b->code && a->reason_size == b->reason_size &&
	       memcmp(a->reason, b->reason, a->reason_size) == 0;
}
