/* Where the frames of a compressed file begin: the table at its end, as the seekable format of zstd
 * has it, and the frame of the index before it. */
#ifndef WEIR_SPOOL_SEEK_TABLE_H
#define WEIR_SPOOL_SEEK_TABLE_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

#define SEEK_TABLE_FRAME_SIZE KIB(256) /* of data in one frame, unless there is very much */
#define SEEK_TABLE_FRAMES_MAX ((size_t)1 << 17)
#define SEEK_TABLE_FRAME_MAX MIB(8) /* of data in one frame */
#define SEEK_TABLE_HEAD_SIZE 8	    /* in front of what a frame that is skipped holds */

struct seek_frame {
	uint64_t at;	/* in the file */
	uint64_t start; /* in the data */
};

/* What a compressed file consists of. The frames have one more behind them: the one of the index,
 * which begins where they end. */
struct seek_table {
	size_t count;
	struct seek_frame *frames; /* count + 1 */
	uint64_t index_at, index_size;
	size_t packed_max, plain_max; /* the largest frame */
};

/* Reads the table of an open file. Errors: −EBADMSG (it is not whole, or none of ours), −ENOMEM,
 * those of pread(2). */
int seek_table_read(int fd, struct seek_table *ret_table);

/* Makes the table of a file whose own is damaged, by looking at the frames. The index may be cut.
 * Errors: −EBADMSG (nothing is found that could be an index), as above. */
int seek_table_scan(int fd, struct seek_table *ret_table);

/* Writes the head of the index's frame; the index follows. */
void seek_table_write_head(uint8_t to[SEEK_TABLE_HEAD_SIZE], uint32_t index_size);

/* Whether these 4 bytes are the beginning of such a head, and the size in it. */
bool seek_table_is_index(const uint8_t *head);
uint32_t seek_table_read_head(const uint8_t head[SEEK_TABLE_HEAD_SIZE]);

/* Makes the bytes of the table, to be freed. `frames` has count + 1 members. −ENOMEM. */
int seek_table_make(const struct seek_frame *frames, size_t count, uint64_t index_size,
		    uint8_t **ret_bytes, size_t *ret_size);

void seek_table_done(struct seek_table *table);

static inline void seek_table_donep(struct seek_table *table)
{
	seek_table_done(table);
}

#endif
