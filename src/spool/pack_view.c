/*
 * A compressed segment, as whoever processes one wants it: two plain files. They have no names, so
 * that they are no second form of the segment that a killed process could leave behind.
 *
 * A view takes space for a while, and to process it is what gives space back: so where the spool's
 * own disk is full, or as much of it as is allowed, it is made elsewhere, in memory (tmpfs) at
 * last.
 */
#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"
#include "spool/pack.h"
#include "spool/packed.h"
#include "spool/segment.h"
#include "spool/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define CHUNK KIB(256)
#define FILES_COST                                                                                 \
	KIB(16) /* of a view, beside its size: two ends within a block, and what finds it */
#define MEMORY_DIR "/dev/shm"
#define MEMORY_MAX MIB(128) /* a larger one has to wait for room on a disk */

static int open_packed(int dir_fd, uint64_t seq, bool lenient, struct packed **ret_packed)
{
	char name[FORMAT_NAME_SIZE];
	int fd = openat(dir_fd, format_name(name, seq, FORMAT_PACKED_SUFFIX),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	return lenient ? packed_open_lenient(fd, ret_packed) : packed_open(fd, ret_packed);
}

/* What cannot be decompressed becomes a hole. */
static int write_data(const struct pack_job *job, struct packed *packed, int fd, uint8_t *chunk)
{
	uint64_t at = 0, size = packed_data_size(packed);

	while (at < size) {
		ssize_t n = packed_read(packed, at, chunk, CHUNK);
		int r = n < 0 && n != -EBADMSG ? (int)n : 0;

		if (n > 0)
			r = io_pwrite_all(fd, chunk, (size_t)n, (off_t)at);
		if (r >= 0 && pack_is_cancelled(job))
			r = -ECANCELED;
		if (r < 0)
			return r;
		at = n > 0 ? at + (uint64_t)n : packed_part_end(packed, at);
	}
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int write_index(struct packed *packed, int fd, uint8_t *chunk)
{
	uint64_t at = 0;
	ssize_t n;

	while ((n = packed_read_index(packed, at, chunk, CHUNK)) > 0) {
		int r = io_pwrite_all(fd, chunk, (size_t)n, (off_t)at);

		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return (int)n;
}

static uint64_t space(int fd)
{
	struct stat status;

	return fstat(fd, &status) < 0 ? 0 : space_of(&status);
}

/* Makes the two files in `dir`, or in `*dir_fd` if that is given. */
static int make_view(const struct pack_job *job, struct packed *packed, const char *dir,
		     const int *dir_fd, struct pack_view *ret_view)
{
	CLEANUP(pack_view_done) struct pack_view view = {0};
	CLEANUP_FREE uint8_t *chunk = malloc(CHUNK);
	int r = chunk ? 0 : -ENOMEM;

	if (r >= 0)
		r = tempfile_open_anonymous(&view.data, .dir = dir, .dir_fd = dir_fd);
	if (r >= 0)
		r = tempfile_open_anonymous(&view.index, .dir = dir, .dir_fd = dir_fd);
	if (r >= 0)
		r = write_data(job, packed, tempfile_fd(view.data), chunk);
	if (r >= 0)
		r = write_index(packed, tempfile_fd(view.index), chunk);
	if (r < 0)
		return r;
	view.damaged = !packed_was_whole(packed);
	if (dir_fd)
		view.disk_bytes = space(tempfile_fd(view.data)) + space(tempfile_fd(view.index));
	*ret_view = view;
	view.data = view.index = NULL;
	return 0;
}

static uint64_t view_size(const struct packed *packed)
{
	return packed_data_size(packed) + packed_index_size(packed);
}

/* The disk of the spool is full. What fails elsewhere is not what is to be told. */
static int make_view_elsewhere(const struct pack_job *job, struct packed *packed, int error,
			       struct pack_view *ret_view)
{
	int r = make_view(job, packed, tempfile_gettempdir(), NULL, ret_view);

	if (r < 0 && r != -ECANCELED && view_size(packed) <= MEMORY_MAX)
		r = make_view(job, packed, MEMORY_DIR, NULL, ret_view);
	return r < 0 && r != -ECANCELED ? error : r;
}

int pack_open_view(const struct pack_job *job, struct pack_view *ret_view)
{
	CLEANUP(packed_free) struct packed *packed = NULL;
	int r = open_packed(job->dir_fd, job->first_seq, true, &packed);

	if (r < 0)
		return r;
	r = view_size(packed) + FILES_COST > job->view_max_bytes
		    ? -ENOSPC
		    : make_view(job, packed, NULL, &job->dir_fd, ret_view);
	return io_is_full(r) ? make_view_elsewhere(job, packed, r, ret_view) : r;
}

void pack_view_done(struct pack_view *view)
{
	tempfile_close(&view->data);
	tempfile_close(&view->index);
}

int pack_measure(int dir_fd, uint64_t first_seq, bool lenient, struct pack_sizes *ret_sizes)
{
	CLEANUP(packed_free) struct packed *packed = NULL;
	char name[FORMAT_NAME_SIZE];
	struct stat status;
	int r = open_packed(dir_fd, first_seq, lenient, &packed);

	if (r < 0)
		return r;
	if (fstatat(dir_fd, format_name(name, first_seq, FORMAT_PACKED_SUFFIX), &status,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_sizes = (struct pack_sizes){
		.disk_bytes = space_of(&status),
		.data_size = packed_data_size(packed),
		.index_size = packed_index_size(packed),
	};
	return 0;
}

/* 1: there is such a file, 0: there is none, or −errno. */
static int is_there(int dir_fd, uint64_t seq, const char *suffix, uint64_t *ret_size)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	if (fstatat(dir_fd, format_name(name, seq, suffix), &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	*ret_size = (uint64_t)status.st_size;
	return 1;
}

/* The compressed file is complete as a rule, or it would have another name; where a disk has lost
 * it all the same, and both others are there, they stay. Returns whether the compressed one counts.
 */
static int choose(int dir_fd, uint64_t seq, int data, uint64_t data_size, int index,
		  uint64_t index_size)
{
	struct pack_sizes sizes = {0};
	int r;

	if (!data && !index)
		return 1;
	r = pack_measure(dir_fd, seq, false, &sizes);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r >= 0 && (!data || sizes.data_size == data_size) &&
	    (!index || sizes.index_size == index_size)) {
		r = segment_delete(dir_fd, seq, FORMAT_INDEX_SUFFIX);
		return r < 0 ? r : 1;
	}
	if (!data || !index)
		return 1; /* neither can be made of the other: nothing is deleted */
	r = segment_delete_file(dir_fd, seq, FORMAT_PACKED_SUFFIX);
	return MIN(r, 0);
}

int pack_recover(int dir_fd, struct listing_entry *entry)
{
	uint64_t seq = entry->first_seq, data_size = 0, index_size = 0;
	int data = is_there(dir_fd, seq, FORMAT_DATA_SUFFIX, &data_size);
	int index = is_there(dir_fd, seq, FORMAT_INDEX_SUFFIX, &index_size);
	int r = data < 0 ? data : index;

	if (r >= 0)
		r = segment_delete_file(dir_fd, seq, FORMAT_PACKING_SUFFIX);
	if (r >= 0)
		r = !entry->packed ? 0 : choose(dir_fd, seq, data, data_size, index, index_size);
	if (r < 0)
		return r;
	entry->packing = false;
	entry->packed = r > 0;
	entry->data = entry->packed || data;
	entry->sealed = entry->packed || index;
	return 0;
}
