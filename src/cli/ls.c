/*
 * weir ls: which spools there are, and what is in one. It takes no lock and changes nothing, and
 * what is bad about one spool is said of that one.
 */
#include "base/clock.h"
#include "base/json_text.h"
#include "base/macro.h"
#include "base/moment.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "cli/spools.h"
#include "cli/table.h"
#include "spool/owner.h"
#include "spool/summary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <tempfile.h>
#include <weir.h>

#define OWN_PREFIX "weir-"
#define NOTES_SIZE 160
#define WHO_SIZE (OWNER_HOST_SIZE + 120)

struct ls {
	bool json;
	struct table spools; /* one line for each */
	int code;
};

struct looked {
	const struct spools_found *found;
	struct owner owner;
	bool owner_known;
	struct summary summary;
	uint64_t disk_bytes;
};

static const char *state_name(enum summary_state state)
{
	static const char *const names[] = {
		[SUMMARY_OPEN] = "open",       [SUMMARY_SEALED] = "sealed",
		[SUMMARY_UNKNOWN] = "unknown", [SUMMARY_COMPRESSED] = "compressed",
		[SUMMARY_DAMAGED] = "damaged", [SUMMARY_INCOMPLETE] = "incomplete",
		[SUMMARY_GONE] = "gone",
	};

	return names[state];
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* A path may hold anything; what goes to a terminal may not. */
static const char *shown(char to[PATH_MAX], const char *path)
{
	printable_copy(to, PATH_MAX, path, strlen(path));
	return to;
}

static void add_size(struct table *table, uint64_t bytes)
{
	char text[UNITS_TEXT_SIZE];

	table_add(table, units_format_size(bytes, text));
}

static void add_count(struct table *table, uint64_t count)
{
	char text[UNITS_TEXT_SIZE];

	table_add(table, units_format_count(count, text));
}

static void add_moment(struct table *table, uint64_t ns)
{
	char text[MOMENT_TEXT_SIZE];

	table_add(table, ns > 0 ? moment_format_local(ns, text) : "-");
}

static void put_moment(const char *name, uint64_t ns)
{
	char text[MOMENT_TEXT_SIZE];

	if (ns > 0)
		printf(",\"%s\":\"%s\"", name, moment_format(ns, text));
	else
		printf(",\"%s\":null", name);
}

static void put_segment(const struct spools_found *found, const struct summary_segment *segment)
{
	printf("{\"spool\":");
	json_text_write(stdout, found->path);
	printf(",\"first_seq\":%" PRIu64 ",\"state\":\"%s\",\"records\":%" PRIu64
	       ",\"data_bytes\":%" PRIu64 ",\"disk_bytes\":%" PRIu64,
	       segment->first_seq, state_name(segment->state), segment->records,
	       segment->data_bytes, segment->disk_bytes);
	put_moment("from", segment->first_ns);
	put_moment("to", segment->last_ns);
	printf("}\n");
}

static void add_segment(struct table *table, const struct summary_segment *segment)
{
	char age[UNITS_TEXT_SIZE];
	uint64_t now_ns = clock_realtime_ns();

	table_addf(table, "%" PRIu64, segment->first_seq);
	if (segment->records > 0)
		table_addf(table, "%" PRIu64, segment->first_seq + (segment->records - 1));
	else
		table_add(table, "-");
	table_add(table, state_name(segment->state));
	add_count(table, segment->records);
	add_size(table, segment->data_bytes);
	add_size(table, segment->disk_bytes);
	add_moment(table, segment->first_ns);
	add_moment(table, segment->last_ns);
	if (segment->last_ns > 0 && segment->last_ns <= now_ns)
		table_add(table, units_format_time(now_ns - segment->last_ns, age));
	else
		table_add(table, "-");
}

/* Goes through all segments. `table` is NULL where only their sum is wanted. */
static void look(struct ls *ls, struct looked *looked, const struct spools_found *found,
		 struct table *table)
{
	looked->found = found;
	looked->owner_known = owner_probe(found->dir_fd, &looked->owner) >= 0;
	summary_disk_bytes(found->dir_fd, &looked->disk_bytes);
	for (size_t i = 0; i < found->listing.count; i++) {
		const struct listing_entry *entry = &found->listing.entries[i];
		struct summary_segment segment;

		summary_read_segment(found->dir_fd, entry, &segment);
		summary_add(&looked->summary, entry, &segment);
		if (table && segment.state != SUMMARY_GONE) {
			if (ls->json)
				put_segment(found, &segment);
			else
				add_segment(table, &segment);
		}
	}
}

static void put_spool(const struct looked *looked)
{
	const struct owner *owner = &looked->owner;
	const struct summary *summary = &looked->summary;

	printf("{\"path\":");
	json_text_write(stdout, looked->found->path);
	printf(",\"owner\":");
	if (!looked->owner_known) {
		printf("{\"alive\":null}");
	} else if (!owner->alive) {
		printf("{\"alive\":false}");
	} else {
		printf("{\"alive\":true,\"pid\":%d,\"host\":", (int)owner->pid);
		json_text_write(stdout, owner->host);
		put_moment("since", owner->since_s * NS_PER_S);
		printf("}");
	}
	printf(",\"segments\":%" PRIu64 ",\"records\":%" PRIu64 ",\"data_bytes\":%" PRIu64
	       ",\"disk_bytes\":%" PRIu64,
	       summary->segments, summary->records, summary->data_bytes, looked->disk_bytes);
	put_moment("from", summary->first_ns);
	put_moment("to", summary->last_ns);
	printf(",\"damaged\":%" PRIu64 ",\"cuts\":%" PRIu64 ",\"asides\":%zu,\"foreign\":%zu}\n",
	       summary->damaged, summary->cuts, looked->found->listing.asides,
	       looked->found->listing.foreign);
}

/* What is not as usual, "" if nothing is. */
static const char *notes(const struct looked *looked, char to[NOTES_SIZE])
{
	const struct {
		uint64_t count;
		const char *what;
	} all[] = {
		{looked->summary.damaged, "damaged"},
		{looked->summary.cuts, "cut"},
		{looked->found->listing.asides, "put aside"},
		{looked->found->listing.foreign, "foreign"},
	};
	size_t size = 0;

	to[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].count > 0)
			size += (size_t)snprintf(to + size, NOTES_SIZE - size, "%s%" PRIu64 " %s",
						 size > 0 ? ", " : "", all[i].count, all[i].what);
	return to;
}

