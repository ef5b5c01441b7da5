/*
 * A capture that says all the time how much of it is durable, and where the disk stood when it said
 * so: claimant LOG URL SPOOL SYNC VALUE SEGMENT_BYTES [KEEPER DIRECTORY].
 *
 * SYNC is a number of enum weir_sync, VALUE its nanoseconds or bytes. Every line of the output is
 * "MESSAGES DURABLE POSITION": POSITION is the size of LOG, read after the other two. The last one
 * comes when the capture has ended. With a KEEPER, each segment goes to it, or else it stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <weir.h>

struct claim {
	const char *log;
	struct weir_stats last;
};

static void say(struct claim *claim, const struct weir_stats *stats)
{
	struct stat status;

	claim->last = *stats;
	if (stat(claim->log, &status) < 0)
		return;
	printf("%ju %ju %jd\n", (uintmax_t)stats->messages, (uintmax_t)stats->durable_messages,
	       (intmax_t)status.st_size);
	fflush(stdout);
}

static void on_tick(const struct weir_stats *stats, void *data)
{
	struct claim *claim = data;

	if (stats->durable_messages != claim->last.durable_messages ||
	    stats->messages != claim->last.messages)
		say(claim, stats);
}

int main(int argc, char *argv[])
{
	struct claim claim = {.log = argv[1]};
	struct weir_source source = {.url = argv[2]};
	char *command[] = {argv[7], argv[8], "{}", NULL};
	struct weir_capture *capture = NULL;
	struct weir_stats stats;
	struct weir_capture_options options = {
		.sources = &source,
		.source_count = 1,
		.spool = argv[3],
		.to = argc > 8 ? WEIR_TO_COMMAND : WEIR_TO_SPOOL,
		.command = command,
		.on_tick = on_tick,
		.tick_ns = 1000000,
		.data = &claim,
	};
	int r;
	return r;
}
