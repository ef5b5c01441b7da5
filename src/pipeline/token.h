/* A token that a command prints, fetched for each attempt to connect. */
#ifndef WEIR_PIPELINE_TOKEN_H
#define WEIR_PIPELINE_TOKEN_H

#include "process/output.h"
#include "websocket/source.h"

#include <weir.h>

#define TOKEN_WHY_SIZE 256

struct token {
	struct source *source; /* that it is for */
	struct output *output; /* NULL: nothing runs */
};

/* {0} is one that was not fetched yet. Runs the token_command of the options, for no longer than
 * their connect_timeout_ns (0: no limit). The source gets the answer: source_authorize() or
 * source_refuse(). Errors: those of the two. */
int token_fetch(struct token *token, struct loop *loop, const struct weir_source *options,
		struct source *source);

/* Nobody wants it any more: a command that runs is made to end, and the answer comes soon. */
void token_stop(struct token *token);

void token_done(struct token *token);

/* The header line that is made of what a command printed. Or `why` says why it is no token, without
 * any of it, to stand behind "--token-command". −EINVAL, −ENOMEM. */
int token_read(const struct output_result *result, struct secret *ret_line,
	       char why[TOKEN_WHY_SIZE]);

#endif
