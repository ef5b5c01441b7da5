/* Snapshots in, text out: nothing here knows where the numbers come from or who reads the text. */
#include "monitor/status.h"

#include "base/clock.h"
#include "base/json_text.h"
#include "base/macro.h"
#include "base/units.h"

#include <inttypes.h>
#include <string.h>

static uint64_t per_second(uint64_t count, uint64_t ns)
{
	return ns == 0 ? 0 : (uint64_t)((double)count * (double)NS_PER_S / (double)ns);
}

#define PHASE_SIZE 64
#define LINE_SIZE 512

/* Stands in front, where a narrow terminal shows it too. At the end, no connection is no trouble.
 */
static const char *phase(const struct weir_stats *stats, size_t sources, char to[PHASE_SIZE])
{
	if (stats->end == WEIR_END_STOP)
		return "  ending (at once: Ctrl-C again)";
	if (stats->end)
		return "  ending";
	if (stats->blocked)
		return "  waiting for room on the disk";
	if (stats->connected == 0)
		return "  not connected";
	if (stats->connected >= sources)
		return "";
	snprintf(to, PHASE_SIZE, "  %zu of %zu connected", stats->connected, sources);
	return to;
}

/* Behind a noun of which there are so many. */
static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* Behind the messages: how many of them are durable, if that is counted. */
static const char *durable(const struct weir_stats *stats, char to[PHASE_SIZE])
{
	char count[UNITS_TEXT_SIZE];

	to[0] = '\0';
	if (stats->synced)
		snprintf(to, PHASE_SIZE, "  %s durable",
			 units_format_count(stats->durable_messages, count));
	return to;
}

/* Half of a number would be a wrong one, so what does not fit goes as a whole, from the end. */
static char *fit(char *to, size_t columns, const char *text)
{
	size_t size = strlen(text);

	if (size > columns) {
		for (size = columns; size > 0; size--)
			if (text[size] == ',' || strncmp(text + size, "  ", 2) == 0)
				break;
		size = size > 0 ? size : columns;
	}
	memcpy(to, text, size);
	to[size] = '\0';
	return to;
}

const char *status_line(char *to, size_t columns, const struct weir_stats *stats,
			const struct status_mark *since, size_t sources, uint64_t disk_free_bytes)
{
	uint64_t ns = stats->elapsed_ns - since->elapsed_ns;
	char time[UNITS_TEXT_SIZE], count[UNITS_TEXT_SIZE], bytes[UNITS_TEXT_SIZE];
	char rate[UNITS_TEXT_SIZE], byte_rate[UNITS_TEXT_SIZE], held[UNITS_TEXT_SIZE];
	char free_text[UNITS_TEXT_SIZE], rss[UNITS_TEXT_SIZE], doing[PHASE_SIZE];
	char safe[PHASE_SIZE];
	char line[LINE_SIZE];

	snprintf(line, sizeof(line),
		 "%s%s  %s message%s%s  %s  %s/s  %s/s  backlog %" PRIu64
		 "  disk %s held, %s free  memory %s",
		 units_format_time(stats->elapsed_ns, time), phase(stats, sources, doing),
		 units_format_count(stats->messages, count), plural(stats->messages),
		 durable(stats, safe), units_format_size(stats->bytes, bytes),
		 units_format_count(per_second(stats->messages - since->messages, ns), rate),
		 units_format_size(per_second(stats->bytes - since->bytes, ns), byte_rate),
		 stats->backlog_segments, units_format_size(stats->disk_bytes, held),
		 units_format_size(disk_free_bytes, free_text),
		 units_format_size(memory_read().rss_bytes, rss));
	return fit(to, columns, line);
}

