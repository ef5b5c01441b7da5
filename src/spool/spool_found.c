/*
 * What an earlier run has left. The start brings it into order and queues it, before anything new.
 * Of a sealed segment it looks at names and sizes alone, so that a start takes no longer for much
 * that waits: its records are checked when it is about to be handed on, and mended then.
 *
 * Numbers must not overlap. A file with a number from the middle of another segment is not of ours,
 * unless it is the other one that says too much: then it is damaged.
 */
#include "spool/spool_state.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/listing.h"
#include "spool/reader.h"
#include "spool/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct found {
	struct spool *spool;
	struct recovery recovery;
	struct segment *last; /* queued */
	bool left;	      /* something is as it was */
};

/* How much disk space a recovery may take, when `held` bytes are held already. */
static uint64_t spare(const struct spool *spool, uint64_t held)
{
	uint64_t max = spool->options.disk_max, min_free = spool->options.min_free;
	uint64_t spare = max > 0 ? max - MIN(max, held) : UINT64_MAX;
	struct statvfs fs;

	if (min_free > 0 && fstatvfs(spool->directory.fd, &fs) == 0) {
		uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;

		spare = MIN(spare, left - MIN(left, min_free));
	}
	return spare;
}

/* The same at the start, when it is not known yet what is held. */
static uint64_t spare_at_start(const struct spool *spool)
{
	struct space space = {0};

	if (spool->options.disk_max > 0 && space_of_all(spool->directory.fd, &space) < 0)
		return 0;
	return spare(spool, space.bytes);
}

static struct recovery recovery(const struct spool *spool)
{
	return (struct recovery){
		.dir_fd = spool->directory.fd,
		.same_boot = spool->directory.same_boot,
		.spare = spare(spool, spool_taken(spool)),
		.tell = spool->options.on_recovered,
		.data = spool->options.data,
	};
}

/* How many numbers a segment may have used. */
static uint64_t entries_in(int dir_fd, const struct listing_entry *entry)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	format_name(name, entry->first_seq,
		    entry->sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX);
	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return 0;
	return (uint64_t)status.st_size / FORMAT_ENTRY_SIZE;
}

/* What cannot be recovered now stays as it is, and its numbers are not given again. */
static void leave(struct found *found, const struct listing_entry *entry, int error)
{
	const struct recover_news news = {
		.kind = RECOVER_LEFT, .first_seq = entry->first_seq, .error = error};
	uint64_t entries = entries_in(found->recovery.dir_fd, entry);

	found->left = true;
	found->spool->next_seq = MAX(found->spool->next_seq, entry->first_seq + entries + 1);
	if (found->recovery.tell)
		found->recovery.tell(found->recovery.data, &news);
}

/* Whether a segment that says that it holds the number of another one does so. */
static bool holds_what_it_says(const struct found *found)
{
	struct segment checked = *found->last;

	return segment_check(found->spool->directory.fd, &checked) >= 0;
}

/* Of an index that has no entries any more, the header tells how many there were. */
static uint64_t count_missing(const struct found *found, uint64_t first_seq)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	int r = reader_open(found->spool->directory.fd, first_seq, true, &reader);

	return r < 0 ? 0 : reader_records(reader);
}

static int enqueue(struct found *found, struct listing_entry *entry)
{
	CLEANUP(segment_free) struct segment *segment = calloc(1, sizeof(*segment));
	struct segment *last = found->last;
	int r;

	if (!segment)
		return -ENOMEM;
	segment->first_seq = entry->first_seq;
	segment->has_cuts = entry->cut;
	segment->packed = entry->packed;
	r = directory_measure(&found->spool->directory, segment);
	if (r < 0)
		return r;
	if (segment->records == 0)
		segment->records = count_missing(found, segment->first_seq);
	if (segment->records == 0)
		return recover_put_aside(&found->recovery, entry);
	if (last && last->first_seq + last->records > segment->first_seq) {
		if (holds_what_it_says(found))
			return recover_put_aside(&found->recovery, entry);
		last->records = segment->first_seq - last->first_seq;
	}
	found->spool->next_seq = MAX(found->spool->next_seq, segment->first_seq + segment->records);
	found->last = segment;
	spool_enqueue(found->spool, TAKE_PTR(segment));
	return 0;
}

static int take(struct found *found, struct listing_entry *entry)
{
	int r;

	if (entry->open)
		found->recovery.spare = spare_at_start(found->spool);
	if (entry->first_seq > SPOOL_SEQ_MAX) /* no name of ours */
		r = recover_put_aside(&found->recovery, entry);
	else
		r = recover_segment(&found->recovery, entry);
	if (r >= 0 && entry->data && entry->sealed)
		r = enqueue(found, entry);
	if (r == -EPROTO || r == -ENOMEM)
		return r;
	if (r < 0)
		leave(found, entry, r);
	return 0;
}

/* With which number the segment begins that follows entry `i`; 0: none does. */
static uint64_t next_segment(const struct listing *listing, size_t i)
{
	while (++i < listing->count)
		if (listing_is_segment(&listing->entries[i]))
			return listing->entries[i].first_seq;
	return 0;
}

int spool_take_over(struct spool *spool)
{
	struct listing *listing = &spool->directory.found;
	struct found found = {.spool = spool, .recovery = recovery(spool)};
	uint64_t noted = spool->directory.noted_seq;
	int r = 0;

	spool->next_seq = noted;
	for (size_t i = 0; r >= 0 && i < listing->count; i++) {
		found.recovery.end_seq = next_segment(listing, i);
		r = take(&found, &listing->entries[i]);
	}
	listing_done(listing);
	/* Who was killed had not noted the segment that was open. It may be acknowledged, and we be
	 * killed, before another one is sealed. */
	if (r >= 0 && spool->next_seq > noted)
		r = directory_note_seq(&spool->directory, spool->next_seq);
	if (r >= 0 && !found.left)
		directory_note_settled(&spool->directory);
	if (io_is_full(r)) /* a full disk does not stop a start */
		r = 0;
	spool_note_peak(spool);
	return r;
}

/* With this number the next segment behind a taken one begins. */
static uint64_t end_seq(const struct spool *spool)
{
	return spool->first ? spool->first->first_seq : spool->next_seq;
}

int spool_check(struct spool *spool, struct segment *segment)
{
	struct recovery mending = recovery(spool);
	int r = segment_check(spool->directory.fd, segment);
	int mended;

	if (r != -EBADMSG && r != -ENOMSG)
		return r;
	spool_drop_view(spool, segment); /* it holds the damage too */
	mended = recover_mend(&mending, segment->first_seq, end_seq(spool));
	if (mended < 0)
		return r;
	if (mended == RECOVER_ASIDE) {
		segment->records = segment->messages = segment->bytes = 0;
		segment->disk_bytes = 0; /* the files stay, and count */
		return 0;
	}
	segment->packed = false;
	/* The damaged files stay, and count. */
	r = directory_measure(&spool->directory, segment);
	if (r < 0)
		return r;
	spool->sealed_bytes += segment->disk_bytes;
	spool_note_peak(spool);
	return segment_check(spool->directory.fd, segment);
}
