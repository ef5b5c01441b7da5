/* What is looked for in whole messages: whether another connection brought them already, and
 * whether their numbers have holes. */
#ifndef WEIR_PIPELINE_FILTER_H
#define WEIR_PIPELINE_FILTER_H

#include "base/macro.h"
#include "base/message.h"
#include "pipeline/duplicates.h"
#include "pipeline/pointer.h"

struct filter;

struct filter_options {
	bool unique;		/* drop duplicates, by their payload */
	const char *unique_key; /* or by what is there in them, a JSON pointer; or NULL */
	const char *sequence;	/* where their number is, a JSON pointer; or NULL */
	size_t sources;
};

enum filter_mistake {
	FILTER_UNIQUE_KEY = 1, /* it is no JSON pointer */
	FILTER_SEQUENCE,       /* the same */
};

/* 0, one of enum filter_mistake, −ENOMEM, or those of getrandom(2). */
int filter_new(const struct filter_options *options, struct filter **ret_filter);
void filter_free(struct filter *filter);

/* A connection was opened in this lane. */
void filter_joined(struct filter *filter, uint16_t lane);

/* A message was dropped unseen: the numbers of its source begin anew. Of the batch, source counts.
 */
void filter_skipped(struct filter *filter, const struct message_batch *batch);

struct filter_verdict {
	bool drop;
	uint64_t missing; /* numbers between the message before and this one */
};

/* A whole message. Of the batch, source and lane count. Errors: −ENOMEM. */
int filter_see(struct filter *filter, const struct message_batch *batch, uint8_t kind,
	       const void *data, size_t size, struct filter_verdict *ret_verdict);

/* One that is too large for memory, and hence for a JSON pointer (POINTER_MESSAGE_MAX): its pieces
 * in their order, and whether it is to be dropped. There is one of them at a time. */
void filter_begin_large(struct filter *filter);
void filter_see_large(struct filter *filter, const void *data, size_t size);
bool filter_end_large(struct filter *filter, const struct message_batch *batch, uint8_t kind);

struct filter_counters {
	uint64_t duplicates; /* that were dropped */
	uint64_t gaps, missing;
	uint64_t keyed, keyless;       /* messages, where there is a pointer for it: it led to a */
	uint64_t numbered, numberless; /* value, or to none */
};

struct filter_counters filter_counters(const struct filter *filter);

DEFINE_CLEANUP(struct filter *, filter_free);

#endif
