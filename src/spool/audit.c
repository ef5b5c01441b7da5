/*
 * Every segment is read through, with what is damaged in its header let by, and every other name in
 * the directory is told. A segment that is processed or sealed meanwhile is no finding: where names
 * do not fit together, they are looked at once more.
 */
#include "spool/audit.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/admit.h"
#include "spool/format.h"
#include "spool/listing.h"
#include "spool/note.h"
#include "spool/salvage.h"
#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH 256 /* records */
#define LOOKS 3	  /* at names that do not fit together */
#define PROGRESS_BATCHES 64

struct walk {
	const struct audit *audit;
	struct audit_totals *totals;
	uint64_t end_seq; /* of the segments before */
	/* Of the segment that is read. */
	struct salvage_source source;
	char name[FORMAT_NAME_SIZE]; /* of its index */
	uint64_t whole;
	uint64_t run, run_count; /* damaged records in a row */
	bool damaged;
};

static void tell(struct walk *walk, enum audit_kind kind, uint64_t seq, uint64_t count)
{
	const struct audit_finding finding = {
		.kind = kind, .name = walk->name, .seq = seq, .count = count};

	walk->damaged |= audit_is_damage(kind);
	walk->audit->tell(walk->audit->data, &finding);
}

static void tell_error(struct walk *walk, int error)
{
	const struct audit_finding finding = {
		.kind = error == -EPROTO ? AUDIT_VERSION : AUDIT_UNREADABLE,
		.name = walk->name,
		.error = error,
	};

	walk->damaged = true;
	walk->audit->tell(walk->audit->data, &finding);
}

static void end_run(struct walk *walk, bool at_end)
{
	bool lost = at_end && !walk->source.sealed;

	if (walk->run_count > 0 && (walk->whole > 0 || reader_has_header(walk->source.reader)))
		tell(walk, lost ? AUDIT_LOST : AUDIT_RECORDS, walk->run, walk->run_count);
	walk->run_count = 0;
}

static void see(struct walk *walk, const struct record *record)
{
	struct audit_totals *totals = walk->totals;

	end_run(walk, false);
	walk->whole++;
	totals->records++;
	totals->gaps += record->entry.kind == FORMAT_GAP;
	if (!format_is_event(&record->entry)) {
		totals->messages++;
		totals->bytes += record->entry.length;
	}
	totals->read_bytes += FORMAT_ENTRY_SIZE + format_data_size(&record->entry);
	if (record->loose)
		tell(walk, AUDIT_LOOSE, record->seq, 1);
}

static bool goes_on(const struct walk *walk, uint64_t batches)
{
	const struct audit *audit = walk->audit;

	return batches % PROGRESS_BATCHES != 0 || !audit->progress ||
	       audit->progress(audit->data, walk->totals);
}

/* An entry that cannot be read. An error when nothing can. What a sealed reader says of the end is
 * for look_at_end(). */
static int see_damage(struct walk *walk, uint64_t seq, int error)
{
	if (reader_seq(walk->source.reader) == seq)
		return error == -EBADMSG ? 0 : error;
	if (walk->run_count++ == 0)
		walk->run = seq;
	walk->totals->damaged_records++;
	return 0;
}

static int read_records(struct walk *walk)
{
	struct reader *reader = walk->source.reader;
	struct record records[BATCH];

	for (uint64_t batches = 1;; batches++) {
		uint64_t seq = reader_seq(reader);
		ssize_t n = reader_next_batch(reader, records, BATCH);
		int r = n < 0 ? see_damage(walk, seq, (int)n) : 0;

		if (r < 0 || n == 0 || reader_seq(reader) == seq)
			return r;
		for (ssize_t i = 0; i < n; i++)
			see(walk, &records[i]);
		if (!goes_on(walk, batches))
			return -ECANCELED;
	}
}

/* An open segment may have grown since its size was looked at, and what is at its end is not
 * captured yet. */
