/*
 * weir salvage: a clean spool from a damaged one. Every record that is whole is written to it,
 * under its number; the damaged spool is only read. What could not be saved goes to standard error.
 */
#include "base/macro.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "spool/admit.h"
#include "spool/rescue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <weir.h>

struct salvage {
	const char *from, *to;
};

static const char *reason(int error)
{
	switch (error) {
	case -EBADMSG:
	case -ENOMSG:
		return "nothing of it is whole";
	case -EPROTO:
		return "it was written by another version of weir";
	case -EMEDIUMTYPE:
	case -ELOOP:
		return "a file of it is a link, a directory or the like";
	default:
		return strerror(-error);
	}
}

static void describe(char *text, size_t size, const struct salvage_report *report)
{
	uint64_t lost = report->damaged + report->missing;

	if (lost > 0)
		snprintf(text, size, "%" PRIu64 " of its records %s lost; a gap says so", lost,
			 lost == 1 ? "is" : "are");
	else if (!report->end)
		snprintf(text, size,
			 "its end is damaged; if there were more records, a gap says so");
	else
		snprintf(text, size, "it was damaged, but no record of it");
}

static void on_news(void *data, const struct rescue_news *news)
{
	const struct salvage *salvage = data;
	char text[160], name[NAME_MAX + 1];

	switch (news->kind) {
	case RESCUE_DAMAGED:
		describe(text, sizeof(text), news->report);
		break;
	case RESCUE_OVERLAP:
		snprintf(text, sizeof(text), "left out: its numbers are those of another segment");
		break;
	case RESCUE_UNUSED:
		snprintf(text, sizeof(text),
			 "left out: its other half is missing, or does not fit");
		break;
	case RESCUE_UNREADABLE:
		snprintf(text, sizeof(text), "left out: %s", reason(news->error));
		break;
	}
	printable_copy(name, sizeof(name), news->name, strlen(news->name));
	say_error("%s/%s: %s", salvage->from, name, text);
}

/* Whether there is something in it already; a directory that is missing is made later. */
static bool holds_something(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *found;
	bool holds = false;

	if (!dir)
		return false;
	while (!holds && (found = readdir(dir)))
		holds = strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0;
	closedir(dir);
	return holds;
}

static int print_totals(const struct salvage *salvage, const struct rescue_totals *totals)
{
	char bytes[UNITS_TEXT_SIZE];

	printf("%s: %" PRIu64 " segment%s, %" PRIu64 " record%s, %" PRIu64
	       " of them messages with %s; ",
	       salvage->to, totals->segments, totals->segments == 1 ? "" : "s", totals->records,
	       totals->records == 1 ? "" : "s", totals->messages,
	       units_format_size(totals->bytes, bytes));
	if (totals->lost == 0 && totals->left_out == 0)
		printf("nothing is lost\n");
	else
		printf("%" PRIu64 " record%s lost, %" PRIu64 " file%s left out\n", totals->lost,
		       totals->lost == 1 ? " is" : "s are", totals->left_out,
		       totals->left_out == 1 ? "" : "s");
	return totals->lost == 0 && totals->left_out == 0 ? 0 : WEIR_KEPT;
}

static int save(struct salvage *salvage, int from_fd)
{
	CLEANUP(directory_done) struct spool_directory to;
	const struct rescue rescue = {
		.from_fd = from_fd, .to = &to, .tell = on_news, .data = salvage};
	struct rescue_totals totals;
	int r;

	directory_init(&to);
	if (holds_something(salvage->to)) {
		say_error("%s is not empty; name a new directory", salvage->to);
		return WEIR_STORAGE;
	}
	r = directory_open(&to, salvage->to);
	if (r < 0) {
		say_error("cannot make a spool in %s: %s", salvage->to, strerror(-r));
		return WEIR_STORAGE;
	}
	r = rescue_spool(&rescue, &totals);
	if (r < 0) {
		say_error("cannot write all to %s: %s; what was written so far is whole",
			  salvage->to, strerror(-r));
		return WEIR_STORAGE;
	}
	return print_totals(salvage, &totals);
}

static int salvage_spool(struct salvage *salvage)
{
	CLEANUP(listing_done) struct listing listing = {0};
	CLEANUP_FD int dir_fd = open(salvage->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir_fd < 0 ? -errno : listing_read(dir_fd, &listing);

	if (r < 0) {
		say_error("cannot open the spool %s: %s", salvage->from, strerror(-r));
		return WEIR_STORAGE;
	}
	if (listing.asides == 0 &&
	    (admit_contents(dir_fd, &listing) < 0 || (!listing.has_lock && listing.count == 0))) {
		say_error("%s is not a spool of weir", salvage->from);
		return WEIR_STORAGE;
	}
	return save(salvage, dir_fd);
}

int command_salvage(int argc, char **argv)
{
	static const struct usage usage = {
		.command = "weir salvage",
		.synopsis = "SPOOL DIR",
		.summary =
			"Writes a clean spool to the new directory DIR from what is whole in the spool\n"
			"SPOOL, which is only read. Numbers stay as they are; where a record is lost,\n"
			"there is a gap.",
		.more = "Exit codes: 0 everything is saved; 1 something is lost; 2 usage; 5 storage.",
	};
	struct salvage salvage;
	int rest;
	int code = arguments_parse(&usage, argc, argv, &rest);

	if (code != ARGUMENTS_OK)
		return code;
	if (argc - rest != 2) {
		say_error("which spool, and where to? Two directories are to be named");
		say_hint("see weir salvage --help");
		return WEIR_USAGE;
	}
	salvage = (struct salvage){.from = argv[rest], .to = argv[rest + 1]};
	return salvage_spool(&salvage);
}
