/* Hands sealed segments on, in order, one at a time, and acknowledges them. */
#ifndef WEIR_PIPELINE_DELIVERY_H
#define WEIR_PIPELINE_DELIVERY_H

#include "base/loop.h"
#include "base/macro.h"
#include "spool/spool.h"

#include <weir.h>

struct delivery;

/* Something was acknowledged or kept, so that there may be room, or nothing left to do.
 * `stream_error` (−errno): the stream is gone, and all that follows will be kept. `spool_error`
 * (−errno): a segment could not be acknowledged, or not even be handed on. */
typedef int delivery_progress(void *data, int stream_error, int spool_error);

/* Errors: −ENOMEM. */
int delivery_new(struct loop *loop, struct spool *spool, const struct weir_capture_options *options,
		 delivery_progress *progress, void *data, struct delivery **ret_delivery);
void delivery_free(struct delivery *delivery);

/* Looks for something to do: to be called after something was captured or sealed. An error is that
 * of the first segment that could not be acknowledged or handed on; the rest was tried as well. */
int delivery_kick(struct delivery *delivery);

/* Whether all that was sealed is handed on. */
bool delivery_is_idle(const struct delivery *delivery);

/* Ends a command that runs. */
void delivery_abort(struct delivery *delivery);

DEFINE_CLEANUP(struct delivery *, delivery_free);

#endif
