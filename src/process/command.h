/* Runs the user's command for one segment at a time. */
#ifndef WEIR_PROCESS_COMMAND_H
#define WEIR_PROCESS_COMMAND_H

#include "base/loop.h"

#include <weir.h>

struct command;

/* The command has ended, with a status as of wait(2), or −ECHILD when that was taken by somebody
 * else. Called once; may free it. */
typedef int command_ended(void *data, int wait_status);

/* Whether `program` can be run: 0, −ENOENT (there is no such file, in $PATH if it has no slash) or
 * −EACCES. */
int command_find(const char *program);

/* Starts `argv` for a segment, see weir_capture_options.command. It gets a process group of its
 * own, so that Ctrl-C on the terminal does not reach it. Errors: −ENOMEM, those of posix_spawn(3),
 * pidfd_open(2) and of opening the data. */
int command_start(struct loop *loop, char *const *argv, const struct weir_segment *segment,
		  command_ended *ended, void *data, struct command **ret_command);

/* Sends a signal to all of its processes. */
void command_signal(struct command *command, int signal);

/* Does not wait for it. */
void command_free(struct command *command);

#endif
