/*
 * A segment is compressed under a name that means nothing, brought to the disk, and only then given
 * the name that counts, in one step. From there on the two files that it was made of are leftovers,
 * which are deleted. So whatever happens, one of both forms is whole: a process that is killed
 * before the step leaves a file to be deleted, and behind it, two.
 *
 * What is compressed is decompressed again at once, in memory, and compared. The original will be
 * gone, so nothing is taken on trust.
 */
#include "spool/pack.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/codec.h"
#include "spool/format.h"
#include "spool/packed.h"
#include "spool/seek_table.h"
#include "spool/segment.h"
#include "spool/space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FRAMES_WANTED ((size_t)1 << 16) /* of a very large segment: larger ones instead of more */
#define CHUNK KIB(256)
#define WORTH_PERCENT 90

/* A segment that is being compressed. */
struct work {
	const struct pack_job *job;
	int data_fd, index_fd, out_fd;
	uint64_t data_size, index_size;
	struct codec *codec;
	size_t frame_size, count, room;
	struct seek_frame *frames;
	uint8_t *plain, *packed, *again;
};

static void work_donep(struct work *work)
{
	close_fdp(&work->data_fd);
	close_fdp(&work->index_fd);
	close_fdp(&work->out_fd);
	codec_free(work->codec);
	free(work->frames);
	free(work->plain);
	free(work->packed);
	free(work->again);
}

