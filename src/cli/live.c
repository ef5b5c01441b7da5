/*
 * What COMMAND prints is not seen here, so all that can be done is not to be in its way. The line
 * is wiped off before COMMAND starts, and stays away while it runs. Where it runs for long, or one
 * runs behind the other, the line would never be seen: then both share the terminal, and the line
 * ends with a space, so that what COMMAND prints does not run together with its last number.
 */
#include "cli/live.h"

#include "base/clock.h"
#include "base/macro.h"
#include "cli/say.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <tempfile.h>
#include <unistd.h>

#define COLUMNS_MAX 400
#define AWAY_NS NS_PER_S
#define PAUSE_NS (100 * NS_PER_MS) /* between commands: at less, one runs behind the other */

static size_t terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
		return 80;
	return MIN((size_t)size.ws_col - 1, (size_t)COLUMNS_MAX);
}

static void draw(const struct live *live, const struct weir_capture *capture,
		 const struct weir_stats *stats)
{
	struct tempfile_usage disk = {0};
	char line[COLUMNS_MAX + 1], apart[COLUMNS_MAX + 2];

	tempfile_disk_usage(weir_capture_spool(capture), &disk);
	status_line(line, terminal_columns() - 1, stats, &live->mark, live->sources, disk.free);
	snprintf(apart, sizeof(apart), "%s ", line);
	say_live(live->runs ? apart : line);
}

void live_tick(struct live *live, const struct weir_capture *capture,
	       const struct weir_stats *stats)
{
	bool ends = stats->end != WEIR_END_NONE, news = ends && !live->ends;

	if (live->runs && !news && clock_monotonic_ns() - live->since_ns < AWAY_NS)
		return;
	draw(live, capture, stats);
	live->ends = ends;
	live->mark = (struct status_mark){
		.elapsed_ns = stats->elapsed_ns,
		.messages = stats->messages,
		.bytes = stats->bytes,
	};
}

void live_command(struct live *live, bool runs)
{
	uint64_t now = clock_monotonic_ns();

	live->runs = runs;
	if (!runs) {
		live->ended_ns = now;
	} else if (live->ended_ns == 0 || now - live->ended_ns > PAUSE_NS) {
		live->since_ns = now;
		say_live("");
	}
}
