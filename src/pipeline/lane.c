/*
 * A small message waits in memory. One that gets too large for that moves into a file without a
 * name, which is gone with it, whatever happens.
 */
#include "pipeline/lane.h"

#include "base/io.h"
#include "base/macro.h"
#include "base/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define LANE_KEEPS KIB(64)
#define BLOCK 4096	  /* in which file systems give space, as a rule */
#define FILE_COST KIB(16) /* what they need to find many of them */

void lane_init(struct lane *lane)
{
	*lane = (struct lane){0};
	buffer_init(&lane->memory, LANE_MEMORY);
}

void lane_done(struct lane *lane)
{
	lane_forget(lane);
	buffer_done(&lane->memory);
}

void lane_forget(struct lane *lane)
{
	lane->memory.size = 0;
	if (lane->memory.room > LANE_KEEPS) /* one large message should not cost memory for ever */
		buffer_done(&lane->memory);
	tempfile_close(&lane->file);
	lane->size = lane->given_back = 0;
}

void lane_give_back(struct lane *lane, uint64_t size)
{
	if (lane->file && lane->gives_back && tempfile_discard(lane->file, size) >= 0)
		lane->given_back = size / BLOCK * BLOCK;
}

uint64_t lane_held(const struct lane *lane)
{
	return lane->file ? lane->size - lane->given_back + BLOCK + FILE_COST : 0;
}

/* Writes at the end of a file, or gives back what was written of it. Where that fails too, it will
 * be written over. */
static int write_at_end(const struct tempfile *file, const void *data, size_t size, uint64_t end)
{
	int fd = tempfile_fd(file);
	int r = io_pwrite_all(fd, data, size, (off_t)end);

	return r < 0 && ftruncate(fd, (off_t)end) < 0 && !io_is_full(-errno) ? -errno : r;
}

static void file_donep(struct tempfile **file)
{
	tempfile_close(file);
}

/* Moves what waits in memory to a file. */
static int spill(struct lane *lane, int dir_fd)
{
	CLEANUP(file_done) struct tempfile *file = NULL;
	int r = tempfile_open_anonymous(&file, .dir_fd = &dir_fd);

	if (r >= 0)
		r = write_at_end(file, lane->memory.data, lane->memory.size, 0);
	if (r < 0)
		return r;
	/* Asked of space behind the end, where there is none. */
	lane->gives_back = fallocate(tempfile_fd(file), FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
				     2 * LANE_MEMORY, BLOCK) == 0;
	lane->file = TAKE_PTR(file);
	lane->memory.size = 0;
	return 0;
}

int lane_keep(struct lane *lane, int dir_fd, const struct message_piece *piece)
{
	int r = 0;

	if (piece->first)
		lane_forget(lane);
	if (!lane->file && lane->memory.size + piece->size > LANE_MEMORY)
		r = spill(lane, dir_fd);
	if (r >= 0)
		r = lane->file ? write_at_end(lane->file, piece->data, piece->size, lane->size)
			       : buffer_append(&lane->memory, piece->data, piece->size);
	if (r < 0)
		return r;
	lane->kind = piece->kind;
	lane->crc = piece->crc;
	lane->size += piece->size;
	return 0;
}

int lane_read(const struct lane *lane, uint64_t offset, struct message_piece *piece)
{
	size_t want = (size_t)MIN(lane->size - offset, (uint64_t)piece->size);
	ssize_t n = pread(tempfile_fd(lane->file), piece->data, want, (off_t)offset);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	piece->size = (size_t)n;
	piece->crc = scan_bytes(piece->crc, piece->data, piece->size).crc;
	piece->first = offset == 0;
	piece->last = offset + piece->size == lane->size;
	if (piece->last && piece->crc != lane->crc)
		return -EIO; /* the disk gave back what was not written */
	return 0;
}
