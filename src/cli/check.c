/*
 * weir check: whether a spool is whole, and what exactly is not. What is found goes to standard
 * output, one line each: the file, what is wrong with it, and what that means.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "spool/audit.h"
#include "spool/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <weir.h>

#define PROGRESS_NS (200 * NS_PER_MS)
#define WORDS_SIZE 256

struct check {
	const char *path;
	char shown[PATH_MAX]; /* the same, fit for a terminal */
	bool quiet;
	bool shows_progress;
	bool in_use;
	uint64_t damages;
	uint64_t begun_ns, shown_ns;
};

/* What is said of findings without a number in them. */
static const char *const words[] = {
	[AUDIT_HEADER] = "its header is damaged; all records can be read without it",
	[AUDIT_TABLE] =
		"the table at its end is damaged; what was compressed can be read without it",
	[AUDIT_NO_INDEX] = "there is no index beside it, so that nothing can be made of it",
	[AUDIT_NO_DATA] = "there is no data beside it: what it speaks of is lost",
	[AUDIT_TWO_INDEXES] = "an index of the same segment that was not sealed stands beside it",
	[AUDIT_OVERLAP] =
		"its numbers are those of the segment before; the next capture puts it aside",
	[AUDIT_ODD] = "a file of this segment is a link, a directory or the like: nothing of it is "
		      "read",
	[AUDIT_FOREIGN] = "it is not an index of weir, or nothing of it is whole",
	[AUDIT_VERSION] = "it was written by another version of weir",
	[AUDIT_LEFTOVER] = "left by a process that died; it holds nothing, and the next capture "
			   "deletes it",
	[AUDIT_CUT] = "what was cut off its end is kept beside it",
	[AUDIT_CUT_ALL] = "kept by a capture, since no entry speaks of it; the next one deletes it",
	[AUDIT_MENDING] = "a capture died while it wrote the segment anew; the next one finishes "
			  "that",
	[AUDIT_ASIDE] = "put aside by a capture, since it was damaged or made no sense",
	[AUDIT_OTHER] = "not a file of weir",
	[AUDIT_LOCK_ODD] =
		"it is a link, a directory or the like, so that no capture can go on here; "
		"remove it",
	[AUDIT_LOCK_OVER] = "it says that no number is left, so that no capture can go on here; "
			    "write the spool anew with weir salvage",
	[AUDIT_LOCK] = "it does not say which number comes next; a capture goes on behind the last "
		       "segment",
	[AUDIT_NO_LOCK] = "it is missing; the next capture makes it, and goes on behind the last "
			  "segment",
};

static void describe_records(char text[WORDS_SIZE], const struct audit_finding *finding)
{
	uint64_t last = finding->seq + finding->count - 1;
	const char *why = finding->kind == AUDIT_LOST
				  ? ", at the end: captured, and lost"
				  : "; the next capture puts a gap in the place of each";

	if (finding->count == 1)
		snprintf(text, WORDS_SIZE, "record %" PRIu64 " is damaged%s", finding->seq,
			 finding->kind == AUDIT_LOST
				 ? why
				 : "; the next capture puts a gap in its place");
	else
		snprintf(text, WORDS_SIZE, "records %" PRIu64 " to %" PRIu64 " are damaged%s",
			 finding->seq, last, why);
}

static void describe(char text[WORDS_SIZE], const struct audit_finding *finding)
{
	switch (finding->kind) {
	case AUDIT_RECORDS:
	case AUDIT_LOST:
		return describe_records(text, finding);
	case AUDIT_LOOSE:
		snprintf(text, WORDS_SIZE,
			 "record %" PRIu64
			 " is whole, but in the data file it has not its place or "
			 "its newline",
			 finding->seq);
		return;
	case AUDIT_MISSING:
		snprintf(text, WORDS_SIZE, "%" PRIu64 " of its records are missing at the end",
			 finding->count);
		return;
	case AUDIT_INDEX_END:
		snprintf(text, WORDS_SIZE, "it ends with %" PRIu64 " bytes of an entry",
			 finding->count);
		return;
	case AUDIT_DATA_END:
		snprintf(text, WORDS_SIZE, "%" PRIu64 " bytes of data stand behind its last record",
			 finding->count);
		return;
	case AUDIT_TORN:
		snprintf(text, WORDS_SIZE,
			 "%" PRIu64 " bytes at the end were written and never captured; the next "
			 "capture cuts them off",
			 finding->count);
		return;
	case AUDIT_UNREADABLE:
		snprintf(text, WORDS_SIZE, "it cannot be read: %s", strerror(-finding->error));
		return;
	default:
		snprintf(text, WORDS_SIZE, "%s", words[finding->kind]);
	}
}

/* What is always there while somebody writes. */
static bool is_of_use(const struct check *check, enum audit_kind kind)
{
	return check->in_use && (kind == AUDIT_TORN || kind == AUDIT_LEFTOVER);
}

