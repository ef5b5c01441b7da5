/* What is on the command line of weir capture. */
#ifndef WEIR_CLI_CAPTURE_OPTIONS_H
#define WEIR_CLI_CAPTURE_OPTIONS_H

#include "base/secret.h"
#include "cli/arguments.h"

#include <weir.h>

enum capture_status {
	CAPTURE_STATUS_NONE,
	CAPTURE_STATUS_LIVE,
	CAPTURE_STATUS_SUMMARY,
	CAPTURE_STATUS_JSON,
};

/* Where a secret comes from, and it. */
struct capture_secret {
	const char *file, *env; /* as they were given */
	struct secret secret;
};

struct capture_options {
	struct weir_capture_options capture; /* complete, but for the callbacks */
	struct weir_source source;	     /* what all sources have in common */
	struct weir_source *sources;
	struct argument_list headers, subprotocols, sends;
	struct capture_secret key_password, proxy_user, basic, bearer;
	bool ipv4, ipv6, keep;
	const char *token_command; /* for the shell */
	char *token_arguments[4];
	const char *status_name, *sync_text, *on_full_name, *compress_text;
	enum capture_status status;
};

/* Reads the command line into options that are {0}. Returns ARGUMENTS_OK, or the exit code to end
 * with: help was printed, or a message. */
int capture_options_parse(struct capture_options *options, int argc, char **argv);
void capture_options_done(struct capture_options *options);

static inline void capture_options_donep(struct capture_options *options)
{
	capture_options_done(options);
}

#endif
