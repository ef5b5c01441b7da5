/*
 * What a crash can leave behind. A segment that was still open: it is cut behind its last whole
 * record and sealed. An index without data: the process died between the two deletions of an
 * acknowledgement, so the second is done now. Data without an index: the process died before it
 * wrote the first entry, or somebody took the index away. A clean copy of a damaged segment: it is
 * finished, or deleted.
 *
 * Whatever cannot be made sense of is put aside under another name, not deleted, and the rest goes
 * on: one bad file never stops a start. Only what is empty is deleted. What is no regular file is
 * renamed at most, never opened: it could be a link to anything.
 */
#include "spool/recover.h"

#include "base/macro.h"
#include "spool/aside.h"
#include "spool/format.h"
#include "spool/mend.h"
#include "spool/pack.h"
#include "spool/segment.h"
#include "spool/tail.h"

#include <errno.h>

/* In the order in which they are put aside: an index that is left alone is deleted. */
static const char *const own_suffixes[] = {
	FORMAT_INDEX_SUFFIX,	 FORMAT_OPEN_SUFFIX,	  FORMAT_DATA_SUFFIX,
	FORMAT_DATA_CUT_SUFFIX,	 FORMAT_INDEX_CUT_SUFFIX, FORMAT_DATA_NEW_SUFFIX,
	FORMAT_INDEX_NEW_SUFFIX, FORMAT_DRAFT_SUFFIX,	  FORMAT_PACKED_SUFFIX,
	FORMAT_PACKING_SUFFIX,
};

static void tell(const struct recovery *recovery, enum recover_kind kind, uint64_t first_seq,
		 uint64_t records)
{
	const struct recover_news news = {.kind = kind, .first_seq = first_seq, .records = records};

	if (recovery->tell)
		recovery->tell(recovery->data, &news);
}

int recover_put_aside(const struct recovery *recovery, struct listing_entry *entry)
{
	uint64_t seq = entry->first_seq;
	bool put = false;

	for (size_t i = 0; i < ARRAY_SIZE(own_suffixes); i++) {
		int r = segment_holds(recovery->dir_fd, seq, own_suffixes[i]);

		put |= r > 0;
		if (r > 0)
			r = aside_put(recovery->dir_fd, seq, own_suffixes[i]);
		else if (r == 0)
			r = segment_delete_file(recovery->dir_fd, seq, own_suffixes[i]);
		if (r < 0)
			return r;
	}
	if (put)
		tell(recovery, RECOVER_ASIDE, seq, 0);
	*entry = (struct listing_entry){.first_seq = seq};
	return 0;
}

int recover_mend(const struct recovery *recovery, uint64_t first_seq, uint64_t end_seq)
{
	struct salvage_report report;
	struct recover_news news = {.kind = RECOVER_LEFT, .first_seq = first_seq};
	const struct mend_options options = {
		.dir_fd = recovery->dir_fd,
		.first_seq = first_seq,
		.end_seq = end_seq,
		.spare = recovery->spare,
	};

	news.error = mend_segment(&options, &report);
	if (news.error == -EBADMSG) {
		struct listing_entry entry = {.first_seq = first_seq};
		int r = recover_put_aside(recovery, &entry);

		return r < 0 ? r : RECOVER_ASIDE;
	}
	if (news.error >= 0) {
		news.kind = RECOVER_MENDED;
		news.records = report.damaged + report.missing;
	}
	if (recovery->tell)
		recovery->tell(recovery->data, &news);
	return news.error;
}

static int seal(int dir_fd, struct listing_entry *entry)
{
	int r = segment_rename(dir_fd, entry->first_seq);

	if (r < 0)
		return r;
	entry->open = false;
	entry->sealed = true;
	return 0;
}

/* Damage before the end is mended when the segment is sealed, so that a start which dies, or has no
 * space for it, leaves no more than a sealed segment that is damaged. */
static int end_segment(const struct recovery *recovery, struct listing_entry *entry,
		       const struct tail *tail)
{
	uint64_t seq = entry->first_seq;
	const struct tail_options options = {
		.dir_fd = recovery->dir_fd,
		.first_seq = seq,
		.end_seq = recovery->end_seq,
		.spare = recovery->spare,
	};
	int r = 0;

	/* A segment of which nothing is whole is not cut: its files stay, as asides. */
	if (tail->whole > 0)
		r = tail_cut(&options, tail);
	if (r >= 0)
		r = seal(recovery->dir_fd, entry);
	if (r < 0)
		return r;
	r = listing_look_again(recovery->dir_fd, entry);
	if (r < 0)
		return r;
	if (tail->whole > 0 && tail->lost > 0)
		tell(recovery, RECOVER_LOST, seq, tail->lost);
	if (tail->whole == 0 || tail->damaged || !tail->header)
		recover_mend(recovery, seq, 0);
	return 0;
}

