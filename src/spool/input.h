/* What a reader reads: one file of a segment, wherever its bytes come from. */
#ifndef WEIR_SPOOL_INPUT_H
#define WEIR_SPOOL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct packed;

struct input {
	int fd; /* −1: none */
	/* Of a compressed segment, in which there is no file of its own for either. */
	struct packed *packed;
	bool is_index;
};

/* −ENOENT: there is no such file; −ELOOP: a symbolic link stands in its place. Else the errors of
 * open(2). */
int input_open(struct input *input, int dir_fd, uint64_t first_seq, const char *suffix);

/* What the file of that suffix was before the segment was compressed. −EBADMSG: the compressed file
 * is not whole. Else as above. */
int input_open_packed(struct input *input, int dir_fd, uint64_t first_seq, const char *suffix);

/* The same for whoever wants to have what there is: see packed_open_lenient(). */
int input_open_packed_lenient(struct input *input, int dir_fd, uint64_t first_seq,
			      const char *suffix);

/* The same of a file that is open already, which is the input's from here on, also on failure. */
int input_take_packed(struct input *input, int fd, bool lenient, bool is_index);

/* Whether the file is not compressed, or the table in it is whole. */
bool input_has_table(const struct input *input);

void input_done(struct input *input);

/* Up to `size` bytes at `offset`, fewer only at the end, or before what cannot be decompressed. A
 * count or −errno; −EBADMSG: nothing from `offset` on can be decompressed. */
ssize_t input_read(struct input *input, uint64_t offset, void *data, size_t size);

int input_size(const struct input *input, uint64_t *ret_size);

/* A descriptor of a file that holds the same bytes at the same offsets, −1 if there is none. */
int input_fd(const struct input *input);

static inline void input_donep(struct input *input)
{
	input_done(input);
}

#endif
