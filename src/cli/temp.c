/* weir temp: libtempfile for shell scripts. What it makes for `file` and `directory` is the
 * caller's to delete, as with mktemp(1); what it makes for `run` lives as long as the command does.
 */
#include "base/macro.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/program.h"
#include "cli/say.h"
#include "process/environment.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <tempfile.h>
#include <unistd.h>
#include <weir.h>

#define PATH_VARIABLE "WEIR_TEMP"
#define BAD_CALL (-1) /* other arguments than the action takes */

struct temp_run {
	struct tempfile_options options;
	bool directory;	      /* run: a directory instead of a file */
	const char *argument; /* behind the action, or NULL */
	char **command;	      /* behind "--", or NULL */
};

static int fail(const char *what, const char *where, int error)
{
	if (error == -EINVAL) {
		say_error(
			"--prefix and --suffix are parts of a name: they may not hold \"/\" or be "
			"\"..\"");
		return WEIR_USAGE;
	}
	say_error("cannot %s%s%s: %s", what, where ? " in " : "", where ? where : "",
		  strerror(-error));
	return WEIR_STORAGE;
}

static int print_dir(struct temp_run *run)
{
	struct tempfile_tempdir_info info;
	int r = tempfile_tempdir_info(&info);

	if (run->argument)
		return BAD_CALL;
	if (r < 0)
		return fail("find a directory for temporary files", NULL, r);
	printf("%s\n", info.path);
	return 0;
}

/* What nobody learns of must not stay. That it failed is said, and is the exit code, at the end. */
static int tell(const char *path)
{
	return printf("%s\n", path) < 0 || fflush(stdout) < 0 ? -EIO : 0;
}

static int make_file(struct temp_run *run)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	int r;

	if (run->argument)
		return BAD_CALL;
	run->options.deletion = TEMPFILE_DELETE_NEVER;
	r = tempfile_open_with(&file, &run->options);
	if (r < 0)
		return fail("make a temporary file", run->options.dir, r);
	if (tell(tempfile_path(file)) < 0)
		unlink(tempfile_path(file));
	return 0;
}

static int make_directory(struct temp_run *run)
{
	CLEANUP_FREE char *path = NULL;
	int r;

	if (run->argument)
		return BAD_CALL;
	r = tempfile_mkdir_with(&path, &run->options);
	if (r < 0)
		return fail("make a temporary directory", run->options.dir, r);
	if (tell(path) < 0)
		rmdir(path);
	return 0;
}

static int reap(struct temp_run *run)
{
	const char *dir = run->argument ? run->argument : tempfile_gettempdir();
	struct tempfile_reaped reaped = {0};
	int r = dir ? tempfile_reap(dir, &reaped) : -errno;

	if (r < 0)
		return fail("clean up", dir, r);
	printf("%u files and %u directories of processes that are gone were deleted, %u are in use\n",
	       reaped.files, reaped.directories, reaped.alive);
	return 0;
}

static int print_usage(struct temp_run *run)
{
	const char *path = run->argument ? run->argument : tempfile_gettempdir();
	char total[UNITS_TEXT_SIZE], used[UNITS_TEXT_SIZE], left[UNITS_TEXT_SIZE];
	struct tempfile_usage usage = {0};
	int r = path ? tempfile_disk_usage(path, &usage) : -errno;

	if (r < 0)
		return fail("measure the disk", path, r);
	printf("total %" PRIu64 " used %" PRIu64 " free %" PRIu64 " (%s, %s, %s)\n", usage.total,
	       usage.used, usage.free, units_format_size(usage.total, total),
	       units_format_size(usage.used, used), units_format_size(usage.free, left));
	return 0;
}

/* What we are told is for the command; then we end when it does. Ctrl-C reaches it without us, from
 * the terminal. */
static void block_signals(sigset_t *ret_before)
{
	static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGCHLD};
	sigset_t set;

	signal(SIGCHLD, SIG_DFL); /* ignored, it would keep from us how the command ended */
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, ret_before);
}

static int spawn(char **arguments, const sigset_t *mask, pid_t *ret_pid)
{
	posix_spawnattr_t attributes;
	int r;

	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, mask);
	r = -posix_spawnp(ret_pid, arguments[0], NULL, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	return r;
}

/* Waits for the end of a child, and passes on what comes meanwhile. */
static int wait_for(pid_t child)
{
	sigset_t set;
	int number, status = 0;

	sigprocmask(SIG_BLOCK, NULL, &set);
	while (waitpid(child, &status, WNOHANG) == 0)
		if (sigwait(&set, &number) == 0 && (number == SIGTERM || number == SIGHUP))
			kill(child, number);
	return status;
}

