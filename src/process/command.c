/*
 * posix_spawn(3) starts the command, a pidfd in the event loop says when it has ended. There is no
 * SIGCHLD handler: that would be the application's.
 */
#include "process/command.h"

#include "process/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HEAD_SIZE 512 /* of a file that may be a script */

struct command {
	struct loop *loop;
	struct loop_source source;
	command_ended *ended;
	void *data;
	pid_t pid;
	int pidfd;
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

int command_check(const char *program)
{
	CLEANUP_FREE char *path = NULL;

	return find(program, &path);
}

static int on_end(void *data)
{
	struct command *command = data;
	int status;
	pid_t pid = waitpid(command->pid, &status, WNOHANG);

	if (pid == 0 || (pid < 0 && errno == EINTR))
		return 0;
	if (pid < 0) /* somebody else has waited for it: how it ended is lost */
		status = -errno;
	loop_remove(command->loop, &command->source);
	command->pid = 0;
	return command->ended(command->data, status);
}

/* Opens what the command reads: the data, unless it gets the path. */
static int open_input(char *const *argv, const struct weir_segment *segment)
{
	const char *path = arguments_take_path(argv) ? "/dev/null" : segment->data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, ours;

	sigemptyset(&none);
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGPIPE);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
						     POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &ours);
	posix_spawnattr_setpgroup(attributes, 0);
}

struct spawning {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char *const *environment;
};

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
static int spawn_by_shell(const struct spawning *how, char *const *argv, pid_t *ret_pid)
{
	static char shell[] = "/bin/sh";
	CLEANUP_FREE char **with_shell = calloc(strings_count(argv) + 2, sizeof(char *));
	CLEANUP_FREE char *path = NULL;
	int r = find(argv[0], &path);

	if (!with_shell)
		return -ENOMEM;
	if (r < 0)
		return r;
	if (!is_text(path))
		return -ENOEXEC;
	with_shell[0] = shell;
	with_shell[1] = path;
	for (size_t i = 1; argv[i]; i++)
		with_shell[i + 1] = argv[i];
	return -posix_spawn(ret_pid, shell, &how->actions, &how->attributes, with_shell,
			    how->environment);
}

static int spawn(char *const *argv, char *const *environment, int input, pid_t *ret_pid)
{
	struct spawning how = {.environment = environment};
	int r = -posix_spawn_file_actions_init(&how.actions);

	if (r < 0)
		return r;
	posix_spawnattr_init(&how.attributes);
	set_attributes(&how.attributes);
	r = -posix_spawn_file_actions_adddup2(&how.actions, input, STDIN_FILENO);
	if (r == 0)
		r = -posix_spawnp(ret_pid, argv[0], &how.actions, &how.attributes, argv,
				  environment);
	if (r == -ENOEXEC)
		r = spawn_by_shell(&how, argv, ret_pid);
	posix_spawnattr_destroy(&how.attributes);
	posix_spawn_file_actions_destroy(&how.actions);
	return r;
}

static int watch(struct command *command)
{
	command->pidfd = pidfd_open(command->pid, 0);
	if (command->pidfd < 0)
		return -errno;
	return loop_add(command->loop, &command->source, command->pidfd, EPOLLIN);
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
	*command = (struct command){.loop = loop, .ended = ended, .data = data, .pidfd = -1};
	command->source = (struct loop_source){.callback = on_end, .data = command, .fd = -1};
	input = open_input(argv, segment);
	if (input < 0)
		return input;
	r = spawn(arguments, environment, input, &command->pid);
	if (r < 0)
		return r;
	r = watch(command);
	if (r < 0) { /* nobody would learn how it ends */
		kill(-command->pid, SIGKILL);
		waitpid(command->pid, NULL, 0);
		return r;
	}
	*ret_command = TAKE_PTR(command);
	return 0;
}

void command_signal(struct command *command, int signal)
{
	if (command && command->pid > 0)
		kill(-command->pid, signal);
}

void command_free(struct command *command)
{
	if (!command)
		return;
	loop_remove(command->loop, &command->source);
	close_fdp(&command->pidfd);
	free(command);
}
