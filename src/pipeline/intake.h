/* What stands between the sources and the spool: of lanes that bring pieces of messages side by
 * side, it makes one row of messages. */
#ifndef WEIR_PIPELINE_INTAKE_H
#define WEIR_PIPELINE_INTAKE_H

#include "base/macro.h"
#include "base/message.h"
#include "pipeline/filter.h"
#include "spool/loss.h"

#include <stdbool.h>

struct intake;

struct intake_options {
	size_t lanes;
	int dir_fd; /* where messages too large for memory are, until they are whole */

	struct filter *filter; /* what every message goes through; NULL: nothing */

	/* Takes pieces, of which no message is mixed with another. They stay until the next flush.
	 */
	int (*append)(void *data, struct message_batch *batch);
	/* Messages are missing before the next one of this batch's source. */
	int (*gap)(void *data, const struct message_batch *batch, uint64_t missing);
	/* Their memory is about to be used again. */
	int (*flush)(void *data);
	/* Whether no more is wanted for now: there was no room for all of what was appended. */
	bool (*is_full)(void *data);
	void *data;
};

/* Errors: −ENOMEM. */
int intake_new(const struct intake_options *options, struct intake **ret_intake);
void intake_free(struct intake *intake);

/* Takes a batch of any lane. Whole messages go on at once, the others when they are whole. Where
 * there is no room, for a temporary file or for what comes out of one, the rest of the batch waits
 * in here, copied: intake_is_waiting(). Errors: of the first three above, and of making, writing
 * and reading a temporary file. */
int intake_take(struct intake *intake, struct message_batch *batch);

/* Whether something waits for room. No batch may be given then, and intake_resume() tries again. */
bool intake_is_waiting(const struct intake *intake);
int intake_resume(struct intake *intake);

/* Adds the messages that wait, and are whole. */
void intake_count_waiting(const struct intake *intake, struct loss *sum);

/* Forgets what waits. */
void intake_give_up(struct intake *intake);

/* The lane's connection has ended: forgets what had come of a message that is not whole. */
void intake_drop(struct intake *intake, uint16_t lane);

/* How much disk its files take, and how much more is to be left for what waits, which will be in
 * the spool. */
uint64_t intake_held(const struct intake *intake);
uint64_t intake_reserved(const struct intake *intake);

DEFINE_CLEANUP(struct intake *, intake_free);

#endif
