/*
 * What COMMAND prints is not seen here, so all that can be done is not to be in its way. The line
 * is wiped off before COMMAND starts, and stays away while it runs. Where it runs for long, or one
 * runs behind the other, it stands in a row of its own now and then, which is not touched again.
 */
#include "cli/live.h"

#include "base/clock.h"
#include "base/macro.h"
#include "cli/say.h"

#include <sys/ioctl.h>
#include <tempfile.h>
#include <unistd.h>

#define COLUMNS_MAX 400
#define FIRST_ROW_NS NS_PER_S  /* after so long without a line; then twice as long, and so on, */
#define ROW_NS (10 * NS_PER_S) /* up to this */

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
	char line[COLUMNS_MAX + 1];

	tempfile_disk_usage(weir_capture_spool(capture), &disk);
	status_line(line, terminal_columns(), stats, &live->mark, live->sources, disk.free);
	if (!live->runs)
		return say_live(line);
	if (stats->end == WEIR_END_STOP && !live->ends)
		say_row(""); /* the terminal shows the ^C */
	say_row(line);
}

void live_tick(struct live *live, const struct weir_capture *capture,
	       const struct weir_stats *stats)
{
	bool ends = stats->end != WEIR_END_NONE, news = ends && !live->ends;
	uint64_t away_ns = stats->elapsed_ns - live->mark.elapsed_ns;

	live->row_ns = MAX(live->row_ns, (uint64_t)FIRST_ROW_NS);
	if (live->runs && !news && away_ns < live->row_ns)
		return;
	draw(live, capture, stats);
	if (live->runs && !news)
		live->row_ns = MIN(2 * live->row_ns, (uint64_t)ROW_NS);
	live->ends = ends;
	live->mark = (struct status_mark){
		.elapsed_ns = stats->elapsed_ns,
		.messages = stats->messages,
		.bytes = stats->bytes,
	};
}

void live_command(struct live *live, bool runs)
{
	live->runs = runs;
	if (runs)
		say_live("");
}
