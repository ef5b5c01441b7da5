/*
 * Which program it is, how it gets the data, and what is done with one that the system cannot
 * execute by itself: as a shell would do it. The rest is in child.c.
 */
#include "process/command.h"

#include "process/child.h"
#include "process/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD_SIZE 512 /* of a file that may be a script */

struct command {
	struct child child;
	command_ended *ended;
	void *data;
};

/* Takes the path over: to `*ret_path` if it is that of a program. */
static int check_file(char *path, char **ret_path)
{
	CLEANUP_FREE char *file = path;
	struct stat status;

	if (!file)
		return -ENOMEM;
	if (stat(file, &status) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	if (!S_ISREG(status.st_mode) || access(file, X_OK) < 0)
		return -EACCES;
	*ret_path = TAKE_PTR(file);
	return 0;
}

/* Looks into the directory that the first `length` bytes of `path` name: an empty one is the
 * working directory. */
static int find_in(const char *path, size_t length, const char *program, char **ret_path)
{
	char *file;

	if (asprintf(&file, "%.*s/%s", length ? (int)length : 1, length ? path : ".", program) < 0)
		file = NULL;
	return check_file(file, ret_path);
}

/* As execvp(3) looks for it. */
static int find(const char *program, char **ret_path)
{
	const char *path = getenv("PATH"), *end;
	int result = -ENOENT;

	if (!*program)
		return -ENOENT;
	if (strchr(program, '/'))
		return check_file(strdup(program), ret_path);
	if (!path)
		path = "/bin:/usr/bin";
	for (;; path = end + 1) {
		int r;

		end = strchrnul(path, ':');
		r = find_in(path, (size_t)(end - path), program, ret_path);
		if (r == 0 || r == -ENOMEM)
			return r;
		if (r != -ENOENT)
			result = r;
		if (!*end)
			return result;
	}
}

int command_find(const char *program)
{
	CLEANUP_FREE char *path = NULL;

	return find(program, &path);
}

/* A child_ended. */
static int on_end(void *data, int wait_status)
{
	struct command *command = data;

	return command->ended(command->data, wait_status);
}

/* Opens what the command reads: the data, unless it gets the path. */
static int open_input(char *const *argv, const struct weir_segment *segment)
{
	const char *path = arguments_take_path(argv) ? "/dev/null" : segment->data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Whether a file begins with a line of text. An empty one, or what a damaged copy has left, would
 * be a script that does nothing and succeeds. */
static bool is_text(const char *path)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char head[HEAD_SIZE], *newline;
	ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof(head));

	if (n <= 0)
		return false;
	newline = memchr(head, '\n', (size_t)n);
	return !memchr(head, '\0', newline ? (size_t)(newline - head) : (size_t)n);
}

/* An executable text without "#!" is for the shell, as everywhere: execvp(3). */
static int start_by_shell(struct child *child, struct child_options options)
{
	static char shell[] = "/bin/sh";
	CLEANUP_FREE char **with_shell = calloc(strings_count(options.argv) + 2, sizeof(char *));
	CLEANUP_FREE char *path = NULL;
	int r = find(options.argv[0], &path);

	if (!with_shell)
		return -ENOMEM;
	if (r < 0)
		return r;
	if (!is_text(path))
		return -ENOEXEC;
	with_shell[0] = shell;
	with_shell[1] = path;
	for (size_t i = 1; options.argv[i]; i++)
		with_shell[i + 1] = options.argv[i];
	options.argv = with_shell;
	return child_start(child, &options);
}

static int start(struct child *child, char *const *argv, char *const *environment, int input,
		 const struct weir_segment *segment)
{
	const int files[] = {segment->data_fd, segment->index_fd};
	struct child_options options = {
		.argv = argv,
		.environment = environment,
		.input = input,
		.output = -1,
		.passed = files,
		.passed_count = segment->data_fd > STDERR_FILENO ? ARRAY_SIZE(files) : 0,
	};
	int r = child_start(child, &options);

	return r == -ENOEXEC ? start_by_shell(child, options) : r;
}

DEFINE_CLEANUP(struct command *, command_free);

int command_start(struct loop *loop, char *const *argv, const struct weir_segment *segment,
		  command_ended *ended, void *data, struct command **ret_command)
{
	CLEANUP(command_free) struct command *command = calloc(1, sizeof(*command));
	CLEANUP(strings_free) char **arguments = arguments_new(argv, segment->data);
	CLEANUP(strings_free) char **environment = environment_new(segment);
	CLEANUP_FD int input = -1;
	int r;

	if (!command || !arguments || !environment)
		return -ENOMEM;
	*command = (struct command){.ended = ended, .data = data};
	child_init(&command->child, loop, on_end, command);
	input = open_input(argv, segment);
	if (input < 0)
		return input;
	r = start(&command->child, arguments, environment, input, segment);
	if (r < 0)
		return r;
	*ret_command = TAKE_PTR(command);
	return 0;
}

void command_signal(struct command *command, int signal)
{
	if (command)
		child_signal(&command->child, signal);
}

void command_free(struct command *command)
{
	if (!command)
		return;
	child_done(&command->child);
	free(command);
}
