/* The directory that a spool is: found or made, locked, measured, removed. */
#ifndef WEIR_SPOOL_DIRECTORY_H
#define WEIR_SPOOL_DIRECTORY_H

#include "spool/listing.h"
#include "spool/segment.h"

struct spool_directory {
	char *path; /* absolute */
	int fd;
	int lock_fd;
	/* When it was locked: what was in it, which number was noted, and whether all that its
	 * last owner wrote must be there: see owner_is_of_this_boot(). */
	struct listing found;
	uint64_t noted_seq;
	bool same_boot;
};

void directory_init(struct spool_directory *directory);
void directory_done(struct spool_directory *directory);

/* The directory at `path`, made when it is missing. One that is refused is left as it is. Errors:
 * −EWOULDBLOCK (locked by another process), −EMEDIUMTYPE (it holds other things and no spool),
 * −EPROTO (of another version of weir), −ENOMEM, those of mkdir(2), open(2). */
int directory_open(struct spool_directory *directory, const char *path);

/* A fresh one, as tempfile_mkdir() makes it. */
int directory_make(struct spool_directory *directory, const char *dir, const char *prefix,
		   const char *suffix);

/* A directory of somebody else's, in which nothing gets a name; NULL: that for temporary files. A
 * file without one can be made there, and opened again. Errors: those of tempfile_open_anonymous()
 * and tempfile_reopen(). */
int directory_borrow(struct spool_directory *directory, const char *dir);

/* Whether somebody who only looks may take it for a spool: its lock has our note in it, or there
 * are segments. An empty directory is none. */
bool directory_is_spool(int dir_fd, const struct listing *listing);

/* Whether what was locked is the lock of the directory. One that was deleted while it was waited
 * for, as with its spool, keeps out nobody. */
bool directory_has_lock(int dir_fd, int lock_fd);

/* Removes the lock file and the directory, which must be empty otherwise. */
int directory_remove(struct spool_directory *directory);

/* The sequence number that comes next is noted in the lock file. Errors: those of pwrite(2). */
int directory_note_seq(const struct spool_directory *directory, uint64_t next_seq);

/* What was found is in order now. Only for the next start: without space for it, nothing is lost.
 */
void directory_note_settled(struct spool_directory *directory);

/* Sets the number of records and the disk space of a sealed segment by the sizes of its files. */
int directory_measure(const struct spool_directory *directory, struct segment *segment);

static inline void directory_donep(struct spool_directory *directory)
{
	directory_done(directory);
}

#endif