void status_summary(FILE *to, const struct weir_stats *stats)
{
	char a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE], c[UNITS_TEXT_SIZE];

	fprintf(to, "captured   %s message%s, %s, in %s\n", units_format_count(stats->messages, a),
		plural(stats->messages), units_format_size(stats->bytes, b),
		units_format_time(stats->elapsed_ns, c));
	if (stats->synced)
		fprintf(to, "durable    %s message%s, %s\n",
			units_format_count(stats->durable_messages, a),
			plural(stats->durable_messages),
			units_format_size(stats->durable_bytes, b));
	fprintf(to, "rates      %s messages/s, %s/s\n",
		units_format_count(per_second(stats->messages, stats->elapsed_ns), a),
		units_format_size(per_second(stats->bytes, stats->elapsed_ns), b));
	fprintf(to,
		"segments   %" PRIu64 " sealed, %" PRIu64 " processed, %" PRIu64
		" kept after a failure, %" PRIu64 " left\n",
		stats->segments, stats->acked, stats->kept, stats->backlog_segments);
	if (stats->compresses)
		fprintf(to, "compressed %" PRIu64 " segments, %" PRIu64 " could not be\n",
			stats->compressed, stats->compress_failed);
	fprintf(to, "disk       %s held at the peak, %s now\n",
		units_format_size(stats->disk_peak_bytes, a),
		units_format_size(stats->disk_bytes, b));
	fprintf(to, "memory     %s at the peak\n",
		units_format_size(memory_read().peak_rss_bytes, a));
	if (stats->connections > 1 || stats->failures > 0)
		fprintf(to, "connected  %" PRIu64 " time%s, %" PRIu64 " attempt%s failed\n",
			stats->connections, plural(stats->connections), stats->failures,
			plural(stats->failures));
	if (stats->dropped_messages > 0)
		fprintf(to, "dropped    %s messages, %s, for want of room\n",
			units_format_count(stats->dropped_messages, a),
			units_format_size(stats->dropped_bytes, b));
	if (stats->lost_events > 0)
		fprintf(to, "events     %s are not on record for want of room\n",
			units_format_count(stats->lost_events, a));
	if (stats->duplicates > 0)
		fprintf(to, "duplicates %s dropped\n", units_format_count(stats->duplicates, a));
	if (stats->keyless > 0)
		fprintf(to, "no value   at --unique-key in %s of %s messages\n",
			units_format_count(stats->keyless, a),
			units_format_count(stats->keyless + stats->keyed, b));
	if (stats->numberless > 0)
		fprintf(to, "no number  at --sequence in %s of %s messages\n",
			units_format_count(stats->numberless, a),
			units_format_count(stats->numberless + stats->numbered, b));
	if (stats->gaps > 0)
		fprintf(to, "gaps       %s, in which %s number%s missing\n",
			units_format_count(stats->gaps, a), units_format_count(stats->missing, b),
			stats->missing == 1 ? " is" : "s are");
	if (stats->close_code)
		fprintf(to, "close      the server's code was %u\n", stats->close_code);
	if (stats->cut_bytes)
		fprintf(to, "cut        %s of an unfinished message do not count\n",
			units_format_size(stats->cut_bytes, a));
}

static void put_number(FILE *to, const char *name, uint64_t value)
{
	fprintf(to, "\"%s\":%" PRIu64 ",", name, value);
}

static void put_text(FILE *to, const char *name, const char *text, const char *behind)
{
	fprintf(to, "\"%s\":", name);
	json_text_write(to, text);
	fputs(behind, to);
}

static void put_source(FILE *to, const struct weir_source_stats *source)
{
	static const char *const states[] = {
		[WEIR_SOURCE_CONNECTING] = "connecting",
		[WEIR_SOURCE_CONNECTED] = "connected",
		[WEIR_SOURCE_ENDED] = "ended",
	};

	putc('{', to);
	put_text(to, "url", source->url, ",");
	put_text(to, "state", states[source->state], ",");
	put_number(to, "messages", source->messages);
	put_number(to, "bytes", source->bytes);
	put_number(to, "connections", source->connections);
	put_number(to, "failures", source->failures);
	put_text(to, "error", source->error, "}");
}

static void put_sources(FILE *to, const struct status_names *names)
{
	fputs("\"sources\":[", to);
	for (size_t i = 0; i < names->source_count; i++) {
		if (i > 0)
			putc(',', to);
		put_source(to, &names->sources[i]);
	}
	fputs("],", to);
}

void status_json(FILE *to, const struct weir_stats *stats, const struct status_names *names)
{
	putc('{', to);
	put_number(to, "messages", stats->messages);
	put_number(to, "bytes", stats->bytes);
	put_number(to, "wire_bytes", stats->wire_bytes);
	put_number(to, "duration_ns", stats->elapsed_ns);
	put_number(to, "segments", stats->segments);
	put_number(to, "acked", stats->acked);
	put_number(to, "kept", stats->kept);
	put_number(to, "peak_disk_bytes", stats->disk_peak_bytes);
	put_number(to, "peak_rss_bytes", memory_read().peak_rss_bytes);
	put_number(to, "connections", stats->connections);
	put_number(to, "failures", stats->failures);
	put_number(to, "dropped_messages", stats->dropped_messages);
	put_number(to, "dropped_bytes", stats->dropped_bytes);
	put_number(to, "lost_events", stats->lost_events);
	put_number(to, "duplicates", stats->duplicates);
	put_number(to, "gaps", stats->gaps);
	put_number(to, "missing", stats->missing);
	put_number(to, "keyless", stats->keyless);
	put_number(to, "numberless", stats->numberless);
	put_number(to, "close_code", stats->close_code);
	put_number(to, "cut_bytes", stats->cut_bytes);
	if (stats->compresses) {
		put_number(to, "compressed", stats->compressed);
		put_number(to, "compress_failures", stats->compress_failed);
	}
	if (stats->synced) {
		put_number(to, "durable_messages", stats->durable_messages);
		put_number(to, "durable_bytes", stats->durable_bytes);
	}
	put_sources(to, names);
	put_text(to, "url", names->url, ",");
	put_text(to, "spool", names->spool, ",");
	put_text(to, "end", names->end, "}\n");
}
