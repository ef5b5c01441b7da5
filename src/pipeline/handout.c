/*
 * A file is handed on by its path. One without a name has a descriptor instead, for which Linux has
 * paths as well: /dev/fd/N for who has it, /proc/PID/fd/N for everybody else. It is opened anew for
 * each handout, so that whoever reads it moves a position of his own, and cannot write by it.
 */
#include "pipeline/handout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <tempfile.h>
#include <unistd.h>

static bool is_ephemeral(const struct segment *segment)
{
	return segment->data_file && !segment->packed;
}

static void set_segment(struct handout *handout, const struct spool *spool,
			const struct segment *segment)
{
	handout->segment = (struct weir_segment){
		.spool = is_ephemeral(segment) ? NULL : spool_path(spool),
		.data = handout->data,
		.index = handout->index,
		.data_fd = handout->data_fd,
		.index_fd = handout->index_fd,
		.first_seq = segment->first_seq,
		.last_seq = segment->first_seq + MAX(segment->records, 1u) - 1,
		.messages = segment->messages,
		.bytes = segment->bytes,
		.first_time_ns = segment->first_time_ns,
		.last_time_ns = segment->last_time_ns,
	};
}

/* Standard input and its like would not reach a command: it gets others under these numbers. */
static int move_up(int *fd)
{
	int higher;

	if (*fd > STDERR_FILENO)
		return 0;
	higher = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (higher < 0)
		return -errno;
	close(*fd);
	*fd = higher;
	return 0;
}

static char *path_in_spool(const struct spool *spool, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE], *path;

	if (asprintf(&path, "%s/%s", spool_path(spool), format_name(name, seq, suffix)) < 0)
		return NULL;
	return path;
}

static char *path_of_fd(int fd)
{
	char *path;

	return asprintf(&path, "/dev/fd/%d", fd) < 0 ? NULL : path;
}

static char *path_for_others(const struct tempfile *file)
{
	char *path;

	return asprintf(&path, "/proc/%d/fd/%d", getpid(), tempfile_fd(file)) < 0 ? NULL : path;
}

/* Of a compressed one, both are in the same file. */
static void set_names(struct handout *handout, const struct spool *spool,
		      const struct segment *segment)
{
	handout->data = path_in_spool(spool, segment->first_seq,
				      segment->packed ? FORMAT_PACKED_SUFFIX : FORMAT_DATA_SUFFIX);
	handout->index =
		path_in_spool(spool, segment->first_seq,
			      segment->packed ? FORMAT_PACKED_SUFFIX : FORMAT_INDEX_SUFFIX);
}

static int open_unnamed(struct handout *handout, const struct spool *spool,
			const struct segment *segment)
{
	int dir_fd = spool_dir_fd(spool);
	int r = segment_open_file(dir_fd, segment, FORMAT_DATA_SUFFIX, &handout->data_fd);

	if (r >= 0)
		r = move_up(&handout->data_fd);
	if (r >= 0)
		r = segment_open_file(dir_fd, segment, FORMAT_INDEX_SUFFIX, &handout->index_fd);
	if (r >= 0)
		r = move_up(&handout->index_fd);
	if (r < 0)
		return r;
	handout->data = path_of_fd(handout->data_fd);
	handout->index = path_of_fd(handout->index_fd);
	return 0;
}

int handout_init(struct handout *handout, const struct spool *spool, const struct segment *segment)
{
	int r = 0;

	*handout = (struct handout){.data_fd = -1, .index_fd = -1};
	if (segment->data_file)
		r = open_unnamed(handout, spool, segment);
	else
		set_names(handout, spool, segment);
	if (r < 0)
		return r;
	set_segment(handout, spool, segment);
	return handout->data && handout->index ? 0 : -ENOMEM;
}

int handout_init_kept(struct handout *handout, const struct spool *spool,
		      const struct segment *segment)
{
	*handout = (struct handout){.data_fd = -1, .index_fd = -1};
	if (is_ephemeral(segment)) {
		handout->data = path_for_others(segment->data_file);
		handout->index = path_for_others(segment->index_file);
	} else {
		set_names(handout, spool, segment);
	}
	set_segment(handout, spool, segment);
	return handout->data && handout->index ? 0 : -ENOMEM;
}

void handout_done(struct handout *handout)
{
	free(handout->data);
	free(handout->index);
	close_fdp(&handout->data_fd);
	close_fdp(&handout->index_fd);
}
