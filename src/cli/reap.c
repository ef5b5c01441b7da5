/*
 * weir reap: deletes the temporary spools that killed captures have left. Who holds the lock of a
 * spool is alive; while one is deleted, it is held here, so that nobody else begins to use it.
 *
 * What was not processed is never deleted without being asked for, and what is not weir's not at
 * all.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "cli/spools.h"
#include "spool/admit.h"
#include "spool/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <tempfile.h>
#include <weir.h>

#define RANDOM_SIZE 12 /* characters in a name that tempfile_mkdir() makes */
#define RANDOM_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

struct reap {
	const char *prefix, *suffix;
	bool unprocessed, asides, dry_run;
	bool by_link;  /* what is looked at was named by a symbolic link */
	bool is_named; /* it is a spool that was named itself, and not its directory */
	uint64_t older_ns;
	uint64_t removed, kept, used, failed;
};

/* Whether weir capture made this name itself: of a spool that somebody named, an empty one has a
 * meaning too, since its numbers go on. */
static bool is_temporary(const struct reap *reap, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t before = strlen(reap->prefix), size = strlen(name);

	return size == before + RANDOM_SIZE + strlen(reap->suffix) &&
	       strncmp(name, reap->prefix, before) == 0 &&
	       strspn(name + before, RANDOM_CHARACTERS) >= RANDOM_SIZE &&
	       strcmp(name + before + RANDOM_SIZE, reap->suffix) == 0;
}

static const char *shown(char to[PATH_MAX], const char *path)
{
	printable_copy(to, PATH_MAX, path, strlen(path));
	return to;
}

static void say_failed(struct reap *reap, const char *path, int error)
{
	char text[PATH_MAX];

	say_error("cannot delete %s: %s", shown(text, path), strerror(-error));
	reap->failed++;
}

/* What is in it, in words: "", or with a colon in front of it. */
static const char *contents(const struct leftover *leftover, char to[UNITS_TEXT_SIZE * 3])
{
	char bytes[UNITS_TEXT_SIZE];

	to[0] = '\0';
	if (leftover->data_bytes > 0)
		snprintf(to, UNITS_TEXT_SIZE * 3, ": %s that was not processed",
			 units_format_size(leftover->data_bytes, bytes));
	else if (leftover->aside_bytes > 0)
		snprintf(to, UNITS_TEXT_SIZE * 3, ": %s that was put aside",
			 units_format_size(leftover->aside_bytes, bytes));
	return to;
}

static void say_done(struct reap *reap, const char *what, const struct spools_found *found,
		     const struct leftover *leftover)
{
	char path[PATH_MAX], words[UNITS_TEXT_SIZE * 3];

	printf("%s%s %s%s\n", reap->dry_run ? "would have " : "", what, shown(path, found->path),
	       contents(leftover, words));
	reap->removed++;
}

static void say_kept(struct reap *reap, const struct spools_found *found, const char *why,
		     const struct leftover *leftover)
{
	char path[PATH_MAX], words[UNITS_TEXT_SIZE * 3];

	if (why)
		printf("kept %s: %s\n", shown(path, found->path), why);
	else
		printf("kept %s%s\n", shown(path, found->path), contents(leftover, words));
	reap->kept++;
}

/* Of a spool that stays, only what was put aside. */
static void reap_asides(struct reap *reap, const struct spools_found *found,
			const struct leftover *leftover)
{
	int r = 0;

	if (!reap->asides || leftover->asides == 0)
		return;
	if (!reap->dry_run)
		r = leftover_delete_asides(found->dir_fd);
	if (r < 0)
		say_failed(reap, found->path, r);
	else
		say_done(reap, "removed what was put aside in", found,
			 &(struct leftover){.aside_bytes = leftover->aside_bytes});
}

