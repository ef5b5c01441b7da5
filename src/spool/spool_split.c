/*
 * A message that is open keeps its segment from being sealed, and so what is before it in there
 * from making room. It is taken out: a few MiB of it into memory, the rest into a segment of its
 * own. That needs no more room than a step of it, which the part in memory has made; still, where
 * somebody else takes that, the message is in both files for a while.
 */
#include "spool/spool_state.h"

#include "base/clock.h"

#define SPLIT_MAX MIB(4) /* of a message that is taken back into memory */
#define MOVE_MAX MIB(64) /* at a time, since nothing else is done meanwhile */

/* All of it is in its own segment, and the one before it can be sealed. */
static int take_its_place(struct spool *spool)
{
	int r = spool_seal_committed(spool);

	if (spool->writer) /* it was not, and that is tried again */
		return spool_note_full(spool, r);
	spool->writer = TAKE_PTR(spool->own);
	spool->open_since_ns = clock_monotonic_ns();
	return r;
}

int spool_move_message(struct spool *spool)
{
	struct segment open = writer_committed(spool->writer);
	int r = 0;

	if (!spool->own)
		r = spool_make_writer(spool, open.first_seq + open.records, &spool->own);
	if (r >= 0)
		r = writer_move_message(spool->writer, spool->own, MOVE_MAX);
	spool->full = SPOOL_SPLIT;
	return r > 0 ? take_its_place(spool) : spool_note_full(spool, r);
}

int spool_split(struct spool *spool)
{
	int r = spool_commit_open(spool);

	if (r < 0 || !spool->writer || spool->own)
		return r;
	r = writer_pull(spool->writer, SPLIT_MAX);
	if (r <= 0)
		return r;
	spool->full = spool->full < 0 ? spool->full : SPOOL_SPLIT;
	r = writer_hand_over(spool->writer, &spool->waiting);
	if (r < 0 || !writer_in_message(spool->writer) || writer_is_pending(spool->writer))
		return r;
	return spool_move_message(spool);
}

/* Who reads along may have seen that it begins, and takes the one before for complete. So it is
 * begun, as an empty one, if it can be. */
int spool_stop_moving(struct spool *spool)
{
	int r = writer_drop_open_message(spool->own);

	if (r >= 0)
		r = spool_move_message(spool);
	if (!spool->own)
		return r;
	spool_note_unmade(spool, writer_committed(spool->own).first_seq);
	writer_delete(TAKE_PTR(spool->own));
	return 0;
}
