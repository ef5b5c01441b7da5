/*
 * A script says what is to be done next; here it is done. An opening that is over costs one
 * comparison for each batch of messages.
 */
#include "websocket/opening.h"

#include "base/clock.h"

#include <errno.h>

void opening_done(struct opening *opening)
{
	if (opening->loop)
		loop_timer_clear(opening->loop, &opening->timer);
	script_run_free(opening->run);
	*opening = (struct opening){0};
}

/* Does one thing after the other, up to one that takes time. */
static int proceed(struct opening *opening)
{
	struct script_action action;
	int r;

	do {
		r = script_run_next(opening->run, &action);
		if (r >= 0 && action.kind == SCRIPT_SEND)
			r = session_send(opening->session, action.message, action.data,
					 action.size);
	} while (r >= 0 && action.kind == SCRIPT_SEND);
	loop_timer_clear(opening->loop, &opening->timer);
	if (r < 0)
		return r;
	if (action.kind == SCRIPT_DONE) {
		script_run_free(TAKE_PTR(opening->run));
		return OPENING_DONE;
	}
	loop_timer_set(opening->loop, &opening->timer, clock_monotonic_ns() + action.time_ns);
	return 0;
}

/* What is expected may be there, unseen. */
static bool is_blind(struct opening *opening)
{
	struct script_action action;

	return opening->resting && script_run_next(opening->run, &action) >= 0 &&
	       action.kind == SCRIPT_EXPECT;
}

static int on_timer(void *data)
{
	struct opening *opening = data;
	int r = is_blind(opening) ? 0 : script_run_elapsed(opening->run);

	return opening->progress(opening->data, r < 0 ? r : proceed(opening));
}

int opening_begin(struct opening *opening, const struct script *script)
{
	int r = script_run_new(script, &opening->run);

	if (r < 0)
		return r;
	opening->timer = (struct loop_timer){.callback = on_timer, .data = opening};
	return proceed(opening);
}

int opening_see(struct opening *opening, const struct message_batch *batch)
{
	for (size_t i = 0; opening->run && i < batch->count; i++) {
		int r = script_run_see_piece(opening->run, &batch->pieces[i]);

		if (r > 0)
			r = proceed(opening);
		if (r != 0)
			return r;
	}
	return 0;
}

void opening_describe(const struct opening *opening, char text[SCRIPT_TEXT_SIZE])
{
	script_run_describe(opening->run, text);
}
