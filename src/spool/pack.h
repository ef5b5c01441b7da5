/* Compresses a sealed segment, and makes a compressed one what it was. */
#ifndef WEIR_SPOOL_PACK_H
#define WEIR_SPOOL_PACK_H

#include "spool/listing.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <tempfile.h>

struct pack_job {
	int dir_fd;
	uint64_t first_seq;
	int level;		   /* of struct codec */
	uint64_t view_max_bytes;   /* that a view may take on the disk of the spool */
	const atomic_bool *cancel; /* set: to stop soon; may be NULL */
};

static inline bool pack_is_cancelled(const struct pack_job *job)
{
	return job->cancel && atomic_load(job->cancel);
}

/* Puts one compressed file, which is on the disk by then (fsync(2)), in the place of the two.
 * Errors: −ECANCELED; −EFBIG (it would not become smaller by a tenth); −ENOMEM, −ENOSYS, those of
 * open(2), write(2), fsync(2). After an error the two files are as they were, or the next start
 * makes it so. */
int pack_segment(const struct pack_job *job, uint64_t *ret_disk_bytes);

/* What is the same as the two files, but without names. */
struct pack_view {
	struct tempfile *data, *index;
	uint64_t disk_bytes; /* on the disk of the spool */
	bool damaged;
};

/* Makes a view of a compressed segment. Where parts are damaged, it holds other bytes, so that the
 * records there are found to be damaged, and the others are not; and the view says so. On a full
 * disk, or where it would take too much of it, it is made in tempfile_gettempdir(), or in memory.
 * Errors: −EBADMSG (nothing of it can be read), −ECANCELED, and as above. */
int pack_open_view(const struct pack_job *job, struct pack_view *ret_view);
void pack_view_done(struct pack_view *view);

static inline void pack_view_donep(struct pack_view *view)
{
	pack_view_done(view);
}

/* For a start: finishes or takes back what a killed process has begun, and says in `*entry` what
 * there is then: a compressed segment, or whatever else. */
int pack_recover(int dir_fd, struct listing_entry *entry);

/* Of a compressed segment, what it has by itself and what it would have; `lenient`: as far as that
 * can be found out. −EBADMSG and those of open(2). */
struct pack_sizes {
	uint64_t disk_bytes;
	uint64_t data_size, index_size; /* as of the two files */
};

int pack_measure(int dir_fd, uint64_t first_seq, bool lenient, struct pack_sizes *ret_sizes);

#endif
