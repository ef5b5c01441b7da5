/*
 * A capture that says all the time how much of it is durable, and how far the disk below had come
 * when it said so:
 *
 *	claimant LOG URL SPOOL SYNC VALUE SEGMENT_BYTES [KEEPER DIRECTORY]
 *
 * SYNC is none, interval, bytes, seal or every, VALUE its milliseconds or bytes. Each line of the
 * output is "MESSAGES DURABLE POSITION", how many messages are captured and how many durable, and
 * the size of LOG, which is read after these two. The last one comes when the capture has ended.
 * Each segment goes to KEEPER; without one, it stays.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir.h>

static const char *const syncs[] = {
	[WEIR_SYNC_NONE] = "none", [WEIR_SYNC_INTERVAL] = "interval", [WEIR_SYNC_BYTES] = "bytes",
	[WEIR_SYNC_SEAL] = "seal", [WEIR_SYNC_EVERY] = "every",
};

struct claim {
	const char *log;
	uint64_t messages, durable;
};

static void say(struct claim *claim, const struct weir_stats *stats)
{
	struct stat status;

	if (stats->durable_messages == claim->durable && stats->messages == claim->messages)
		return;
	claim->messages = stats->messages;
	claim->durable = stats->durable_messages;
	if (stat(claim->log, &status) < 0)
		exit(2);
	printf("%ju %ju %jd\n", (uintmax_t)claim->messages, (uintmax_t)claim->durable,
	       (intmax_t)status.st_size);
	fflush(stdout);
}

static void on_tick(const struct weir_stats *stats, void *data)
{
	say(data, stats);
}

static enum weir_sync sync_of(const char *name)
{
	for (size_t i = 0; i < sizeof(syncs) / sizeof(syncs[0]); i++)
		if (strcmp(syncs[i], name) == 0)
			return (enum weir_sync)i;
	exit(2);
}

static int capture(const struct weir_capture_options *options, struct claim *claim)
{
	struct weir_capture *capture = NULL;
	enum weir_outcome outcome = weir_capture_new(options, &capture);
	struct weir_stats stats;

	if (outcome == WEIR_DONE)
		outcome = weir_capture_run(capture);
	if (!capture)
		return (int)outcome;
	stats = weir_capture_stats(capture);
	say(claim, &stats);
	fputs(weir_capture_message(capture), stderr);
	weir_capture_free(capture);
	return (int)outcome;
}

int main(int argc, char *argv[])
{
	uint64_t value = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	struct claim claim = {.log = argv[1]};
	struct weir_source source = {.url = argv[2]};
	char *command[] = {argv[7], argv[8], "{}", NULL};
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

	if (argc < 7)
		return 2;
	options.sync = sync_of(argv[4]);
	options.sync_interval_ns = options.sync == WEIR_SYNC_INTERVAL ? value * 1000000 : 0;
	options.sync_bytes = options.sync == WEIR_SYNC_BYTES ? value : 0;
	options.segment_bytes = strtoull(argv[6], NULL, 10);
	return capture(&options, &claim);
}