static const char *owner_word(const struct looked *looked, char to[WHO_SIZE])
{
	if (!looked->owner_known)
		return "?";
	if (!looked->owner.alive)
		return "none";
	if (looked->owner.pid == 0)
		return "alive";
	snprintf(to, WHO_SIZE, "%d", (int)looked->owner.pid);
	return to;
}

static void add_spool(struct table *table, const struct looked *looked)
{
	char path[PATH_MAX], who[WHO_SIZE], text[NOTES_SIZE];
	const struct summary *summary = &looked->summary;

	if (table->count == 0)
		for (size_t i = 0; i < table->columns; i++)
			table_add(table,
				  ((const char *const[]){"SPOOL", "OWNER", "SEGMENTS", "RECORDS",
							 "DATA", "DISK", "FROM", "TO", ""})[i]);
	table_add(table, shown(path, looked->found->path));
	table_add(table, owner_word(looked, who));
	add_count(table, summary->segments);
	add_count(table, summary->records);
	add_size(table, summary->data_bytes);
	add_size(table, looked->disk_bytes);
	add_moment(table, summary->first_ns);
	add_moment(table, summary->last_ns);
	table_add(table, notes(looked, text));
}

/* A line in the list of spools. */
static void list_spool(void *data, const struct spools_found *found)
{
	struct ls *ls = data;
	struct looked looked = {0};

	look(ls, &looked, found, NULL);
	if (ls->json)
		put_spool(&looked);
	else
		add_spool(&ls->spools, &looked);
}

