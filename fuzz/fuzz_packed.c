/*
 * Any file as a compressed segment: reading comes to an end, gives no more than the table says, and
 * the same whatever the size of the pieces. The first byte of the input is that size. Where the
 * table is damaged, the frames are looked for.
 */
#include "base/macro.h"
#include "spool/codec.h"
#include "spool/packed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_MAX KIB(64)
#define DATA_MAX MIB(1) /* that is looked at */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Reads the data piece by piece, and skips what is damaged. Returns how much there was of it. */
static size_t read_data(struct packed *packed, uint8_t *to, size_t piece)
{
	static uint8_t room[DATA_MAX]; /* behind what was read, anything may stand in it */
	uint64_t at = 0, end = MIN(packed_data_size(packed), (uint64_t)DATA_MAX);
	size_t got = 0;

	memset(to, 0, DATA_MAX);
	while (at < end) {
		ssize_t n = packed_read(packed, at, room, (size_t)MIN((uint64_t)piece, end - at));

		if (n == 0 || n > (ssize_t)piece || (n < 0 && n != -EBADMSG))
			abort();
		memcpy(to + at, room, n > 0 ? (size_t)n : 0);
		got += n > 0 ? (size_t)n : 0;
		at = n > 0 ? at + (uint64_t)n : packed_part_end(packed, at);
	}
	return got;
}

static void read_index(const struct packed *packed)
{
	uint64_t at = 0, end = packed_index_size(packed);
	uint8_t piece[512];
	ssize_t n;

	while ((n = packed_read_index(packed, at, piece, sizeof(piece))) > 0)
		at += (uint64_t)n;
	if (n < 0 || at != end)
		abort();
}

/* Closes the descriptor. Returns whether there was something. */
static bool read_all(int fd, bool lenient, size_t piece)
{
	static uint8_t small[DATA_MAX], large[DATA_MAX];
	CLEANUP(packed_free) struct packed *packed = NULL;
	int r = lenient ? packed_open_lenient(fd, &packed) : packed_open(fd, &packed);

	if (r < 0 && r != -EBADMSG)
		abort();
	if (r < 0)
		return false;
	read_index(packed);
	if (read_data(packed, small, piece) != read_data(packed, large, DATA_MAX) ||
	    memcmp(small, large, DATA_MAX) != 0)
		abort();
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	int fd;

	if (size < 1 || size > INPUT_MAX || !codec_exists())
		return 0;
	fd = memfd_create("fuzz_packed", MFD_CLOEXEC);
	if (fd < 0 || write(fd, input + 1, size - 1) != (ssize_t)size - 1)
		abort();
	if (read_all(dup(fd), false, (size_t)input[0] * 37 + 1))
		close(fd);
	else
		read_all(fd, true, (size_t)input[0] * 37 + 1);
	return 0;
}
