/* What a client says first on a connection, and waits for: a script, carried through by the loop.
 */
#ifndef WEIR_WEBSOCKET_OPENING_H
#define WEIR_WEBSOCKET_OPENING_H

#include "base/loop.h"
#include "websocket/script.h"
#include "websocket/session.h"

#define OPENING_DONE 1

/* Something was said, or the opening is over, or has failed: told when it is not the answer to one
 * of the functions below. */
typedef int opening_progress(void *data, int result);

struct opening {
	struct loop *loop;
	struct session *session;
	struct script_run *run; /* NULL before it begins, and when it is over */
	struct loop_timer timer;
	bool resting; /* nothing is read, so nothing that is expected can come */
	opening_progress *progress;
	void *data;
};

/* {0} is one for opening_done(). */
void opening_done(struct opening *opening);

/* These three return 0, OPENING_DONE with the last thing to do, or an error: −ETIMEDOUT (what was
 * expected did not come), those of script_run_next() and of session_send(); it is over then. Loop,
 * session, progress and data are to be set before. */
int opening_begin(struct opening *opening, const struct script *script);

/* Tells what was received. */
int opening_see(struct opening *opening, const struct message_batch *batch);

/* Where it is, or why it failed, for people. Good until opening_done(). */
void opening_describe(const struct opening *opening, char text[SCRIPT_TEXT_SIZE]);

#endif