static int remove_all(const struct spools_found *found)
{
	int r = leftover_delete(found->dir_fd);

	if (r < 0)
		return r;
	return unlinkat(found->parent_fd, found->name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Of a spool that is a temporary one, and locked. */
static void reap_temporary(struct reap *reap, const struct spools_found *found,
			   const struct leftover *leftover)
{
	bool wanted = (leftover->data_bytes == 0 || reap->unprocessed) &&
		      (leftover->aside_bytes == 0 || reap->asides || reap->unprocessed);
	int r = 0;

	if (leftover->foreign > 0) {
		say_kept(reap, found, "there are other files in it", leftover);
		return;
	}
	if (!wanted) {
		say_kept(reap, found, NULL, leftover);
		reap_asides(reap, found, leftover);
		return;
	}
	if (!reap->dry_run)
		r = remove_all(found);
	if (r < 0)
		say_failed(reap, found->path, r);
	else
		say_done(reap, "removed", found, leftover);
}

static bool is_old(const struct reap *reap, const struct leftover *leftover)
{
	uint64_t now_ns = clock_realtime_ns();

	return reap->older_ns == 0 ||
	       (leftover->changed_ns < now_ns && now_ns - leftover->changed_ns >= reap->older_ns);
}

/* Looks once more when it is locked: now nobody changes it. Where there is nothing to do, it is not
 * locked: somebody may want to begin to capture. */
static void reap_spool(void *data, const struct spools_found *found)
{
	struct reap *reap = data;
	CLEANUP_FD int lock_fd = -1;
	struct leftover leftover;
	bool temporary = is_temporary(reap, found->path);
	int r = leftover_look(found->dir_fd, &leftover);

	if (r < 0 || !leftover.ours || !is_old(reap, &leftover))
		return;
	if (!temporary && !(reap->is_named && reap->asides && leftover.asides > 0))
		return;
	r = leftover_lock(found->dir_fd, &lock_fd);
	if (r == -EWOULDBLOCK)
		reap->used++;
	if (r < 0 || leftover_look(found->dir_fd, &leftover) < 0)
		return;
	if (admit_versions(found->dir_fd, &found->listing) < 0)
		say_kept(reap, found, "it was written by another version of weir", &leftover);
	else if (temporary)
		reap_temporary(reap, found, &leftover);
	else
		reap_asides(reap, found, &leftover);
}

static void say_unreadable(struct reap *reap, const char *path, int error)
{
	say_error("cannot look at %s: %s", path, strerror(-error));
	reap->failed++;
}

static void reap_argument(void *data, const struct spools_found *found)
{
	struct reap *reap = data;
	int r;

	reap->is_named = found->is_spool;
	if (found->is_spool && reap->by_link) {
		say_error("%s is a symbolic link to a spool, and left alone", found->path);
		reap->failed++;
		return;
	}
	if (found->is_spool) {
		reap_spool(reap, found);
		return;
	}
	r = spools_each(found->path, "", reap_spool, reap);
	if (r < 0)
		say_unreadable(reap, found->path, r);
}

static void reap_one(struct reap *reap, const char *path)
{
	CLEANUP_FREE char *whole = path ? realpath(path, NULL) : NULL;
	struct stat status;
	int r = whole ? 0 : -errno;

	reap->by_link = whole && lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
	if (r >= 0)
		r = spools_look(AT_FDCWD, whole, whole, reap_argument, reap);
	if (r < 0)
		say_unreadable(reap, path ? path : "the directory for temporary files", r);
}

static int parse(struct reap *reap, int argc, char **argv, int *ret_rest)
{
	const struct argument arguments[] = {
		{"unprocessed", ARGUMENT_FLAG, &reap->unprocessed, NULL,
		 "also those with messages that were not processed: they are LOST"},
		{"asides", ARGUMENT_FLAG, &reap->asides, NULL,
		 "what was put aside or cut off because it was damaged, also in SPOOL"},
		{"older-than", ARGUMENT_TIME, &reap->older_ns, "TIME",
		 "only what was not changed for TIME"},
		{"dry-run", ARGUMENT_FLAG, &reap->dry_run, NULL, "only say what would be done"},
		{"prefix", ARGUMENT_TEXT, &reap->prefix, "TEXT",
		 "those whose names begin with TEXT (weir-)"},
		{"suffix", ARGUMENT_TEXT, &reap->suffix, "TEXT", "and end with TEXT"},
	};
	const struct usage usage = {
		.command = "weir reap",
		.synopsis = "[DIR | SPOOL]... [OPTIONS]",
		.summary =
			"Deletes the temporary spools in DIR (that for temporary files) whose captures\n"
			"were killed and that hold nothing unprocessed.",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
		.more = "Exit codes: 0 done, whatever was kept; 2 usage; 5 something could not be looked\n"
			"at or deleted.",
	};

	return arguments_parse(&usage, argc, argv, ret_rest);
}

int command_reap(int argc, char **argv)
{
	struct reap reap = {.prefix = "weir-", .suffix = ""};
	int rest, code = parse(&reap, argc, argv, &rest);

	if (code != ARGUMENTS_OK)
		return code;
	if (rest == argc)
		reap_one(&reap, tempfile_gettempdir());
	for (int i = rest; i < argc; i++)
		reap_one(&reap, argv[i]);
	if (reap.used > 0)
		printf("%" PRIu64 " %s in use\n", reap.used, reap.used == 1 ? "is" : "are");
	if (reap.kept > 0)
		say_hint("what was kept: weir capture URL --spool SPOOL -- COMMAND processes it, "
			 "weir cat SPOOL prints it, --unprocessed deletes it");
	return reap.failed > 0 ? WEIR_STORAGE : 0;
}
