/* A program that runs beside us, in a process group of its own: Ctrl-C on the terminal does not
 * reach it. */
#ifndef WEIR_PROCESS_CHILD_H
#define WEIR_PROCESS_CHILD_H

#include "base/loop.h"

#include <sys/types.h>

/* It has ended, with a status as of wait(2), or −ECHILD when that was taken by somebody else.
 * Called once. */
typedef int child_ended(void *data, int wait_status);

struct child {
	struct loop *loop;
	struct loop_source source;
	child_ended *ended;
	void *data;
	pid_t pid; /* 0: it does not run */
	int pidfd;
	bool condemned; /* nothing of it may live longer than its first process */
};

struct child_options {
	char *const *argv; /* ends with NULL, as the environment */
	char *const *environment;
	int input;	   /* its standard input, */
	int output;	   /* and its standard output; -1: ours */
	const int *passed; /* descriptors, 3 or above, that it gets under the same numbers */
	size_t passed_count;
};

void child_init(struct child *child, struct loop *loop, child_ended *ended, void *data);

/* Starts it, with all signals as in any program. Errors: those of posix_spawn(3) and
 * pidfd_open(2). */
int child_start(struct child *child, const struct child_options *options);

/* Sends a signal to all of its processes. */
void child_signal(struct child *child, int signal);

/* Sends SIGTERM; when the first process has ended, what is left of the others is killed. */
void child_terminate(struct child *child);

/* Kills all of its processes, and waits until the first one is gone; `ended` is not called. */
void child_kill(struct child *child);

/* Does not end it, nor wait for it. */
void child_done(struct child *child);

#endif
