/* Words for what a capture is doing: one line while it runs, a summary at the end. */
#ifndef WEIR_MONITOR_STATUS_H
#define WEIR_MONITOR_STATUS_H

#include "monitor/memory.h"

#include <stdio.h>
#include <weir.h>

/* What a rate is measured from: the numbers of an earlier moment. */
struct status_mark {
	uint64_t elapsed_ns;
	uint64_t messages;
	uint64_t bytes;
};

/* One line without a newline, of at most `columns` characters: time, what is going on if it is not
 * that all of `sources` are connected, messages, those that are durable (with sync), bytes, the
 * rates since `since`, backlog, disk held and free, memory. Returns `to`. */
const char *status_line(char *to, size_t columns, const struct weir_stats *stats,
			const struct status_mark *since, size_t sources, uint64_t disk_free_bytes);

/* Everything worth knowing afterwards, a few lines of plain text. */
void status_summary(FILE *to, const struct weir_stats *stats);

struct status_names {
	const struct weir_source_stats *sources;
	size_t source_count;
	const char *url;   /* the first one's */
	const char *spool; /* "" when it is gone */
	const char *end;   /* what ended the capture */
};

/* The same for programs: one line, a JSON object. */
void status_json(FILE *to, const struct weir_stats *stats, const struct status_names *names);

#endif
