/* The status line of a capture on a terminal, which COMMAND may write to as well. */
#ifndef WEIR_CLI_LIVE_H
#define WEIR_CLI_LIVE_H

#include "monitor/status.h"

struct live {
	size_t sources;		 /* to be set; the rest begins as 0 */
	struct status_mark mark; /* what was told last */
	bool runs;		 /* COMMAND does */
	bool ends;		 /* the capture does, and that was told */
	uint64_t row_ns;	 /* how long it is away until a row is due */
};

/* Draws the line. While COMMAND runs: a row, if it is time for one. */
void live_tick(struct live *live, const struct weir_capture *capture,
	       const struct weir_stats *stats);

/* COMMAND is about to start: the line goes. Or it has ended. */
void live_command(struct live *live, bool runs);

#endif
