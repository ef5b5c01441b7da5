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
 */
#include "spool/cursor_state.h"

#include "spool/admit.h"
#include "spool/owner.h"
#include "spool/seek.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

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

static const char *index_suffix(const struct cursor *cursor)
{
	return cursor->sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX;
}

static int fail(struct cursor *cursor, const char *suffix, int error)
{
	cursor->fault = (struct cursor_fault){
		.first_seq = cursor->first_seq,
		.suffix = suffix,
		.seq = cursor->seq,
		.last_seq = cursor->seq,
	};
	close_segment(cursor);
	return error;
}

/* Every record that is there was read, and that is not all. */
static int fail_at_end(struct cursor *cursor)
{
	uint64_t records = reader_records(cursor->reader);
	uint64_t passed = reader_passed(cursor->reader);

	fail(cursor, index_suffix(cursor), -EBADMSG);
	cursor->fault.at_end = true;
	cursor->fault.missing = records > passed ? records - passed : 0;
	return -EBADMSG;
}

/* What can be read of it all the same, comes next. */
static int fail_to_open(struct cursor *cursor, int error)
{
	bool of_header = error == -EBADMSG || error == -ENOMSG;
	struct reader *reader = of_header ? TAKE_PTR(cursor->reader) : NULL;

	fail(cursor, cursor->suffix, error);
	cursor->fault.of_header = reader;
	cursor->reader = reader;
	return error;
}

/* The directory cannot be listed: told once, since it will be tried again and again. */
static int fail_to_look(struct cursor *cursor, int error)
{
	if (cursor->blind)
		return 0;
	cursor->blind = true;
	fail(cursor, index_suffix(cursor), error);
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

			r = cursor_open_listed(cursor);
			if (r > 0)
				return r;
			if (r < 0 && r != -EAGAIN)
				return fail_to_open(cursor, r);
			if (cursor->at == at)
				break; /* it is being begun */
		}
		if (fresh)
			return cursor_open_following(cursor) >= 0;
		r = cursor_refresh(cursor);
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
 * its index has, and all of it was read. One without a header may come to nothing. */
static bool has_successor(const struct cursor *cursor)
{
	return cursor->seq > cursor->first_seq &&
	       (cursor_index_size(cursor, cursor->seq, FORMAT_OPEN_SUFFIX) >= FORMAT_HEADER_SIZE ||
		cursor_index_size(cursor, cursor->seq, FORMAT_INDEX_SUFFIX) >= FORMAT_HEADER_SIZE);
}

/* An open segment is not any more: it goes on in the sealed one, or it was deleted. */
static int follow_to_sealed(struct cursor *cursor)
{
	struct listing_entry entry = {.first_seq = cursor->first_seq, .sealed = true};
	struct reader *reader = NULL;
	int r = cursor_open_reader(cursor, &entry, &cursor->sealed, &reader);

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

/* A segment that was deleted before it held anything: another one will begin with its number. */
static void expect_again(struct cursor *cursor)
{
	cursor->has_passed = cursor->first_seq > 0;
	cursor->passed = cursor->first_seq - 1;
}

/* All of an open segment was read that will ever be in it. When it was about to be sealed, its
 * header says how much that should have been. */
static int end_segment(struct cursor *cursor)
{
	struct reader *reader = cursor->reader;

	if (reader_records(reader) > reader_passed(reader))
		return fail_at_end(cursor);
	if (cursor->gone && cursor->live && reader_passed(reader) == 0)
		expect_again(cursor);
	close_segment(cursor);
	return -EAGAIN;
}

/* An open segment has no further record, or one that is not whole yet. 0: wait; −EAGAIN: go on;
 * else an error. */
static int reach_open_end(struct cursor *cursor)
{
	int r;

	if (cursor->gone || !cursor->live || has_successor(cursor))
		return end_segment(cursor);
	r = reader_seek(cursor->reader, cursor->seq);
	if (r >= 0 && is_still_open(cursor))
		return 0;
	if (r >= 0)
		r = follow_to_sealed(cursor);
	return r < 0 ? fail(cursor, index_suffix(cursor), r) : -EAGAIN;
}

static bool is_dead(const struct cursor *cursor)
{
	struct owner owner;

	return owner_probe(cursor->dir_fd, &owner) >= 0 && !owner.alive;
}

/* Whether an entry of an open segment that is not whole is damaged. Its owner may take back what is
 * at the end, as when his disk is full: so what is not whole is damaged if a record that is stands
 * behind it, or if there is no owner. −errno: nobody knows. */
static int is_damage(struct cursor *cursor)
{
	struct reader *reader = cursor->reader;
	uint64_t next = reader_seq(reader), passed;
	struct record record;
	int r;

	if (cursor->seq < cursor->sure)
		return true;
	do {
		passed = reader_passed(reader);
		r = reader_next(reader, &record);
	} while (r < 0 && reader_passed(reader) > passed);
	if (r > 0 || is_dead(cursor))
		cursor->sure = reader_seq(reader);
	r = reader_seek(reader, next);
	return r < 0 ? r : cursor->seq < cursor->sure;
}

/* A record, or the end of a segment, cannot be read; or what it says that it holds are the numbers
 * of the next one. */
static int fail_at_record(struct cursor *cursor, int error)
{
	uint64_t next = reader_seq(cursor->reader);

	cursor->continuing = true;
	if (next == cursor->seq || cursor_is_of_next(cursor, cursor->seq))
		return error == -EBADMSG ? fail_at_end(cursor)
					 : fail(cursor, index_suffix(cursor), error);
	cursor->fault = (struct cursor_fault){
		.first_seq = cursor->first_seq,
		.suffix = index_suffix(cursor),
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
	cursor->seq = cursor->end = records[count - 1].seq + 1;
	cursor->continuing = true;
}

/* >0: a batch; 0: there is none yet; −EAGAIN: look for the next segment. */
static ssize_t read_on(struct cursor *cursor, struct record *records, size_t max)
{
	ssize_t n = reader_next_batch(cursor->reader, records, max);
	int damage;

	if (n > 0) {
		note_batch(cursor, records, (size_t)n);
		return n;
	}
	if (cursor->sealed && n == 0) {
		close_segment(cursor);
		return -EAGAIN;
	}
	damage = cursor->sealed || n != -EBADMSG ? n < 0 : is_damage(cursor);
	if (damage < 0)
		return fail(cursor, index_suffix(cursor), damage);
	return damage ? fail_at_record(cursor, (int)n) : reach_open_end(cursor);
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
	cursor->seq = cursor->end = seq;
	cursor_place(cursor);
}

int cursor_seek_time(struct cursor *cursor, uint64_t time_ns)
{
	uint64_t seq;
	int r = cursor->live ? cursor_refresh(cursor) : 0;

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
