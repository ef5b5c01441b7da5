/*
 * The walk over the steps. There are two places in it: what is being done, and how far messages
 * have met expectations. While a wait goes on, the second runs ahead of the first, so that what
 * comes meanwhile is not lost; neither passes a send, because what came before it can be no answer
 * to it.
 */
#include "websocket/script.h"

#include "base/units.h"
#include "base/utf8.h"
#include "websocket/script_step.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct script_run {
	const struct script *script;
	size_t at;		/* the step that is being done */
	size_t met;		/* no step before this one needs any more messages */
	int failure;		/* −errno: the run is over */
	uint64_t seen;		/* messages, since the last expectation was met */
	uint64_t abandoned;	/* those of them on which an expression worked too long */
	struct buffer text;	/* the message to send, or the text to expect */
	struct buffer gathered; /* the beginning of a message in pieces */
	struct buffer values[NAMES_MAX];
};

int script_run_new(const struct script *script, struct script_run **ret_run)
{
	struct script_run *run = calloc(1, sizeof(*run));

	if (!run)
		return -ENOMEM;
	run->script = script;
	buffer_init_secret(&run->text, SCRIPT_MESSAGE_MAX);
	buffer_init_secret(&run->gathered, SCRIPT_EXAMINED_MAX);
	for (size_t i = 0; i < NAMES_MAX; i++)
		buffer_init_secret(&run->values[i], SCRIPT_EXAMINED_MAX);
	*ret_run = run;
	return 0;
}

void script_run_free(struct script_run *run)
{
	if (!run)
		return;
	buffer_done(&run->text);
	buffer_done(&run->gathered);
	for (size_t i = 0; i < NAMES_MAX; i++)
		buffer_done(&run->values[i]);
	free(run);
}

/* NULL: behind the last. */
static const struct script_step *step_at(const struct script_run *run, size_t i)
{
	return i < run->script->step_count ? &run->script->steps[i] : NULL;
}

/* The step that is being done: expectations that are met are not done any more. */
static const struct script_step *present_step(struct script_run *run)
{
	const struct script_step *step = step_at(run, run->at);

	while (step && step->kind == STEP_EXPECT && run->at < run->met)
		step = step_at(run, ++run->at);
	return step;
}

static int fail(struct script_run *run, int error)
{
	run->failure = error;
	return error;
}

static int fill(struct script_run *run, const struct script_step *step)
{
	run->text.size = 0;
	return template_fill(&step->text, run->values, &run->text);
}

static int next_send(struct script_run *run, const struct script_step *step,
		     struct script_action *ret_action)
{
	int r = fill(run, step);

	if (r < 0)
		return fail(run, r == -ENOBUFS ? -EMSGSIZE : r);
	if (step->message == MESSAGE_TEXT && !utf8_is_valid(run->text.data, run->text.size))
		return fail(run, -EILSEQ);
	run->at++;
	run->seen = run->abandoned = 0;
	*ret_action = (struct script_action){
		.kind = SCRIPT_SEND,
		.message = step->message,
		.data = run->text.data ? run->text.data : "",
		.size = run->text.size,
	};
	return 0;
}

int script_run_next(struct script_run *run, struct script_action *ret_action)
{
	const struct script_step *step = present_step(run);

	if (run->failure)
		return run->failure;
	if (!step) {
		*ret_action = (struct script_action){.kind = SCRIPT_DONE};
		return 0;
	}
	if (step->kind == STEP_SEND)
		return next_send(run, step, ret_action);
	*ret_action = (struct script_action){
		.kind = step->kind == STEP_EXPECT ? SCRIPT_EXPECT : SCRIPT_WAIT,
		.time_ns = step->time_ns,
	};
	return 0;
}

/* The step for which messages are waited for, if there is one. */
static const struct script_step *expectation(const struct script_run *run, size_t *ret_i)
{
	size_t i = MAX(run->at, run->met);
	const struct script_step *step = step_at(run, i);

	while (step && step->kind == STEP_WAIT)
		step = step_at(run, ++i);
	*ret_i = i;
	return step && step->kind == STEP_EXPECT && !run->failure ? step : NULL;
}

/* Notes the values; a group that took no part in the match has none. */
static int capture(struct script_run *run, const struct pattern *pattern, const char *data)
{
	const struct names *names = &run->script->names;
	int r = 0;

	for (size_t i = 0; i < pattern_group_count(pattern); i++) {
		const char *name = pattern_group_name(pattern, i);

		run->values[names_find(names, name, strlen(name))].size = 0;
	}
	for (size_t i = 0; r == 0 && i < pattern_group_count(pattern); i++) {
		const char *name = pattern_group_name(pattern, i);
		size_t size = 0;
		const char *value = pattern_group(pattern, i, data, &size);

		r = buffer_append(&run->values[names_find(names, name, strlen(name))], value, size);
	}
	return r;
}

