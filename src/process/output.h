/* Runs a command, and collects what it prints. */
#ifndef WEIR_PROCESS_OUTPUT_H
#define WEIR_PROCESS_OUTPUT_H

#include "base/loop.h"

#include <stddef.h>

struct output;

/* How it ended. */
struct output_result {
	int error;	  /* 0: by itself; −ETIMEDOUT, −EFBIG (it printed more than `max`),
			     −ECANCELED or −ENOMEM: it was made to */
	int wait_status;  /* of wait(2), or −ECHILD when that was taken by somebody else */
	const char *text; /* what it printed; during the call alone */
	size_t size;
};

/* Called once, last; may free the output. */
typedef int output_ended(void *data, const struct output_result *result);

struct output_options {
	char *const *argv;   /* ends with NULL */
	size_t max;	     /* bytes */
	uint64_t timeout_ns; /* 0: none */
	output_ended *ended;
	void *data;
};

/* Starts the command, with /dev/null as its input, and with our environment and standard error. It
 * has ended when its first process has; what others still print is not waited for. Errors: −ENOMEM,
 * those of pipe2(2), open(2), posix_spawn(3) and pidfd_open(2). */
int output_start(struct loop *loop, const struct output_options *options,
		 struct output **ret_output);

/* Makes it end: SIGTERM, and soon after that SIGKILL to all of its processes. */
void output_stop(struct output *output);

/* Kills it, if it still runs. What was printed is wiped. */
void output_free(struct output *output);

DEFINE_CLEANUP(struct output *, output_free);

#endif
