/* Writes one segment: messages and events go in, a data file and its index come out. */
#ifndef WEIR_SPOOL_WRITER_H
#define WEIR_SPOOL_WRITER_H

#include "base/message.h"
#include "spool/format.h"
#include "spool/segment.h"
#include "spool/waiting.h"

struct writer;

struct writer_options {
	const char *path; /* of the spool, absolute */
	int dir_fd;	  /* the same directory */
	uint64_t first_seq;
	uint64_t messages_max; /* the segment is full with so many messages; 0: no limit */
	uint64_t bytes_max;    /* or with so much data, FORMAT_OFFSET_MAX at most, */
	uint64_t disk_max;     /* or with so much data and index together; 0: no limit */
	bool unnamed;	       /* the files have no names, and go to the segment in the end */
	bool named_later;      /* somebody else calls segment_rename() after the seal */
	struct segment_share *shares; /* of each source, to be counted; may be NULL */
};

/* Makes both files. Errors: −ENOMEM, those of tempfile_open(), write(2). */
int writer_open(const struct writer_options *options, struct writer **ret_writer);

/* Closes the files and leaves them as they are: as after a crash. */
void writer_free(struct writer *writer);

/* Deletes the files as well. */
void writer_delete(struct writer *writer);

/* Takes pieces from `batch`, beginning with number `*at`, and moves `*at` on: until the batch is
 * used up, the segment is full, or it is time for writer_commit(). Their memory must stay as it is
 * until then. */
void writer_append(struct writer *writer, const struct message_batch *batch, size_t *at)
	__attribute__((nonnull));

/* Adds an event. A message that is still open must be dropped before. */
int writer_add_event(struct writer *writer, const struct format_entry *event);

/* Writes what was appended: data, then index. With it the messages are captured. `spare` is how
 * much disk space may be reserved ahead.
 *
 * When there is no room (io_is_full()), the files are as they were before the call, and what was
 * appended waits in memory of the writer's own, as much as the stretches given since the last
 * commit; their memory is free. Call it again later, and append nothing before; or give it up.
 * After any other error, everything since the last commit is dropped, the segment can still be
 * sealed, and nothing more may be appended. */
int writer_commit(struct writer *writer, uint64_t spare);

/* The same without trying: what was appended waits in memory of the writer's own. Errors: −ENOMEM.
 */
int writer_defer(struct writer *writer);

/* Whether another piece, or an event, can be appended before a commit. */
bool writer_has_room(const struct writer *writer);

/* Whether anything is appended and not committed. */
bool writer_is_pending(const struct writer *writer);
bool writer_is_pending_data(const struct writer *writer); /* of messages */

/* The entry number `at` of those that are. False: there are no more. */
bool writer_pending_entry(const struct writer *writer, size_t at, struct format_entry *ret_entry);

/* Takes what the file holds of a message whose entry is not there yet back into memory, or the last
 * `max` bytes of that, unless the segment has no other record: it waits as after a commit that
 * found no room. 1: it does; 0: nothing was done. Errors: −ENOMEM, those of pread(2) and
 * ftruncate(2). */
int writer_pull(struct writer *writer, size_t max);

/* After a commit that found no room: hands over what waits, to the front of `waiting`, so that the
 * segment can be sealed as it is, or is open with no more than the beginning of a message. Errors:
 * −ENOMEM. */
int writer_hand_over(struct writer *writer, struct waiting *waiting);

/* Moves that beginning to a writer of which nothing was asked yet, about `max` bytes of it. 1: all
 * of it is there, and the message open there; 0: some is left. Errors: −ENOMEM, those of pread(2),
 * pwrite(2) and ftruncate(2); if io_is_full(), call it again later. Meanwhile neither may be used
 * otherwise. */
int writer_move_message(struct writer *writer, struct writer *to, uint64_t max);

/* Forgets everything since the last commit. Errors: ftruncate(2)'s. */
int writer_give_up(struct writer *writer);

/* Forgets the message that has begun and not ended, and all that was written of it. When there is
 * no room even for that, it is done by the next commit, before which nothing may be appended. */
int writer_drop_open_message(struct writer *writer);

bool writer_in_message(const struct writer *writer);
uint64_t writer_open_size(const struct writer *writer); /* of the payload that is in the file */
bool writer_is_full(const struct writer *writer);
uint64_t writer_held(const struct writer *writer);     /* disk space, in bytes */
uint64_t writer_promised(const struct writer *writer); /* the same, with what is not written yet */

/* What was committed so far, as of a segment. */
struct segment writer_committed(const struct writer *writer);
uint64_t writer_data_size(const struct writer *writer); /* of all committed messages */

/* The descriptors of both files, which stay the writer's. */
void writer_fds(const struct writer *writer, int *ret_data_fd, int *ret_index_fd);

/* Opens the data for reading, with a position of its own. Errors: those of open(2). */
int writer_open_data(const struct writer *writer, int *ret_fd);

/* Gives back what was reserved and turns the index into a sealed one. Nothing may be uncommitted.
 * The writer can only be freed after that. An error also when a failed commit could not be taken
 * back: then the segment stays open, to be recovered by the next start. */
int writer_seal(struct writer *writer);

/* Gives files without names to the segment, and does nothing with others. For after the seal. */
void writer_give_files(struct writer *writer, struct segment *segment);

#endif
