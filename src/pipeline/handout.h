/* What whoever processes a segment is told of it. */
#ifndef WEIR_PIPELINE_HANDOUT_H
#define WEIR_PIPELINE_HANDOUT_H

#include "spool/spool.h"

#include <weir.h>

struct handout {
	struct weir_segment segment; /* points into the rest */
	char *data, *index;	     /* paths */
	int data_fd, index_fd;	     /* of files without names; -1: they have some */
};

/* Of a segment that is handed on now. Errors: −ENOMEM, those of open(2); then too there is
 * something to be done with. */
int handout_init(struct handout *handout, const struct spool *spool, const struct segment *segment);

/* Of one that is kept: the same, but files without names are where they can be found for as long as
 * they are kept. Opens nothing. Errors: −ENOMEM. */
int handout_init_kept(struct handout *handout, const struct spool *spool,
		      const struct segment *segment);

void handout_done(struct handout *handout);

static inline void handout_donep(struct handout *handout)
{
	handout_done(handout);
}

#endif
