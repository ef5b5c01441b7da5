/* Two subtractions modulo 2^64: how far a number is ahead of the last one, and whether it lies in
 * the last gap. */
#include "pipeline/sequence.h"

static bool is_late(const struct sequence_gap *gap, uint64_t number)
{
	return gap->count <= SEQUENCE_LATE_MAX && number - gap->first < gap->count;
}

static enum sequence_step see_ahead(struct sequence *sequence, uint64_t number,
				    struct sequence_gap *ret_gap)
{
	uint64_t missing = number - sequence->last - 1;

	sequence->last = number;
	if (missing == 0)
		return SEQUENCE_NEXT;
	sequence->gap = (struct sequence_gap){.first = number - missing, .count = missing};
	sequence->gaps++;
	sequence->missing += missing;
	*ret_gap = sequence->gap;
	return SEQUENCE_GAP;
}

enum sequence_step sequence_see(struct sequence *sequence, uint64_t number,
				struct sequence_gap *ret_gap)
{
	uint64_t ahead = number - sequence->last;

	if (!sequence->begun) {
		sequence->begun = true;
		sequence->last = number;
		return SEQUENCE_NEXT;
	}
	if (ahead == 0) {
		sequence->repeated++;
		return SEQUENCE_REPEATED;
	}
	if (ahead <= INT64_MAX)
		return see_ahead(sequence, number, ret_gap);
	if (is_late(&sequence->gap, number)) {
		sequence->late++;
		return SEQUENCE_LATE;
	}
	sequence->back++;
	sequence->last = number;
	sequence->gap.count = 0;
	return SEQUENCE_BACK;
}

void sequence_see_none(struct sequence *sequence)
{
	sequence->without++;
}