/* 1: the message is what the step expects. */
static int compare(struct script_run *run, const struct script_step *step, const char *data,
		   size_t size)
{
	int r;

	if (!step->pattern) {
		r = fill(run, step);
		if (r < 0)
			return r == -ENOBUFS ? 0 : r; /* larger than all that is looked at */
		return run->text.size == 0 || memmem(data, size, run->text.data, run->text.size);
	}
	r = pattern_match(step->pattern, data, size);
	if (r == -E2BIG) {
		run->abandoned++;
		return 0;
	}
	if (r <= 0)
		return r;
	r = capture(run, step->pattern, data);
	return r < 0 ? r : 1;
}

int script_run_see(struct script_run *run, const void *data, size_t size)
{
	size_t i;
	const struct script_step *step = expectation(run, &i);
	int r;

	if (!step)
		return 0;
	run->seen++;
	r = compare(run, step, data ? data : "", MIN(size, SCRIPT_EXAMINED_MAX));
	if (r < 0)
		return fail(run, r);
	if (r == 0)
		return 0;
	run->met = i + 1;
	run->seen = run->abandoned = 0;
	return i == run->at;
}

int script_run_see_piece(struct script_run *run, const struct message_piece *piece)
{
	int r;

	if (run->failure || run->at == run->script->step_count)
		return 0;
	if (piece->first && piece->last)
		return script_run_see(run, piece->data, piece->size);
	if (piece->first)
		run->gathered.size = 0;
	r = buffer_append(&run->gathered, piece->data,
			  MIN(piece->size, SCRIPT_EXAMINED_MAX - run->gathered.size));
	if (r < 0)
		return fail(run, r);
	return piece->last ? script_run_see(run, run->gathered.data, run->gathered.size) : 0;
}

int script_run_elapsed(struct script_run *run)
{
	const struct script_step *step = present_step(run);

	if (run->failure || !step)
		return run->failure;
	if (step->kind == STEP_EXPECT)
		return fail(run, -ETIMEDOUT);
	if (step->kind == STEP_WAIT)
		run->at++;
	return 0;
}

static void describe_timeout(const struct script_run *run, const struct script_step *step,
			     char *text, size_t room)
{
	char time[UNITS_TEXT_SIZE];
	int length = snprintf(text, room, "no message matched %s within %s (%" PRIu64 " came",
			      step->shown, units_format_time(step->time_ns, time), run->seen);

	if (run->abandoned > 0)
		snprintf(text + length, room - (size_t)length,
			 "; on %" PRIu64 " of them the expression took too long)", run->abandoned);
	else
		snprintf(text + length, room - (size_t)length, ")");
}

static void describe_failure(const struct script_run *run, const struct script_step *step,
			     char *text, size_t room)
{
	switch (run->failure) {
	case -ETIMEDOUT:
		describe_timeout(run, step, text, room);
		break;
	case -EMSGSIZE:
		snprintf(text, room,
			 "with the captured values in it, the message is larger than "
			 "1 MiB");
		break;
	case -EILSEQ:
		snprintf(text, room,
			 "with the captured values in it, the message is not UTF-8; "
			 "send-binary could send it");
		break;
	default:
		snprintf(text, room, "%s", strerror(-run->failure));
	}
}

static void describe_present(const struct script_step *step, char *text, size_t room)
{
	char time[UNITS_TEXT_SIZE];

	if (step->kind == STEP_SEND)
		snprintf(text, room, "is to be sent");
	else if (step->kind == STEP_WAIT)
		snprintf(text, room, "waits %s", units_format_time(step->time_ns, time));
	else
		snprintf(text, room, "waits for a message that matches %s", step->shown);
}

void script_run_describe(const struct script_run *run, char text[SCRIPT_TEXT_SIZE])
{
	const struct script_step *step = step_at(run, run->at);
	char what[SCRIPT_TEXT_SIZE - 64];

	if (!step) {
		snprintf(text, SCRIPT_TEXT_SIZE, "all steps are done");
		return;
	}
	if (run->failure)
		describe_failure(run, step, what, sizeof(what));
	else
		describe_present(step, what, sizeof(what));
	if (step->line > 0)
		snprintf(text, SCRIPT_TEXT_SIZE, "step %zu (line %zu): %s", run->at + 1, step->line,
			 what);
	else
		snprintf(text, SCRIPT_TEXT_SIZE, "step %zu (--send): %s", run->at + 1, what);
}
