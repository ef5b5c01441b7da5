/* Standard output for much: few large writes, and what is large already goes out as it is. */
#ifndef WEIR_CLI_OUTPUT_H
#define WEIR_CLI_OUTPUT_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

#define OUTPUT_ROOM KIB(256)

struct output {
	int fd;
	int error; /* of the first write that failed, −errno; nothing is written any more */
	size_t used;
	uint8_t bytes[OUTPUT_ROOM];
};

void output_write(struct output *output, const void *data, size_t size);
void output_flush(struct output *output);

/* Whether it is a pipe from which nobody reads any more. */
bool output_is_gone(const struct output *output);

static inline void output_byte(struct output *output, uint8_t byte)
{
	if (output->used == OUTPUT_ROOM)
		output_flush(output);
	output->bytes[output->used++] = byte;
}

#define OUTPUT_COPY_MIN KIB(32) /* less is better written from memory */

/* Writes `size` bytes of a file, from `offset` on. Returns how many it was: fewer when the file is
 * shorter, none when it cannot be done without a detour. */
uint64_t output_copy(struct output *output, int from_fd, uint64_t offset, uint64_t size);

#endif