/* Opens a file of the segment for reading, and tells how large it is. */
static int open_file(int dir_fd, uint64_t seq, const char *suffix, int *ret_fd, uint64_t *ret_size)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd = openat(dir_fd, format_name(name, seq, suffix),
				   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	*ret_size = (uint64_t)status.st_size;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_new(const struct pack_job *job, int *ret_fd)
{
	char name[FORMAT_NAME_SIZE];
	int r = segment_delete_file(job->dir_fd, job->first_seq, FORMAT_PACKING_SUFFIX);

	if (r < 0)
		return r;
	*ret_fd = openat(job->dir_fd, format_name(name, job->first_seq, FORMAT_PACKING_SUFFIX),
			 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret_fd < 0 ? -errno : 0;
}

static int prepare(struct work *work)
{
	const struct pack_job *job = work->job;
	int r = open_file(job->dir_fd, job->first_seq, FORMAT_DATA_SUFFIX, &work->data_fd,
			  &work->data_size);

	if (r >= 0)
		r = open_file(job->dir_fd, job->first_seq, FORMAT_INDEX_SUFFIX, &work->index_fd,
			      &work->index_size);
	if (r >= 0)
		r = codec_new(job->level, &work->codec);
	if (r < 0)
		return r;
	work->frame_size =
		MAX(SEEK_TABLE_FRAME_SIZE, (size_t)(work->data_size / FRAMES_WANTED + 1));
	if (work->frame_size > SEEK_TABLE_FRAME_MAX || work->index_size > UINT32_MAX / 2)
		return -EFBIG;
	work->count = (size_t)((work->data_size + work->frame_size - 1) / work->frame_size);
	work->room = codec_room(work->frame_size);
	work->frames = calloc(work->count + 1, sizeof(*work->frames));
	work->plain = malloc(work->frame_size);
	work->again = malloc(work->frame_size);
	work->packed = malloc(work->room);
	if (!work->frames || !work->plain || !work->again || !work->packed)
		return -ENOMEM;
	return open_new(job, &work->out_fd);
}

/* Compresses the data from `frame->start` on, and says where the next frame begins. */
static int pack_frame(struct work *work, struct seek_frame *frame)
{
	ssize_t plain =
		io_pread_all(work->data_fd, work->plain, work->frame_size, (off_t)frame->start);
	uint64_t left = work->data_size - frame->start;
	ssize_t size;
	int r;

	if (plain < 0)
		return (int)plain;
	if ((uint64_t)plain < MIN(left, (uint64_t)work->frame_size))
		return -EBADMSG; /* somebody has cut it */
	plain = (ssize_t)MIN(left, (uint64_t)plain);
	size = codec_compress(work->codec, work->packed, work->room, work->plain, (size_t)plain);
	if (size < 0)
		return (int)size;
	r = codec_decompress(work->codec, work->again, (size_t)plain, work->packed, (size_t)size);
	if (r >= 0 && memcmp(work->again, work->plain, (size_t)plain) != 0)
		r = -EBADMSG;
	if (r >= 0)
		r = io_write_all(work->out_fd, work->packed, (size_t)size, NULL);
	frame[1].at = frame->at + (uint64_t)size;
	frame[1].start = frame->start + (uint64_t)plain;
	return r;
}

static int pack_data(struct work *work)
{
	uint64_t most = work->data_size / 100 * WORTH_PERCENT;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < work->count; i++) {
		r = pack_frame(work, &work->frames[i]);
		if (r >= 0 && pack_is_cancelled(work->job))
			r = -ECANCELED;
		else if (r >= 0 && work->frames[i + 1].at > most)
			r = -EFBIG;
	}
	return r;
}

/* Copies `size` bytes from the beginning of one file to where another one stands. */
static int copy(int from, uint64_t size, int to)
{
	CLEANUP_FREE uint8_t *chunk = malloc(CHUNK);
	uint64_t done = 0;

	if (!chunk)
		return -ENOMEM;
	while (done < size) {
		size_t want = (size_t)MIN(size - done, (uint64_t)CHUNK);
		ssize_t n = io_pread_all(from, chunk, want, (off_t)done);
		int r = n < 0 ? (int)n : (size_t)n < want ? -EBADMSG : 0;

		if (r >= 0)
			r = io_write_all(to, chunk, want, NULL);
		if (r < 0)
			return r;
		done += want;
	}
	return 0;
}

static int add_index_and_table(struct work *work)
{
	uint8_t head[SEEK_TABLE_HEAD_SIZE];
	CLEANUP_FREE uint8_t *table = NULL;
	size_t size;
	int r;

	seek_table_write_head(head, (uint32_t)work->index_size);
	r = io_write_all(work->out_fd, head, sizeof(head), NULL);
	if (r >= 0)
		r = copy(work->index_fd, work->index_size, work->out_fd);
	if (r >= 0)
		r = seek_table_make(work->frames, work->count, work->index_size, &table, &size);
	return r < 0 ? r : io_write_all(work->out_fd, table, size, NULL);
}

/* From the rename on, the compressed file is the segment. */
static int put_in_place(const struct work *work)
{
	char from[FORMAT_NAME_SIZE], to[FORMAT_NAME_SIZE];
	uint64_t seq = work->job->first_seq;
	int dir_fd = work->job->dir_fd;

	if (fdatasync(work->out_fd) < 0)
		return -errno;
	if (renameat(dir_fd, format_name(from, seq, FORMAT_PACKING_SUFFIX), dir_fd,
		     format_name(to, seq, FORMAT_PACKED_SUFFIX)) < 0)
		return -errno;
	return 0;
}

/* Only when its name is on the disk too, the others may go. What cannot be deleted goes with the
 * acknowledgement, or by the next start. */
static void delete_plain(const struct pack_job *job)
{
	if (fsync(job->dir_fd) == 0)
		segment_delete(job->dir_fd, job->first_seq, FORMAT_INDEX_SUFFIX);
}

/* None, when it is deleted. */
static uint64_t space(int fd)
{
	struct stat status;

	return fstat(fd, &status) < 0 || status.st_nlink == 0 ? 0 : space_of(&status);
}

int pack_segment(const struct pack_job *job, uint64_t *ret_disk_bytes)
{
	CLEANUP(work_done)
	struct work work = {.job = job, .data_fd = -1, .index_fd = -1, .out_fd = -1};
	int r = prepare(&work);

	if (r >= 0)
		r = pack_data(&work);
	if (r >= 0)
		r = add_index_and_table(&work);
	if (r >= 0)
		r = put_in_place(&work);
	if (r < 0) {
		if (work.out_fd >= 0)
			segment_delete_file(job->dir_fd, job->first_seq, FORMAT_PACKING_SUFFIX);
		return r;
	}
	delete_plain(job);
	*ret_disk_bytes = space(work.out_fd) + space(work.data_fd) + space(work.index_fd);
	return 0;
}