/* Nothing was captured yet, as far as anybody can know: a death leaves data that no entry speaks
 * of, and so does a loss of power that has taken the entries. For the first alone nothing is kept.
 * 1: it is kept.
 */
static int drop_begun(const struct recovery *recovery, struct listing_entry *entry,
		      const struct tail *tail)
{
	const struct tail_options options = {
		.dir_fd = recovery->dir_fd,
		.first_seq = entry->first_seq,
		.spare = recovery->spare,
	};
	struct recover_news news = {
		.kind = RECOVER_CUT, .first_seq = entry->first_seq, .bytes = tail->data_size};
	int r;

	if (recovery->same_boot)
		r = segment_delete(recovery->dir_fd, entry->first_seq, FORMAT_OPEN_SUFFIX);
	else
		r = tail_cut_all(&options, tail, &news.kept);
	if (r < 0)
		return r;
	entry->data = entry->open = false;
	entry->cut |= news.kept > 0;
	if (news.bytes > 0 && !recovery->same_boot && recovery->tell)
		recovery->tell(recovery->data, &news);
	return news.kept > 0;
}

static int recover_open(const struct recovery *recovery, struct listing_entry *entry)
{
	uint64_t seq = entry->first_seq;
	struct tail tail;
	int r = tail_find(recovery->dir_fd, seq, &tail);

	if (r < 0)
		return r;
	if (tail.entries == 0 && tail.lost == 0 && tail.header)
		return drop_begun(recovery, entry, &tail);
	if (tail.whole == 0 && !tail.header)
		return recover_put_aside(recovery, entry);
	return end_segment(recovery, entry, &tail);
}

/* An index without data. Of a sealed segment, that is half an acknowledgement; of an open one, it
 * is one that was not begun, unless there is an entry. */
static int recover_index(const struct recovery *recovery, struct listing_entry *entry)
{
	uint64_t seq = entry->first_seq;
	int r = 0;

	if (entry->open)
		r = segment_holds(recovery->dir_fd, seq, FORMAT_OPEN_SUFFIX);
	if (r != 0)
		return r < 0 ? r : recover_put_aside(recovery, entry);
	r = segment_delete_file(recovery->dir_fd, seq,
				entry->open ? FORMAT_OPEN_SUFFIX : FORMAT_INDEX_SUFFIX);
	entry->sealed = entry->open = false;
	return r;
}

/* What was cut off a segment goes with it. */
static int delete_cuts(const struct recovery *recovery, struct listing_entry *entry)
{
	entry->cut = false;
	return segment_delete_cuts(recovery->dir_fd, entry->first_seq);
}

int recover_segment(const struct recovery *recovery, struct listing_entry *entry)
{
	int r = 0;

	if (entry->odd)
		return recover_put_aside(recovery, entry);
	if (entry->fresh) {
		r = mend_finish(recovery->dir_fd, entry->first_seq);
		if (r >= 0)
			r = listing_look_again(recovery->dir_fd, entry);
		entry->fresh = r < 0;
	}
	if (r >= 0 && (entry->packed || entry->packing))
		r = pack_recover(recovery->dir_fd, entry);
	if (r >= 0 && entry->sealed && entry->open) { /* no death leaves both: one is foreign */
		r = aside_put(recovery->dir_fd, entry->first_seq, FORMAT_OPEN_SUFFIX);
		tell(recovery, RECOVER_ASIDE, entry->first_seq, 0);
		entry->open = false;
	}
	if (r >= 0 && entry->data && entry->open)
		r = recover_open(recovery, entry);
	else if (r >= 0 && entry->data && !entry->sealed)
		r = recover_put_aside(recovery, entry);
	else if (r >= 0 && !entry->data && (entry->sealed || entry->open))
		r = recover_index(recovery, entry);
	if (r == 0 && entry->cut && !listing_is_segment(entry))
		r = delete_cuts(recovery, entry);
	return MIN(r, 0);
}