static void look_at_end(struct walk *walk)
{
	struct salvage_source *source = &walk->source;
	uint64_t index_end = FORMAT_HEADER_SIZE + reader_passed(source->reader) * FORMAT_ENTRY_SIZE;
	bool known = walk->run_count == 0; /* where the data ends */
	uint64_t data_end = reader_data_end(source->reader);
	uint64_t index = source->index_size - MIN(source->index_size, index_end);
	uint64_t data = known ? source->data_size - MIN(source->data_size, data_end) : 0;

	uint64_t passed = reader_passed(source->reader);
	uint64_t records = MAX(reader_records(source->reader), passed);

	end_run(walk, true);
	if (source->sealed && records > passed) {
		tell(walk, AUDIT_MISSING, 0, records - passed);
		walk->totals->damaged_records += records - passed;
		return;
	}
	if (source->sealed && index > 0)
		tell(walk, AUDIT_INDEX_END, 0, index);
	if (source->sealed && data > 0)
		tell(walk, AUDIT_DATA_END, 0, data);
	if (!source->sealed && index + data > 0)
		tell(walk, AUDIT_TORN, 0, index + data);
}

static int read_segment(struct walk *walk)
{
	bool header = reader_has_header(walk->source.reader);
	bool table = reader_has_table(walk->source.reader);
	int r = read_records(walk);

	if (r == -ECANCELED)
		return r;
	if (!header && walk->whole == 0)
		tell(walk, AUDIT_FOREIGN, 0, 0);
	else if (!header)
		tell(walk, AUDIT_HEADER, 0, 0);
	if (!table)
		tell(walk, AUDIT_TABLE, 0, 0);
	if (r < 0)
		tell_error(walk, r);
	else
		look_at_end(walk);
	return 0;
}

static void set_name(struct walk *walk, const struct listing_entry *entry)
{
	format_name(walk->name, entry->first_seq, listing_suffix(entry));
}

static int open_segment(struct walk *walk, const struct listing_entry *entry)
{
	walk->source = (struct salvage_source){
		.first_seq = entry->first_seq,
		.sealed = entry->sealed,
	};
	return salvage_open_segment(&walk->source, walk->audit->dir_fd);
}

/* An index that has no header yet belongs to a segment that is being begun. */
static bool is_being_begun(const struct walk *walk)
{
	return !walk->source.sealed && walk->source.index_size < FORMAT_HEADER_SIZE;
}

static int check_opened(struct walk *walk)
{
	uint64_t seq = walk->source.first_seq;
	int r = 0;

	if (is_being_begun(walk)) {
		tell(walk, AUDIT_LEFTOVER, 0, 0);
		return 0;
	}
	walk->totals->segments++;
	if (seq < walk->end_seq)
		tell(walk, AUDIT_OVERLAP, seq, 0);
	r = read_segment(walk);
	walk->end_seq = MAX(walk->end_seq, reader_seq(walk->source.reader));
	walk->totals->damaged_segments += walk->damaged;
	return r;
}

static void tell_lone_data(struct walk *walk, const struct listing_entry *entry)
{
	format_name(walk->name, entry->first_seq, FORMAT_DATA_SUFFIX);
	tell(walk, AUDIT_NO_INDEX, 0, 0);
}

/* One file of the two is missing, or has nothing in it. */
static void check_lone(struct walk *walk, const struct listing_entry *entry)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;
	bool open = entry->open && !entry->sealed;
	off_t least = entry->data ? 0 : FORMAT_HEADER_SIZE;

	format_name(name, entry->first_seq, entry->data ? FORMAT_DATA_SUFFIX : FORMAT_OPEN_SUFFIX);
	if ((!entry->data && !open) ||
	    (fstatat(walk->audit->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	     status.st_size <= least))
		tell(walk, AUDIT_LEFTOVER, 0, 0);
	else if (entry->data)
		tell_lone_data(walk, entry);
	else
		tell(walk, AUDIT_NO_DATA, 0, 0);
	walk->totals->damaged_segments += walk->damaged;
}

static void check_beside(struct walk *walk, const struct listing_entry *entry)
{
	if (entry->cut && !listing_is_segment(entry))
		format_name(walk->name, entry->first_seq, FORMAT_DATA_CUT_SUFFIX);
	if (entry->cut)
		tell(walk, listing_is_segment(entry) ? AUDIT_CUT : AUDIT_CUT_ALL, 0, 0);
	if (entry->fresh)
		tell(walk, AUDIT_MENDING, 0, 0);
	if (entry->packing)
		tell(walk, AUDIT_LEFTOVER, 0, 0);
	if (entry->sealed && entry->open)
		tell(walk, AUDIT_TWO_INDEXES, 0, 0);
}

