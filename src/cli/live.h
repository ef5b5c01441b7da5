/* The status line of a capture on a terminal, which COMMAND may write to as well. */
#ifndef WEIR_CLI_LIVE_H
#define WEIR_CLI_LIVE_H

#include "monitor/status.h"

struct live {
	size_t sources;		 /* to be set; the rest begins as 0 */
	struct status_mark mark; /* what the last line told */
	bool runs;		 /* COMMAND does */
	bool ends;		 /* the capture does, and that was told */
	uint64_t since_ns;	 /* since when they do, one after the other */
	uint64_t ended_ns;	 /* when the last one ended */
};

/* Draws the line, unless COMMAND has begun just now; that the capture ends is told at once. */
void live_tick(struct live *live, const struct weir_capture *capture,
	       const struct weir_stats *stats);

/* COMMAND is about to start: the line goes. Or it has ended. */
void live_command(struct live *live, bool runs);

#endif