/* Runs the command with the path of what was made, and returns its exit code. */
static int run_with(char *const *command, const char *path)
{
	CLEANUP(strings_free) char **arguments = arguments_new(command, path);
	sigset_t before;
	pid_t child;
	int status, r;

	if (!arguments || setenv(PATH_VARIABLE, path, 1) < 0) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	block_signals(&before);
	r = spawn(arguments, &before, &child);
	if (r < 0) {
		say_error("the command \"%s\" cannot be run: %s", command[0], strerror(-r));
		return EXIT_CANNOT_EXECUTE;
	}
	status = wait_for(child);
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The exit code, when the command ended with `code` and `path` could be deleted, or not (−errno).
 * What is left is told in any case. */
static int end(int code, const char *path, int deleted)
{
	if (deleted >= 0)
		return code;
	say_error("cannot delete %s: %s; delete it by hand", path ? path : "what was made",
		  strerror(-deleted));
	return code != 0 ? code : WEIR_STORAGE;
}

static int run_in_directory(struct temp_run *run)
{
	TEMPFILE_DIRECTORY_AUTO struct tempfile_directory *directory = NULL;
	CLEANUP_FREE char *path = NULL;
	int code, r = tempfile_directory_open_with(&directory, &run->options);

	if (r < 0)
		return fail("make a temporary directory", run->options.dir, r);
	path = strdup(tempfile_directory_path(directory));
	code = run_with(run->command, tempfile_directory_path(directory));
	return end(code, path, tempfile_directory_close(&directory));
}

static int run_with_file(struct temp_run *run)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	CLEANUP_FREE char *path = NULL;
	int code, r = tempfile_open_with(&file, &run->options);

	if (r < 0)
		return fail("make a temporary file", run->options.dir, r);
	path = strdup(tempfile_path(file));
	code = run_with(run->command, tempfile_path(file));
	return end(code, path, tempfile_close(&file));
}

static int run_command(struct temp_run *run)
{
	int code;

	if (run->argument || !run->command || !run->command[0])
		return BAD_CALL;
	code = program_check(run->command[0], "");
	if (code != 0)
		return code;
	return run->directory ? run_in_directory(run) : run_with_file(run);
}

static const struct {
	const char *name;
	int (*run)(struct temp_run *run);
	const char *usage;
} actions[] = {
	{"dir", print_dir, "weir temp dir"},
	{"file", make_file, "weir temp file [OPTIONS]"},
	{"directory", make_directory, "weir temp directory [OPTIONS]"},
	{"run", run_command, "weir temp run [OPTIONS] -- COMMAND [ARG...]"},
	{"reap", reap, "weir temp reap [DIR]"},
	{"usage", print_usage, "weir temp usage [PATH]"},
};

static int act(struct temp_run *run, size_t which, bool too_many)
{
	bool misplaced = run->command && actions[which].run != run_command;
	int code = too_many || misplaced ? BAD_CALL : actions[which].run(run);

	if (code != BAD_CALL)
		return code;
	say_error("it is called in this way: %s", actions[which].usage);
	say_hint("see weir temp --help");
	return WEIR_USAGE;
}

static int parse(struct temp_run *run, int argc, char **argv, int *ret_rest)
{
	struct tempfile_options *o = &run->options;
	const struct argument arguments[] = {
		{"dir", ARGUMENT_PATH, &o->dir, "DIR", "make it in DIR"},
		{"prefix", ARGUMENT_TEXT, &o->prefix, "TEXT", "begin its name with TEXT (tmp)"},
		{"suffix", ARGUMENT_TEXT, &o->suffix, "TEXT", "end its name with TEXT"},
		{"large", ARGUMENT_FLAG, &o->large, NULL, "on a disk, even when /tmp is memory"},
		{"directory", ARGUMENT_FLAG, &run->directory, NULL,
		 "run: make a directory, not a file"},
	};
	const struct usage usage = {
		.command = "weir temp",
		.synopsis = "dir | file | directory | run | reap | usage [OPTIONS] [...]",
		.summary =
			"Temporary files for shell scripts.\n\n"
			"  dir                  print the directory for temporary files\n"
			"  file, directory      make one, and print its path; it is yours to delete\n"
			"  run -- COMMAND...    run COMMAND with a file that lives as long as it does: {} in\n"
			"                       COMMAND, and $WEIR_TEMP, are its path\n"
			"  reap [DIR]           delete what killed processes left in DIR\n"
			"  usage [PATH]         print total, used and free bytes of the disk of PATH",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
		.more = "Exit codes: 0 done; 2 usage; 5 storage; run: that of COMMAND, 126 or 127 when it\n"
			"cannot be run, 128+N when signal N killed it.",
	};

	return arguments_parse(&usage, argc, argv, ret_rest);
}

int command_temp(int argc, char **argv)
{
	int separator = arguments_separator(argc, argv), rest, code;
	struct temp_run run = {.options = {.dir = NULL}};

	code = parse(&run, separator, argv, &rest);
	if (code != ARGUMENTS_OK)
		return code;
	run.command = separator < argc ? argv + separator + 1 : NULL;
	run.argument = separator - rest == 2 ? argv[rest + 1] : NULL;
	for (size_t i = 0; rest < separator && i < ARRAY_SIZE(actions); i++)
		if (strcmp(argv[rest], actions[i].name) == 0)
			return act(&run, i, separator - rest > 2);
	say_error("what is to be done? There are dir, file, directory, run, reap and usage");
	say_hint("see weir temp --help");
	return WEIR_USAGE;
}