static void print_owner(const struct owner *owner)
{
	char since[MOMENT_TEXT_SIZE];

	printf("in use by ");
	if (owner->pid > 0)
		printf("process %d", (int)owner->pid);
	else
		printf("another process");
	if (owner->host[0])
		printf(" on %s", owner->host);
	if (owner->since_s > 0)
		printf(" since %s", moment_format_local(owner->since_s * NS_PER_S, since));
	putchar('\n');
}

static void print_head(const struct looked *looked)
{
	char path[PATH_MAX], a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE], text[NOTES_SIZE];
	const struct summary *summary = &looked->summary;

	printf("%s: ", shown(path, looked->found->path));
	if (!looked->owner_known)
		printf("nobody can tell whether it is in use\n");
	else if (looked->owner.alive)
		print_owner(&looked->owner);
	else
		printf("not in use\n");
	printf("%" PRIu64 " segment%s, %s record%s", summary->segments, plural(summary->segments),
	       units_format_count(summary->records, a), plural(summary->records));
	printf(", %s of data, %s on the disk", units_format_size(summary->data_bytes, a),
	       units_format_size(looked->disk_bytes, b));
	if (*notes(looked, text))
		printf(", %s", text);
	putchar('\n');
}

/* All of one spool. */
static void print_spool(struct ls *ls, const struct spools_found *found)
{
	static const char *const heads[] = {"FIRST", "LAST", "STATE", "RECORDS", "DATA",
					    "DISK",  "FROM", "TO",    "AGE"};
	CLEANUP(table_done)
	struct table table = {
		.columns = ARRAY_SIZE(heads),
		.right = {true, true, false, true, true, true, false, false, true},
	};
	struct looked looked = {0};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		table_add(&table, heads[i]);
	look(ls, &looked, found, &table);
	if (ls->json) {
		put_spool(&looked);
		return;
	}
	print_head(&looked);
	if (looked.summary.segments > 0)
		table_print(&table);
}

static void say_unreadable(struct ls *ls, const char *path, int error)
{
	say_error("cannot look at %s: %s", path, strerror(-error));
	ls->code = WEIR_STORAGE;
}

static void print_argument(void *data, const struct spools_found *found)
{
	struct ls *ls = data;
	int r;

	if (found->is_spool) {
		print_spool(ls, found);
		return;
	}
	r = spools_each(found->path, "", list_spool, ls);
	if (r < 0)
		say_unreadable(ls, found->path, r);
}

static void print_own(struct ls *ls)
{
	const char *dir = tempfile_gettempdir();
	int r = dir ? spools_each(dir, OWN_PREFIX, list_spool, ls) : -errno;

	if (r < 0)
		say_unreadable(ls, dir ? dir : "the directory for temporary files", r);
}

int command_ls(int argc, char **argv)
{
	CLEANUP(table_done)
	struct table spools = {.columns = 9, .right = {false, false, true, true, true, true}};
	struct ls ls = {0};
	const struct argument arguments[] = {
		{"json", ARGUMENT_FLAG, &ls.json, NULL, "a JSON object for each"},
	};
	const struct usage usage = {
		.command = "weir ls",
		.synopsis = "[SPOOL | DIR]... [OPTIONS]",
		.summary =
			"Shows the segments of SPOOL, or the spools in DIR; without either, weir's own\n"
			"in the directory for temporary files. They may be in use.",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
		.more = "Exit codes: 0 done; 2 usage; 5 something that was named cannot be looked at.",
	};
	int rest, code;

	ls.spools = spools;
	code = arguments_parse(&usage, argc, argv, &rest);
	if (code != ARGUMENTS_OK)
		return code;
	if (rest == argc)
		print_own(&ls);
	for (int i = rest; i < argc; i++) {
		int r = spools_look(AT_FDCWD, argv[i], argv[i], print_argument, &ls);

		if (r < 0)
			say_unreadable(&ls, argv[i], r);
	}
	table_print(&ls.spools);
	return ls.code;
}