/* 0 when it is settled, −EAGAIN when its names do not fit together. */
static int check_names(struct walk *walk, const struct listing_entry *entry)
{
	int r;

	set_name(walk, entry);
	if (!entry->data || !(entry->sealed || entry->open))
		return -EAGAIN;
	r = open_segment(walk, entry);
	if (r >= 0 && is_being_begun(walk) && walk->source.data_size > 0)
		r = -ENOENT; /* no data stands before a header */
	if (r == -ENOENT) {
		salvage_close(&walk->source);
		return -EAGAIN;
	}
	check_beside(walk, entry);
	if (r < 0) {
		tell_error(walk, r);
		walk->totals->damaged_segments++;
		return 0;
	}
	r = check_opened(walk);
	salvage_close(&walk->source);
	return r;
}

static int check_segment(struct walk *walk, struct listing_entry entry)
{
	int r = 0;

	walk->whole = walk->run_count = 0;
	walk->damaged = false;
	if (entry.odd) {
		set_name(walk, &entry);
		tell(walk, AUDIT_ODD, 0, 0);
		walk->totals->damaged_segments++;
		return 0;
	}
	for (int looks = 0; looks < LOOKS; looks++) {
		if (!listing_is_segment(&entry))
			break;
		r = check_names(walk, &entry);
		if (r != -EAGAIN)
			return r;
		r = listing_look_again(walk->audit->dir_fd, &entry);
		if (r < 0)
			return r;
	}
	if (listing_is_segment(&entry))
		check_lone(walk, &entry);
	else
		check_beside(walk, &entry);
	return 0;
}

/* What is no file of a segment. */
static void tell_name(const struct audit *audit, const char *name)
{
	struct audit_finding finding = {.kind = AUDIT_OTHER, .name = name};
	uint64_t seq;
	const char *suffix = format_parse_number(name, &seq);

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strcmp(name, FORMAT_LOCK_NAME) == 0 || (suffix && listing_is_suffix(suffix)))
		return;
	if (suffix && listing_is_aside(suffix))
		finding.kind = AUDIT_ASIDE;
	audit->tell(audit->data, &finding);
}

static int tell_names(const struct audit *audit)
{
	CLEANUP(io_close_names) DIR *names = NULL;
	struct dirent *found;
	int r = io_open_names(audit->dir_fd, &names);

	if (r < 0)
		return r;
	while ((errno = 0, found = readdir(names)))
		tell_name(audit, found->d_name);
	return -errno;
}

/* What a start would find in the lock. An empty one is that of a spool that has just begun. */
static void check_lock(struct walk *walk, const struct listing *listing)
{
	struct note note = {0};
	int r = listing->has_lock ? note_look(walk->audit->dir_fd, &note) : 0;

	snprintf(walk->name, sizeof(walk->name), "%s", FORMAT_LOCK_NAME);
	if (!listing->has_lock && listing->count > 0)
		tell(walk, AUDIT_NO_LOCK, 0, 0);
	else if (r == -EMEDIUMTYPE)
		tell(walk, AUDIT_LOCK_ODD, 0, 0);
	else if (r < 0)
		tell_error(walk, r);
	else if (note.kind == NOTE_FOREIGN || note.kind == NOTE_DAMAGED)
		tell(walk, AUDIT_LOCK, 0, 0);
	else if (note.next_seq > SPOOL_SEQ_MAX)
		tell(walk, AUDIT_LOCK_OVER, 0, 0);
}

int audit_spool(const struct audit *audit, struct audit_totals *ret_totals)
{
	CLEANUP(listing_done) struct listing listing = {0};
	struct audit_totals totals = {0};
	struct walk walk = {.audit = audit, .totals = &totals};
	int r = listing_read(audit->dir_fd, &listing);

	if (r >= 0)
		r = admit_contents(audit->dir_fd, &listing);
	if (r < 0)
		return r;
	check_lock(&walk, &listing);
	for (size_t i = 0; r >= 0 && i < listing.count; i++)
		r = check_segment(&walk, listing.entries[i]);
	salvage_close(&walk.source);
	if (r >= 0 && listing.foreign + listing.asides > 0)
		r = tell_names(audit);
	if (r < 0)
		return r;
	*ret_totals = totals;
	return 0;
}
