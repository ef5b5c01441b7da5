/* What an option is when it is not given, and what it cannot be. */
#include "pipeline/options.h"

#include "base/clock.h"
#include "base/macro.h"
#include "pipeline/duplicates.h"
#include "spool/codec.h"
#include "spool/spool.h"
#include "websocket/source.h"

#define UNIQUE_SOURCES_MAX (DUPLICATES_MEMBERS_MAX / SOURCE_LANES)
#define SEGMENT_BYTES MIB(64)
#define TICK_NS NS_PER_S
#define SYNC_INTERVAL_NS NS_PER_S
#define SYNC_BYTES MIB(64)

/* What has no name cannot be found again, by whoever it is. */
static void check_ephemeral(const struct weir_capture_options *options, struct fault *fault)
{
	if (options->spool || options->prefix || options->suffix)
		fault_set(fault, WEIR_USAGE,
			  "--ephemeral leaves nothing and names nothing: --spool, --prefix and "
			  "--suffix do not go with it");
	if (options->to == WEIR_TO_SPOOL)
		fault_set(fault, WEIR_USAGE,
			  "--ephemeral keeps nothing: it needs a COMMAND, or a reader of standard "
			  "output");
}

static void check_sync(const struct weir_capture_options *options, struct fault *fault)
{
	if ((unsigned)options->sync > WEIR_SYNC_EVERY)
		fault_set(fault, WEIR_USAGE, "there is no such kind of --sync");
	if (options->sync != WEIR_SYNC_NONE && options->ephemeral)
		fault_set(fault, WEIR_USAGE,
			  "--ephemeral leaves nothing that could be found after a loss of power: "
			  "--sync does not go with it");
}

static void check_compression(const struct weir_capture_options *options, struct fault *fault)
{
	if (options->compress_level == 0)
		return;
	if (!codec_exists())
		fault_set(
			fault, WEIR_USAGE,
			"--compress: this weir was built without libzstd, which is needed for it");
	if (options->compress_level > CODEC_LEVEL_MAX)
		fault_set(fault, WEIR_USAGE, "--compress takes levels from 1 to %d, as zstd=3",
			  CODEC_LEVEL_MAX);
	if (options->ephemeral)
		fault_set(
			fault, WEIR_USAGE,
			"--compress makes other files of those in a spool: --ephemeral, which has "
			"none, does not go with it");
}

static void check(const struct weir_capture_options *options, struct fault *fault)
{
	if (!options->sources || options->source_count == 0)
		fault_set(fault, WEIR_USAGE, "there is no URL");
	if (options->source_count > WEIR_SOURCES_MAX)
		fault_set(fault, WEIR_USAGE, "there are more than %d URLs", WEIR_SOURCES_MAX);
	if ((options->unique || options->unique_key) && options->source_count > UNIQUE_SOURCES_MAX)
		fault_set(fault, WEIR_USAGE, "--unique and --unique-key are for %d URLs at most",
			  UNIQUE_SOURCES_MAX);
	if (options->unique && options->unique_key)
		fault_set(fault, WEIR_USAGE,
			  "--unique goes by the payload, --unique-key by a part of it: only one of "
			  "them can be meant");
	if (options->to == WEIR_TO_CALLBACK && !options->on_segment)
		fault_set(fault, WEIR_USAGE, "there is no callback for segments");
	if (options->to == WEIR_TO_COMMAND && (!options->command || !options->command[0]))
		fault_set(fault, WEIR_USAGE, "there is no command for segments");
	if (options->disk_max > 0 && options->disk_max < SPOOL_DISK_MAX_MIN)
		fault_set(fault, WEIR_USAGE, "--disk-max must be at least 4MiB");
	if (options->spool && (options->dir || options->prefix || options->suffix))
		fault_set(
			fault, WEIR_USAGE,
			"--spool names the directory: --dir, --prefix and --suffix, which make up "
			"a temporary one, do not go with it");
	check_sync(options, fault);
	check_compression(options, fault);
	if (options->ephemeral)
		check_ephemeral(options, fault);
}

struct weir_capture_options options_complete(const struct weir_capture_options *options,
					     struct fault *fault)
{
	struct weir_capture_options complete = *options;

	check(options, fault);
	if (complete.segment_bytes == 0)
		complete.segment_bytes = SEGMENT_BYTES;
	if (complete.tick_ns == 0)
		complete.tick_ns = TICK_NS;
	if (complete.sync_interval_ns == 0)
		complete.sync_interval_ns = SYNC_INTERVAL_NS;
	if (complete.sync_bytes == 0)
		complete.sync_bytes = SYNC_BYTES;
	return complete;
}
