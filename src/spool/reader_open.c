/*
 * A reader is opened: its files are found, whatever form the segment has, and the header of the
 * index is checked.
 */
#include "spool/reader_state.h"

#include <errno.h>

#define INDEX_WINDOW ((size_t)2048 * FORMAT_ENTRY_SIZE)
#define DATA_WINDOW (READER_WINDOW + 1) /* with the separator */

static int check_header(struct reader *reader)
{
	struct format_header header;
	const uint8_t *stored;
	ssize_t n = window_show(&reader->index, 0, FORMAT_HEADER_SIZE, &stored);

	if (n < 0)
		return (int)n;
	if (n < FORMAT_HEADER_SIZE)
		return -EBADMSG;
	switch (format_read_header(stored, &header)) {
	case 0:
		if (header.first_seq != reader->first_seq)
			return -EBADMSG;
		reader->created_ns = header.created_ns;
		reader->records = header.records;
		reader->has_header = true;
		return 0;
	case FORMAT_FOREIGN:
		return -ENOMSG;
	case FORMAT_UNKNOWN:
		return -EPROTO;
	default:
		return -EBADMSG;
	}
}

/* Begins with inputs, which it takes over. */
static int begin(const struct reader_files *files, struct input *index, struct input *data,
		 struct reader **ret_reader)
{
	CLEANUP(reader_free) struct reader *reader = calloc(1, sizeof(*reader));
	int r, other;

	if (!reader)
		return -ENOMEM;
	reader->first_seq = files->first_seq;
	reader->sealed = files->sealed;
	r = window_init(&reader->index, index, INDEX_WINDOW);
	other = window_init(&reader->data, data, DATA_WINDOW);
	if (r < 0 || other < 0)
		return MIN(r, other);
	r = check_header(reader);
	if (r == -EBADMSG && !reader->sealed) { /* its owner may write it just now, to seal it */
		window_clear(&reader->index);
		r = check_header(reader);
	}
	if (r < 0 && !(files->lenient && (r == -EBADMSG || r == -ENOMSG)))
		return r;
	*ret_reader = TAKE_PTR(reader);
	return 0;
}

static int take_packed(const struct reader_files *files, struct input *index, struct input *data)
{
	int r = input_take_packed(index, take_fd(&index->fd), files->lenient, true);
	int other = input_take_packed(data, take_fd(&data->fd), files->lenient, false);

	return r < 0 ? r : other;
}

int reader_open_files(const struct reader_files *files, struct reader **ret_reader)
{
	CLEANUP(input_done) struct input index = {.fd = files->index_fd};
	CLEANUP(input_done) struct input data = {.fd = files->data_fd};
	int r = files->packed ? take_packed(files, &index, &data) : 0;

	return r < 0 ? r : begin(files, &index, &data, ret_reader);
}

static int open_inputs(int dir_fd, uint64_t first_seq, const char *index_suffix,
		       int (*open_one)(struct input *, int, uint64_t, const char *),
		       struct input *index, struct input *data)
{
	int r = open_one(index, dir_fd, first_seq, index_suffix);

	if (r >= 0)
		r = open_one(data, dir_fd, first_seq, FORMAT_DATA_SUFFIX);
	if (r < 0)
		input_done(index);
	return r;
}

/* While somebody looks for the files of a sealed segment, it may be compressed. */
static int open_named(int dir_fd, uint64_t first_seq, bool sealed, bool lenient,
		      struct reader **ret_reader)
{
	const char *suffix = sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX;
	CLEANUP(input_done) struct input index = {.fd = -1};
	CLEANUP(input_done) struct input data = {.fd = -1};
	struct reader_files files = {.first_seq = first_seq, .sealed = sealed, .lenient = lenient};
	int r = open_inputs(dir_fd, first_seq, suffix, input_open, &index, &data);

	if (r == -ENOENT && sealed)
		r = open_inputs(dir_fd, first_seq, suffix,
				lenient ? input_open_packed_lenient : input_open_packed, &index,
				&data);
	return r < 0 ? r : begin(&files, &index, &data, ret_reader);
}

int reader_open(int dir_fd, uint64_t first_seq, bool sealed, struct reader **ret_reader)
{
	return open_named(dir_fd, first_seq, sealed, false, ret_reader);
}

int reader_open_lenient(int dir_fd, uint64_t first_seq, bool sealed, struct reader **ret_reader)
{
	return open_named(dir_fd, first_seq, sealed, true, ret_reader);
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	window_done(&reader->index);
	window_done(&reader->data);
	free(reader);
}
