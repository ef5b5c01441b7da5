/*
 * A cursor walks along a listing, and opens one segment after the other. Its position is a number:
 * whatever is opened is read from there, so that nothing comes twice, however files are renamed,
 * mended or deleted meanwhile.
 *
 * An open segment that has no further record is either being written, or it was sealed or deleted
 * since it was opened. Which one, the directory says: while the file under the name is the one that
 * is being read, and no segment begins with the next number, more may come. Otherwise it is opened
 * again under its new name, since what was written before the seal must be read too; when it is
 * gone, what is held open of it is read to its end.
 *
 * A listing that is read while files are renamed may miss some. So what follows on the last record,
 * whose name is known, is looked for by it before anything is said to be missing.
 */
#include "spool/cursor.h"

#include "spool/admit.h"
#include "spool/listing.h"
#include "spool/seek.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct cursor {
	int dir_fd;
	bool live;
	struct listing listing;
	size_t at;	 /* in the listing: the segment that is opened next */
	uint64_t passed; /* the last segment that was opened; nothing up to it is opened again */
	bool has_passed;
	uint64_t seq;		    /* of the next record */
	bool continuing;	    /* there was one before it */
	uint64_t skipped, skipping; /* before the last batch, and before the next one */
	struct reader *reader;	    /* NULL: between two segments */
	uint64_t first_seq;	    /* of the segment that is being read */
	bool sealed, gone;
	bool blind; /* the directory cannot be listed */
	struct cursor_fault fault;
};

int cursor_open(int dir_fd, bool live, struct cursor **ret_cursor)
{
	CLEANUP(cursor_free) struct cursor *cursor = calloc(1, sizeof(*cursor));
	int r;

	if (!cursor)
		return -ENOMEM;
	cursor->dir_fd = dir_fd;
	cursor->live = live;
	r = listing_read(dir_fd, &cursor->listing);
	if (r < 0)
		return r;
	*ret_cursor = TAKE_PTR(cursor);
	return 0;
}

void cursor_free(struct cursor *cursor)
{
	if (!cursor)
		return;
	reader_free(cursor->reader);
	listing_done(&cursor->listing);
	free(cursor);
}

bool cursor_is_spool(const struct cursor *cursor)
{
	return admit_contents(cursor->dir_fd, &cursor->listing) >= 0;
}

static void close_segment(struct cursor *cursor)
{
	reader_free(TAKE_PTR(cursor->reader));
}

static int fail(struct cursor *cursor, int error)
{
	cursor->fault = (struct cursor_fault){
		.first_seq = cursor->first_seq,
		.suffix = cursor->sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX,
		.seq = cursor->seq,
		.last_seq = cursor->seq,
	};
	close_segment(cursor);
	return error;
}

