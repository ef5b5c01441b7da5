/*
 * Which segment comes next, and its files under the names of this moment.
 *
 * A listing that is read while files are renamed may miss some. So what follows on the last record,
 * whose name is known, is looked for by it before anything is said to be missing.
 */
#include "spool/cursor_state.h"

#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define LOOKS 3 /* at a segment whose files do not fit together */
#define LOOK_WAIT_NS (2 * 1000 * 1000)

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

void cursor_place(struct cursor *cursor)
{
	if (cursor->has_passed)
		cursor->at = count_up_to(&cursor->listing, cursor->passed);
	else
		cursor->at = count_up_to(&cursor->listing, cursor->seq);
	if (!cursor->has_passed && cursor->at > 0)
		cursor->at--; /* the one that holds it */
}

int cursor_refresh(struct cursor *cursor)
{
	struct listing listing;
	int r = listing_read(cursor->dir_fd, &listing);

	if (r < 0)
		return r;
	listing_done(&cursor->listing);
	cursor->listing = listing;
	cursor_place(cursor);
	return 0;
}

off_t cursor_index_size(const struct cursor *cursor, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	format_name(name, first_seq, suffix);
	return fstatat(cursor->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? -1
									       : status.st_size;
}

static bool is_header_missing(const struct cursor *cursor, uint64_t first_seq)
{
	off_t size = cursor_index_size(cursor, first_seq, FORMAT_OPEN_SUFFIX);

	return size >= 0 && size < FORMAT_HEADER_SIZE;
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

int cursor_open_reader(const struct cursor *cursor, const struct listing_entry *entry,
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

int cursor_open_following(struct cursor *cursor)
{
	const struct listing_entry entry = {.first_seq = cursor->seq};
	bool known = cursor->has_passed && cursor->passed >= cursor->seq;

	if (!cursor->live || !cursor->continuing || known ||
	    cursor_open_reader(cursor, &entry, &cursor->sealed, &cursor->reader) < 0)
		return -ENOENT;
	cursor->first_seq = cursor->passed = entry.first_seq;
	cursor->has_passed = true;
	cursor->gone = false;
	cursor_place(cursor);
	return 0;
}

/* Why a segment cannot be opened whose name was there a moment ago. −EAGAIN: it is not missed. */
static int why_missing(const struct cursor *cursor, uint64_t first_seq, const char **ret_suffix)
{
	struct listing_entry now = {.first_seq = first_seq};
	int dir_fd = cursor->dir_fd;
	int r = listing_look_again(dir_fd, &now);

	if (r < 0)
		return r;
	if (now.fresh && !(now.data && now.sealed)) {
		*ret_suffix = FORMAT_INDEX_NEW_SUFFIX;
		return -EBUSY;
	}
	if (now.data && !now.sealed && segment_holds(dir_fd, first_seq, FORMAT_DATA_SUFFIX) > 0) {
		*ret_suffix = now.open ? FORMAT_OPEN_SUFFIX : FORMAT_INDEX_SUFFIX;
		return now.open ? -EBADMSG : -ENOENT;
	}
	if (now.open && !now.data && segment_holds(dir_fd, first_seq, FORMAT_OPEN_SUFFIX) > 0) {
		*ret_suffix = FORMAT_DATA_SUFFIX;
		return -ENOENT;
	}
	return -EAGAIN;
}

static bool has_whole_record(struct reader *reader)
{
	struct record record;
	uint64_t passed;
	int r;

	do {
		passed = reader_passed(reader);
		r = reader_next(reader, &record);
	} while (r < 0 && reader_passed(reader) > passed);
	return r > 0;
}

/* Where neither a header nor a record is whole, nothing says that it is an index of ours. */
static void open_without_header(struct cursor *cursor, const struct listing_entry *entry)
{
	CLEANUP(reader_free) struct reader *reader = NULL;

	if (reader_open_lenient(cursor->dir_fd, entry->first_seq, cursor->sealed, &reader) >= 0 &&
	    has_whole_record(reader))
		cursor->reader = TAKE_PTR(reader);
}

/* Its owner may be renaming, deleting or mending it: what is missing is looked for again. */
static int open_files(struct cursor *cursor, const struct listing_entry *entry)
{
	const struct timespec wait = {.tv_nsec = LOOK_WAIT_NS};
	int r, why = -EAGAIN;

	for (int i = 0; i < LOOKS; i++) {
		r = cursor_open_reader(cursor, entry, &cursor->sealed, &cursor->reader);
		cursor->suffix = cursor->sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX;
		if (r == -EBADMSG || r == -ENOMSG)
			open_without_header(cursor, entry);
		if (r != -ENOENT && r != -ENODATA)
			return r;
		why = why_missing(cursor, entry->first_seq, &cursor->suffix);
		if (why == -EAGAIN)
			break;
		nanosleep(&wait, NULL);
	}
	return why;
}

/* A segment that is being begun: its index is not there yet, or has no header. */
static bool is_being_begun(const struct cursor *cursor, const struct listing_entry *entry)
{
	return cursor->live && cursor->at + 1 == cursor->listing.count && !entry->sealed;
}

bool cursor_is_of_next(const struct cursor *cursor, uint64_t seq)
{
	for (size_t i = cursor->at; i < cursor->listing.count; i++)
		if (listing_is_segment(&cursor->listing.entries[i]))
			return cursor->listing.entries[i].first_seq <= seq;
	return false;
}

int cursor_open_listed(struct cursor *cursor)
{
	const struct listing_entry *entry = &cursor->listing.entries[cursor->at];
	int r, seek;

	if (entry->first_seq > cursor->seq && cursor_open_following(cursor) >= 0)
		return 1;
	r = open_files(cursor, entry);
	if (r == -EAGAIN && is_being_begun(cursor, entry))
		return 0;
	cursor->first_seq = entry->first_seq;
	cursor->passed = entry->first_seq;
	cursor->has_passed = true;
	cursor->at++;
	cursor->gone = false;
	if (!cursor->reader)
		return r;
	if (cursor->continuing && entry->first_seq < cursor->end)
		return -EEXIST;
	if (entry->first_seq > cursor->seq && cursor->continuing)
		cursor->skipping += entry->first_seq - cursor->seq;
	/* Numbers of damaged records may be those of others now, when a start has cut them off. */
	if (entry->first_seq > cursor->seq || cursor->continuing)
		cursor->seq = entry->first_seq;
	seek = reader_seek(cursor->reader, cursor->seq);
	return r < 0 ? r : seek < 0 ? seek : 1;
}
