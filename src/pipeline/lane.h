/* What has come of one message that is not whole yet: in memory, or in a temporary file. */
#ifndef WEIR_PIPELINE_LANE_H
#define WEIR_PIPELINE_LANE_H

#include "base/buffer.h"
#include "base/message.h"
#include "pipeline/pointer.h"

#include <stdbool.h>
#include <tempfile.h>

#define LANE_MEMORY POINTER_MESSAGE_MAX /* a larger message waits in a file */

struct lane {
	struct buffer memory;
	struct tempfile *file; /* NULL: all of it is in memory */
	uint64_t size;
	uint64_t given_back; /* disk space of its beginning */
	bool gives_back;     /* the file system can do that */
	uint32_t crc;
	uint8_t kind;
};

void lane_init(struct lane *lane);
void lane_done(struct lane *lane);

/* Forgets the message. */
void lane_forget(struct lane *lane);

/* Adds a piece; the first one of a message forgets the one before. After an error nothing of it was
 * added, and it can be tried again. Errors: −ENOMEM, those of making and writing a file in
 * `dir_fd`.
 */
int lane_keep(struct lane *lane, int dir_fd, const struct message_piece *piece);

/* The first `size` bytes in the file are not needed any more. */
void lane_give_back(struct lane *lane, uint64_t size);

/* The disk space that its file takes. */
uint64_t lane_held(const struct lane *lane);

/* Reads the piece at `offset` out of the file, into piece->data, up to piece->size, and sets the
 * rest but its kind; its checksum goes on from what it is. Errors: those of pread(2), −EIO. */
int lane_read(const struct lane *lane, uint64_t offset, struct message_piece *piece);

#endif