/* How many segments of the listing begin before `seq`, or at it. */
static size_t count_up_to(const struct listing *listing, uint64_t seq)
{
	size_t low = 0, high = listing->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (listing->entries[middle].first_seq <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Finds the segment that is to be opened next. */
static void place(struct cursor *cursor)
{
	if (cursor->has_passed)
		cursor->at = count_up_to(&cursor->listing, cursor->passed);
	else
		cursor->at = count_up_to(&cursor->listing, cursor->seq);
	if (!cursor->has_passed && cursor->at > 0)
		cursor->at--; /* the one that holds it */
}

/* Looks at the directory again. */
static int refresh(struct cursor *cursor)
{
	struct listing listing;
	int r = listing_read(cursor->dir_fd, &listing);

	if (r < 0)
		return r;
	listing_done(&cursor->listing);
	cursor->listing = listing;
	place(cursor);
	return 0;
}

static bool is_header_missing(const struct cursor *cursor, uint64_t first_seq)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	format_name(name, first_seq, FORMAT_OPEN_SUFFIX);
	return fstatat(cursor->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       status.st_size < FORMAT_HEADER_SIZE;
}

/* −ENODATA: there is no header yet. One that is there may have been written in this moment, so it
 * is damaged when it is so twice. */
static int open_unsealed(const struct cursor *cursor, uint64_t first_seq,
			 struct reader **ret_reader)
{
	int r = reader_open(cursor->dir_fd, first_seq, false, ret_reader);

	if (r != -EBADMSG)
		return r;
	if (is_header_missing(cursor, first_seq))
		return -ENODATA;
	return reader_open(cursor->dir_fd, first_seq, false, ret_reader);
}

/* Opens a segment, which may be sealed by its owner in the same moment. */
static int open_reader(const struct cursor *cursor, const struct listing_entry *entry,
		       bool *ret_sealed, struct reader **ret_reader)
{
	int r = -ENOENT;

	*ret_sealed = false;
	if (!entry->sealed)
		r = open_unsealed(cursor, entry->first_seq, ret_reader);
	if (r != -ENOENT)
		return r;
	*ret_sealed = true;
	return reader_open(cursor->dir_fd, entry->first_seq, true, ret_reader);
}

/* Opens the segment that begins with the next number. −ENOENT: it is not there; or it is being
 * begun, or damaged, which is for the listing to tell. */
static int open_following(struct cursor *cursor)
{
	const struct listing_entry entry = {.first_seq = cursor->seq};
	bool known = cursor->has_passed && cursor->passed >= cursor->seq;

	if (!cursor->live || !cursor->continuing || known ||
	    open_reader(cursor, &entry, &cursor->sealed, &cursor->reader) < 0)
		return -ENOENT;
	cursor->first_seq = cursor->passed = entry.first_seq;
	cursor->has_passed = true;
	cursor->gone = false;
	place(cursor);
	return 0;
}

/* A segment that is being begun: its index is not there yet, or has no header. */
static bool is_being_begun(const struct cursor *cursor, const struct listing_entry *entry,
			   int error)
{
	bool last = cursor->at + 1 == cursor->listing.count;

	return cursor->live && last && !entry->sealed && (error == -ENODATA || error == -ENOENT);
}

/* Opens the segment that the listing says is next. 1; 0: not yet; −ENOENT: it is not there any
 * more. */
static int open_listed(struct cursor *cursor)
{
	const struct listing_entry *entry = &cursor->listing.entries[cursor->at];
	int r;

	if (entry->first_seq > cursor->seq && open_following(cursor) >= 0)
		return 1;
	r = open_reader(cursor, entry, &cursor->sealed, &cursor->reader);
	if (r < 0 && is_being_begun(cursor, entry, r))
		return 0;
	cursor->first_seq = entry->first_seq;
	cursor->passed = entry->first_seq;
	cursor->has_passed = true;
	cursor->at++;
	cursor->gone = false;
	if (r == -ENODATA)
		return -ENOENT; /* its writer died before the header was whole */
	if (r < 0)
		return r;
	if (entry->first_seq > cursor->seq) {
		cursor->skipping += cursor->continuing ? entry->first_seq - cursor->seq : 0;
		cursor->seq = entry->first_seq;
	}
	r = reader_seek(cursor->reader, cursor->seq);
	return r < 0 ? r : 1;
}

/* The directory cannot be listed: told once, since it will be tried again and again. */
static int fail_to_look(struct cursor *cursor, int error)
{
	if (cursor->blind)
		return 0;
	cursor->blind = true;
	fail(cursor, error);
	cursor->fault.of_directory = true;
	return error;
}

/* 1: a segment is open. 0: there is none, or not yet. */
static int open_next(struct cursor *cursor)
{
	bool fresh = !cursor->live;
	int r;

	for (;;) {
		while (cursor->at < cursor->listing.count) {
			size_t at = cursor->at;

			r = open_listed(cursor);
			if (r > 0)
				return r;
			if (r < 0 && r != -ENOENT)
				return fail(cursor, r);
			if (cursor->at == at)
				break; /* it is being begun */
		}
		if (fresh)
			return open_following(cursor) >= 0;
		r = refresh(cursor);
		if (r < 0)
			return fail_to_look(cursor, r);
		cursor->blind = false;
		fresh = true;
	}
}

/* Whether the open index is still there under its name. */
static bool is_still_open(const struct cursor *cursor)
{
	char name[FORMAT_NAME_SIZE];
	struct stat named, held;

	format_name(name, cursor->first_seq, FORMAT_OPEN_SUFFIX);
	return fstatat(cursor->dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(reader_index_fd(cursor->reader), &held) == 0 && named.st_ino == held.st_ino &&
	       named.st_dev == held.st_dev;
}

/* Whether a segment begins with the next number: then the one before it is complete, whatever name
 * its index has, and all of it was read. */
static bool has_successor(const struct cursor *cursor)
{
	char open[FORMAT_NAME_SIZE], sealed[FORMAT_NAME_SIZE];

	format_name(open, cursor->seq, FORMAT_OPEN_SUFFIX);
	format_name(sealed, cursor->seq, FORMAT_INDEX_SUFFIX);
	return cursor->seq > cursor->first_seq &&
	       (faccessat(cursor->dir_fd, open, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
		faccessat(cursor->dir_fd, sealed, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

/* An open segment is not any more: it goes on in the sealed one, or it was deleted. */
static int follow_to_sealed(struct cursor *cursor)
{
	struct listing_entry entry = {.first_seq = cursor->first_seq, .sealed = true};
	struct reader *reader = NULL;
	int r = open_reader(cursor, &entry, &cursor->sealed, &reader);

	if (r == -ENOENT) {
		cursor->gone = true;
		cursor->sealed = false;
		return 0;
	}
	if (r < 0)
		return r;
	close_segment(cursor);
	cursor->reader = reader;
	return reader_seek(reader, cursor->seq);
}

/* An open segment has no further record, or one that is not whole yet. 0: wait; 1: go on; else an
 * error. */
static int reach_open_end(struct cursor *cursor)
{
	int r;

	if (cursor->gone || !cursor->live || has_successor(cursor)) {
		close_segment(cursor);
		return 1;
	}
	r = reader_seek(cursor->reader, cursor->seq);
	if (r < 0 || is_still_open(cursor))
		return r;
	r = follow_to_sealed(cursor);
	return r < 0 ? r : 1;
}

/* A record, or the end of a segment, cannot be read. */
static int fail_at_record(struct cursor *cursor, int error)
{
	uint64_t next = reader_seq(cursor->reader);

	cursor->continuing = true;
	if (next == cursor->seq) {
		fail(cursor, error);
		cursor->fault.at_end = error == -EBADMSG;
		return error;
	}
	cursor->fault = (struct cursor_fault){
		.first_seq = cursor->first_seq,
		.suffix = FORMAT_INDEX_SUFFIX,
		.of_record = true,
		.seq = cursor->seq,
		.last_seq = cursor->seq,
	};
	cursor->seq = next;
	return error;
}

static void note_batch(struct cursor *cursor, const struct record *records, size_t count)
{
	cursor->skipped = cursor->skipping;
	cursor->skipping = 0;
	cursor->seq = records[count - 1].seq + 1;
	cursor->continuing = true;
}

/* >0: a batch; 0: there is none yet; −EAGAIN: look for the next segment. */
static ssize_t read_on(struct cursor *cursor, struct record *records, size_t max)
{
	ssize_t n = reader_next_batch(cursor->reader, records, max);
	int r;

	if (n > 0) {
		note_batch(cursor, records, (size_t)n);
		return n;
	}
	if (!cursor->sealed && (n == 0 || n == -EBADMSG)) {
		r = reach_open_end(cursor);
		return r < 0 ? fail(cursor, r) : r == 0 ? 0 : -EAGAIN;
	}
	if (n < 0)
		return fail_at_record(cursor, (int)n);
	close_segment(cursor);
	return -EAGAIN;
}

ssize_t cursor_next_batch(struct cursor *cursor, struct record *records, size_t max)
{
	ssize_t n = -EAGAIN;

	while (n == -EAGAIN) {
		int r = cursor->reader ? 1 : open_next(cursor);

		if (r <= 0)
			return r;
		n = read_on(cursor, records, max);
	}
	return n;
}

uint64_t cursor_skipped(const struct cursor *cursor)
{
	return cursor->skipped;
}

const struct cursor_fault *cursor_fault(const struct cursor *cursor)
{
	return &cursor->fault;
}

void cursor_seek(struct cursor *cursor, uint64_t seq)
{
	close_segment(cursor);
	cursor->has_passed = cursor->continuing = false;
	cursor->skipped = cursor->skipping = 0;
	cursor->seq = seq;
	place(cursor);
}

int cursor_seek_time(struct cursor *cursor, uint64_t time_ns)
{
	uint64_t seq;
	int r = cursor->live ? refresh(cursor) : 0;

	if (r >= 0)
		r = seek_time(cursor->dir_fd, &cursor->listing, time_ns, &seq);
	if (r >= 0)
		cursor_seek(cursor, seq);
	return r;
}

uint64_t cursor_seq(const struct cursor *cursor)
{
	return cursor->seq;
}

struct reader *cursor_reader(const struct cursor *cursor)
{
	return cursor->reader;
}
