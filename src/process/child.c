/*
 * posix_spawn(3) starts the program, a pidfd in the event loop says when it has ended. There is no
 * SIGCHLD handler: that would be the application's.
 */
#include "process/child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

/* As long as nobody has waited for it, its number is no other one's. */
static int on_end(void *data)
{
	struct child *child = data;
	int status;
	pid_t pid;

	if (child->condemned)
		child_signal(child, SIGKILL);
	pid = waitpid(child->pid, &status, WNOHANG);
	if (pid == 0 || (pid < 0 && errno == EINTR))
		return 0;
	if (pid < 0) /* somebody else has waited for it: how it ended is lost */
		status = -errno;
	loop_remove(child->loop, &child->source);
	child->pid = 0;
	return child->ended(child->data, status);
}

void child_init(struct child *child, struct loop *loop, child_ended *ended, void *data)
{
	*child = (struct child){.loop = loop, .ended = ended, .data = data, .pidfd = -1};
	child->source = (struct loop_source){.callback = on_end, .data = child, .fd = -1};
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

static int spawn(const struct child_options *options, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = -posix_spawn_file_actions_init(&actions);

	if (r < 0)
		return r;
	posix_spawnattr_init(&attributes);
	set_attributes(&attributes);
	r = -posix_spawn_file_actions_adddup2(&actions, options->input, STDIN_FILENO);
	if (r == 0 && options->output >= 0)
		r = -posix_spawn_file_actions_adddup2(&actions, options->output, STDOUT_FILENO);
	/* To duplicate a descriptor onto itself keeps it open in the child, and there alone. */
	for (size_t i = 0; r == 0 && i < options->passed_count; i++)
		r = -posix_spawn_file_actions_adddup2(&actions, options->passed[i],
						      options->passed[i]);
	if (r == 0)
		r = -posix_spawnp(ret_pid, options->argv[0], &actions, &attributes, options->argv,
				  options->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int watch(struct child *child)
{
	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd < 0)
		return -errno;
	return loop_add(child->loop, &child->source, child->pidfd, EPOLLIN);
}

int child_start(struct child *child, const struct child_options *options)
{
	pid_t pid = 0;
	int r = spawn(options, &pid);

	if (r < 0)
		return r;
	child->pid = pid;
	r = watch(child);
	if (r < 0) /* nobody would learn how it ends */
		child_kill(child);
	return r;
}

void child_signal(struct child *child, int signal)
{
	if (child->pid > 0)
		kill(-child->pid, signal);
}

void child_terminate(struct child *child)
{
	child->condemned = true;
	child_signal(child, SIGTERM);
}

void child_kill(struct child *child)
{
	if (child->pid <= 0)
		return;
	child_signal(child, SIGKILL);
	loop_remove(child->loop, &child->source);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

void child_done(struct child *child)
{
	loop_remove(child->loop, &child->source);
	close_fdp(&child->pidfd);
	child->pidfd = -1;
}
