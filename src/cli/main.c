/* One table of subcommands, and what to say when none of them is meant. */
#include "base/macro.h"
#include "cli/commands.h"
#include "cli/say.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <weir.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"capture", command_capture, "save a WebSocket stream in temporary files and process it"},
	{"cat", command_cat, "print what a spool holds"},
	{"check", command_check, "verify a spool, and say what is damaged"},
	{"feed", command_feed, "serve a stream of made-up trades to try things with"},
	{"ls", command_ls, "show which spools there are, or what is in one"},
	{"reap", command_reap, "delete what killed captures have left and nobody needs"},
	{"salvage", command_salvage, "write a clean spool from a damaged one"},
	{"temp", command_temp, "temporary files for shell scripts"},
};

static int print_help(void)
{
	printf("Usage: weir COMMAND [ARGUMENTS]\n\n"
	       "Captures WebSocket streams into temporary files, hands them to a command, and gives\n"
	       "the disk space back. Nothing captured is lost when something dies.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s%s\n", commands[i].name, commands[i].help);
	printf("\nweir COMMAND --help tells more; weir --version prints the version.\n"
	       "To begin with:\n\n"
	       "  weir capture ws://HOST/PATH -- wc -l {}\n");
	return 0;
}

/* " capture, cat and temp". */
static const char *list_commands(void)
{
	static char text[256];
	size_t size = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands) && size < sizeof(text); i++) {
		const char *before = i == 0 ? " " : i + 1 < ARRAY_SIZE(commands) ? ", " : " and ";

		size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s", before,
					 commands[i].name);
	}
	return text;
}

/* A full disk behind standard output is only noticed when it is flushed. */
static int check_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	say_error("cannot write to standard output");
	return code == 0 ? WEIR_STORAGE : code;
}

/* A descriptor that was closed must not be the next file that we open, or somebody would write to
 * it. What takes its place cannot be used, so that whoever tries is told. */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			return commands[i].run(argc, argv);
	say_error("there is no command \"%s\"", argv[0]);
	say_hint("see weir --help");
	return WEIR_USAGE;
}

/* weir help COMMAND */
static int run_help(char *name)
{
	static char option[] = "--help";
	char *arguments[] = {name, option, NULL};

	return run(2, arguments);
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int main(int argc, char **argv)
{
	fill_standard_descriptors();
	if (argc < 2) {
		say_error("which command? There are%s", list_commands());
		say_hint("see weir --help");
		return WEIR_USAGE;
	}
	if (asks_for_help(argv[1]))
		return check_output(argc > 2 && !asks_for_help(argv[2]) ? run_help(argv[2])
									: print_help());
	if (strcmp(argv[1], "--version") == 0)
		return check_output(printf("weir %s\n", weir_version()) < 0);
	return check_output(run(argc - 1, argv + 1));
}
