/*
 * The token is on its way from the command's pipe to the request, and is wiped in each place that
 * it leaves. No message has anything of it: also what is no token may be a secret.
 */
#include "pipeline/token.h"

#include "websocket/authorization.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#define LINE_ENDING_MAX 2

/* How it ended, when that was no success. */
static void describe_end(int status, char why[TOKEN_WHY_SIZE])
{
	if (status == -ECHILD)
		snprintf(why, TOKEN_WHY_SIZE, "ended in a way that somebody else was told");
	else if (status < 0)
		snprintf(why, TOKEN_WHY_SIZE, "was lost: %s", strerror(-status));
	else if (WIFSIGNALED(status))
		snprintf(why, TOKEN_WHY_SIZE, "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(why, TOKEN_WHY_SIZE, "ended with exit code %d", WEXITSTATUS(status));
}

static void describe_error(int error, char why[TOKEN_WHY_SIZE])
{
	switch (error) {
	case -ETIMEDOUT:
		snprintf(why, TOKEN_WHY_SIZE,
			 "took too long, and was ended; --connect-timeout gives it longer");
		return;
	case -EFBIG:
		snprintf(why, TOKEN_WHY_SIZE, "printed more than 64 KiB, which is no token");
		return;
	case -ECANCELED:
		snprintf(why, TOKEN_WHY_SIZE, "was not needed any more");
		return;
	default:
		snprintf(why, TOKEN_WHY_SIZE, "did not work: %s", strerror(-error));
	}
}

static void describe_text(int error, char why[TOKEN_WHY_SIZE])
{
	switch (error) {
	case -ENODATA:
		snprintf(why, TOKEN_WHY_SIZE, "printed nothing, or an empty line");
		return;
	case -EBADMSG:
		snprintf(why, TOKEN_WHY_SIZE, "printed more than one line, or a NUL");
		return;
	case -EINVAL:
		snprintf(why, TOKEN_WHY_SIZE,
			 "printed what is no token: it has to be printable ASCII without blanks");
		return;
	default:
		describe_error(error, why);
	}
}

static int read_line(const char *text, size_t size, struct secret *ret_line)
{
	CLEANUP(secret_done) struct secret token = {0};
	int r = size > 0 ? secret_from_bytes(text, size, &token) : -ENODATA;

	return r < 0 ? r : authorization_bearer(&token, ret_line);
}

int token_read(const struct output_result *result, struct secret *ret_line,
	       char why[TOKEN_WHY_SIZE])
{
	int r;

	if (result->error < 0) {
		describe_error(result->error, why);
		return -EINVAL;
	}
	if (result->wait_status != 0) {
		describe_end(result->wait_status, why);
		return -EINVAL;
	}
	r = read_line(result->text, result->size, ret_line);
	if (r == 0 || r == -ENOMEM)
		return r;
	describe_text(r, why);
	return -EINVAL;
}

static int refuse(struct token *token, const char *why)
{
	char sentence[TOKEN_WHY_SIZE + sizeof("--token-command ")];

	snprintf(sentence, sizeof(sentence), "--token-command %s", why);
	return source_refuse(token->source, sentence);
}

/* An output_ended. */
static int on_end(void *data, const struct output_result *result)
{
	struct token *token = data;
	CLEANUP(secret_done) struct secret line = {0};
	char why[TOKEN_WHY_SIZE];
	int r = token_read(result, &line, why);

	output_free(TAKE_PTR(token->output));
	if (r == -ENOMEM)
		return r;
	return r < 0 ? refuse(token, why) : source_authorize(token->source, &line);
}

int token_fetch(struct token *token, struct loop *loop, const struct weir_source *options,
		struct source *source)
{
	struct output_options output = {
		.argv = options->token_command,
		.max = SECRET_MAX + LINE_ENDING_MAX,
		.timeout_ns = options->connect_timeout_ns,
		.ended = on_end,
		.data = token,
	};
	char why[TOKEN_WHY_SIZE];
	int r;

	token_done(token);
	token->source = source;
	r = output_start(loop, &output, &token->output);
	if (r == 0 || r == -ENOMEM)
		return r;
	snprintf(why, sizeof(why), "cannot be run: %s", strerror(-r));
	return refuse(token, why);
}

void token_stop(struct token *token)
{
	if (token->output)
		output_stop(token->output);
}

void token_done(struct token *token)
{
	output_free(TAKE_PTR(token->output));
}
