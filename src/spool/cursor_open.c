/*
 * Which segment comes next, and its files under the names of this moment.
 *
 * A listing that is read while files are renamed may miss some. So what follows on the last record,
 * whose name is known, is looked for by it before anything is said to be missing.
 */
#include "spool/cursor_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

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

/* A segment that is being begun: its index is not there yet, or has no header. */
static bool is_being_begun(const struct cursor *cursor, const struct listing_entry *entry,
			   int error)
{
	bool last = cursor->at + 1 == cursor->listing.count;

	return cursor->live && last && !entry->sealed && (error == -ENODATA || error == -ENOENT);
}

int cursor_open_listed(struct cursor *cursor)
{
	const struct listing_entry *entry = &cursor->listing.entries[cursor->at];
	int r;

	if (entry->first_seq > cursor->seq && cursor_open_following(cursor) >= 0)
		return 1;
	r = cursor_open_reader(cursor, entry, &cursor->sealed, &cursor->reader);
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
