/* Which records are wanted. */
#ifndef WEIR_CLI_SELECTION_H
#define WEIR_CLI_SELECTION_H

#include "base/clock.h"
#include "spool/reader.h"

enum selection_kinds {
	SELECTION_TEXT = 1,
	SELECTION_BINARY = 2,
	SELECTION_MESSAGES = 3,
	SELECTION_EVENTS = 4,
	SELECTION_ALL = 7,
};

struct selection {
	unsigned kinds; /* enum selection_kinds */
	uint64_t from_seq, to_seq;
	uint64_t since_ns, until_ns; /* from the one on, and before the other */
	bool of_source;
	uint16_t source;
};

/* How far times may be out of order: around a time, so much more is looked at. */
#define SELECTION_SLACK_NS (10 * NS_PER_S)

/* All messages. */
#define SELECTION_DEFAULT                                                                          \
	((struct selection){                                                                       \
		.kinds = SELECTION_MESSAGES, .to_seq = UINT64_MAX, .until_ns = UINT64_MAX})

bool selection_has(const struct selection *selection, const struct record *record);

/* Whether it is that of all messages: then nothing has to be asked of each. */
bool selection_is_default(const struct selection *selection);

/* Whether nothing behind this record is wanted any more. */
bool selection_ends(const struct selection *selection, const struct record *record);

#endif
