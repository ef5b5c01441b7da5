/*
 * Duplicates go first: only what is let through has a number that counts. A message in which the
 * key or the number cannot be found is let through: better one too many than one too few.
 */
#include "pipeline/filter.h"

#include "base/clock.h"
#include "pipeline/sequence.h"

#include <errno.h>

struct filter {
	struct duplicates *duplicates; /* NULL: they are welcome */
	struct pointer *key;	       /* NULL: the payload is */
	struct pointer *number;	       /* NULL: there is none */
	struct duplicates_message large;
	struct filter_counters counters;
	struct sequence sequences[]; /* of each source */
};

/* 0: found, or not wanted. 1: it is no pointer. */
static int parse(const char *text, struct pointer **ret_pointer)
{
	int r = text ? pointer_parse(text, ret_pointer) : 0;

	return r == -EINVAL || r == -E2BIG ? 1 : r;
}

int filter_new(const struct filter_options *options, struct filter **ret_filter)
{
	CLEANUP(filter_free)
	struct filter *filter =
		calloc(1, sizeof(*filter) + options->sources * sizeof(filter->sequences[0]));
	struct duplicates_options duplicates = {.unique = options->unique_key};
	int r;

	if (!filter)
		return -ENOMEM;
	r = parse(options->unique_key, &filter->key);
	if (r != 0)
		return r < 0 ? r : FILTER_UNIQUE_KEY;
	r = parse(options->sequence, &filter->number);
	if (r != 0)
		return r < 0 ? r : FILTER_SEQUENCE;
	if (options->unique || options->unique_key)
		r = duplicates_new(&duplicates, &filter->duplicates);
	if (r < 0)
		return r;
	*ret_filter = TAKE_PTR(filter);
	return 0;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	duplicates_free(filter->duplicates);
	pointer_free(filter->key);
	pointer_free(filter->number);
	free(filter);
}

void filter_joined(struct filter *filter, uint16_t lane)
{
	if (filter->duplicates)
		duplicates_joined(filter->duplicates, lane, clock_monotonic_ns());
}

static struct duplicates_origin origin(const struct message_batch *batch, uint8_t kind)
{
	return (struct duplicates_origin){
		.member = batch->lane, .kind = kind, .now_ns = clock_monotonic_ns()};
}

/* 1: it is one. */
static int is_duplicate(struct filter *filter, const struct message_batch *batch, uint8_t kind,
			const void *data, size_t size)
{
	struct duplicates_origin from = origin(batch, kind);
	const char *key;
	int r;

	if (!filter->duplicates)
		return 0;
	if (!filter->key)
		return duplicates_seen(filter->duplicates, &from, data, size);
	r = pointer_find_key(filter->key, data, size, &key, &size);
	filter->counters.keyed += r == 0;
	filter->counters.keyless += r > 0;
	if (r != 0)
		return MIN(r, 0);
	return duplicates_seen(filter->duplicates, &from, key, size);
}

/* Sources without duplicates among them are one feed, of which each brings a part. */
static struct sequence *sequence_of(struct filter *filter, const struct message_batch *batch)
{
	return &filter->sequences[filter->duplicates ? 0 : batch->source];
}

void filter_skipped(struct filter *filter, const struct message_batch *batch)
{
	sequence_of(filter, batch)->begun = false;
}

/* How many are missing before it. */
static int find_gap(struct filter *filter, const struct message_batch *batch, const void *data,
		    size_t size, uint64_t *ret_missing)
{
	struct sequence *sequence = sequence_of(filter, batch);
	struct sequence_gap gap;
	uint64_t number;
	int r;

	if (!filter->number)
		return 0;
	r = pointer_find_integer(filter->number, data, size, &number);
	if (r < 0)
		return r;
	filter->counters.numbered += r == 0;
	filter->counters.numberless += r > 0;
	if (r > 0) {
		sequence_see_none(sequence);
	} else if (sequence_see(sequence, number, &gap) == SEQUENCE_GAP) {
		*ret_missing = gap.count;
		filter->counters.gaps++;
		filter->counters.missing += gap.count;
	}
	return 0;
}

int filter_see(struct filter *filter, const struct message_batch *batch, uint8_t kind,
	       const void *data, size_t size, struct filter_verdict *ret_verdict)
{
	struct filter_verdict verdict = {0};
	int r = is_duplicate(filter, batch, kind, data, size);

	verdict.drop = r > 0;
	filter->counters.duplicates += verdict.drop;
	if (r == 0)
		r = find_gap(filter, batch, data, size, &verdict.missing);
	if (r < 0)
		return r;
	*ret_verdict = verdict;
	return 0;
}

void filter_begin_large(struct filter *filter)
{
	if (filter->duplicates)
		duplicates_begin(filter->duplicates, &filter->large);
}

void filter_see_large(struct filter *filter, const void *data, size_t size)
{
	if (filter->duplicates && !filter->key)
		duplicates_update(&filter->large, data, size);
}

bool filter_end_large(struct filter *filter, const struct message_batch *batch, uint8_t kind)
{
	struct duplicates_origin from = origin(batch, kind);
	bool drop = false;

	if (filter->duplicates && !filter->key)
		drop = duplicates_end(filter->duplicates, &filter->large, &from);
	filter->counters.duplicates += drop;
	filter->counters.keyless += filter->key != NULL;
	if (!drop && filter->number) {
		filter->counters.numberless++;
		sequence_see_none(sequence_of(filter, batch));
	}
	return drop;
}

struct filter_counters filter_counters(const struct filter *filter)
{
	return filter->counters;
}