static void on_finding(void *data, const struct audit_finding *finding)
{
	struct check *check = data;
	bool damage = audit_is_damage(finding->kind);
	char text[WORDS_SIZE], name[NAME_MAX + 1];

	check->damages += damage;
	if (!damage && (check->quiet || is_of_use(check, finding->kind)))
		return;
	describe(text, finding);
	printable_copy(name, sizeof(name), finding->name, strlen(finding->name));
	say_live("");
	printf("%s/%s: %s%s\n", check->shown, name, damage ? "damaged: " : "", text);
}

static uint64_t rate(const struct check *check, uint64_t bytes)
{
	uint64_t ns = clock_monotonic_ns() - check->begun_ns;

	return (uint64_t)((double)bytes * (double)NS_PER_S / (double)MAX(ns, UINT64_C(1)));
}

static bool on_progress(void *data, const struct audit_totals *totals)
{
	struct check *check = data;
	uint64_t now = clock_monotonic_ns();
	char line[160], bytes[UNITS_TEXT_SIZE], speed[UNITS_TEXT_SIZE];

	if (ferror(stdout))
		return false;
	if (!check->shows_progress || now - check->shown_ns < PROGRESS_NS)
		return true;
	check->shown_ns = now;
	snprintf(line, sizeof(line), "checked %" PRIu64 " segments, %s, %s/s", totals->segments,
		 units_format_size(totals->read_bytes, bytes),
		 units_format_size(rate(check, totals->read_bytes), speed));
	say_live(line);
	return true;
}

static void print_totals(const struct check *check, const struct audit_totals *totals)
{
	char bytes[UNITS_TEXT_SIZE], speed[UNITS_TEXT_SIZE];

	say_live("");
	if (check->quiet)
		return;
	printf("%s: %" PRIu64 " segment%s, %" PRIu64 " record%s, %" PRIu64
	       " of them messages with %s",
	       check->shown, totals->segments, totals->segments == 1 ? "" : "s", totals->records,
	       totals->records == 1 ? "" : "s", totals->messages,
	       units_format_size(totals->bytes, bytes));
	if (totals->gaps > 0)
		printf(", %" PRIu64 " gap%s", totals->gaps, totals->gaps == 1 ? "" : "s");
	printf("; read at %s/s; ", units_format_size(rate(check, totals->read_bytes), speed));
	if (check->damages == 0)
		printf("whole\n");
	else
		printf("damaged: %" PRIu64 " record%s lost, %" PRIu64 " segment%s touched\n",
		       totals->damaged_records, totals->damaged_records == 1 ? " is" : "s are",
		       totals->damaged_segments, totals->damaged_segments == 1 ? "" : "s");
}

static void print_owner(struct check *check, int dir_fd)
{
	struct owner owner = {0};

	if (owner_probe(dir_fd, &owner) < 0 || !owner.alive)
		return;
	check->in_use = true;
	if (check->quiet)
		return;
	if (owner.pid > 0)
		printf("%s: in use by process %d\n", check->shown, (int)owner.pid);
	else
		printf("%s: in use\n", check->shown);
}

static int check_spool(struct check *check)
{
	CLEANUP_FD int dir_fd = open(check->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct audit audit = {
		.dir_fd = dir_fd, .tell = on_finding, .progress = on_progress, .data = check};
	struct audit_totals totals;
	int r = dir_fd < 0 ? -errno : 0;

	check->begun_ns = clock_monotonic_ns();
	if (r >= 0) {
		print_owner(check, dir_fd);
		r = audit_spool(&audit, &totals);
	}
	if (r == -ECANCELED)
		return WEIR_STORAGE; /* standard output is gone, which main tells */
	if (r == -EMEDIUMTYPE) {
		say_error("%s is not a spool of weir", check->shown);
		return WEIR_STORAGE;
	}
	if (r < 0) {
		say_error("cannot check the spool %s: %s", check->shown, strerror(-r));
		return WEIR_STORAGE;
	}
	print_totals(check, &totals);
	if (check->damages == 0)
		return 0;
	fflush(stdout);
	say_error("the spool %s is damaged in %" PRIu64 " place%s", check->shown, check->damages,
		  check->damages == 1 ? "" : "s");
	return WEIR_STORAGE;
}

int command_check(int argc, char **argv)
{
	struct check check = {.shows_progress = isatty(STDERR_FILENO)};
	const struct argument arguments[] = {
		{"quiet", ARGUMENT_FLAG, &check.quiet, NULL, "print nothing but what is damaged"},
	};
	const struct usage usage = {
		.command = "weir check",
		.synopsis = "SPOOL [--quiet]",
		.summary =
			"Verifies everything in the directory SPOOL, and prints what is damaged, one line\n"
			"each. Changes nothing. The spool may be in use.",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
		.more = "Exit codes: 0 whole; 2 usage; 5 damaged, or it cannot be read.",
	};
	int rest;
	int code = arguments_parse(&usage, argc, argv, &rest);

	if (code != ARGUMENTS_OK)
		return code;
	if (argc - rest != 1) {
		say_error("which spool? One directory is to be named");
		say_hint("see weir check --help");
		return WEIR_USAGE;
	}
	check.path = argv[rest];
	printable_copy(check.shown, sizeof(check.shown), check.path, strlen(check.path));
	return check_spool(&check);
}
