/*
 * The two files of a segment that is being written: made, under names that say so or without any;
 * and at the end trimmed, renamed, given away, or deleted.
 */
#include "spool/writer_state.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/macro.h"

#include <fcntl.h>

static int open_file(const struct writer *writer, const char *suffix, struct tempfile **ret_file)
{
	char name[FORMAT_NAME_SIZE];

	if (writer->options.unnamed)
		return tempfile_open_anonymous(ret_file, .dir_fd = &writer->options.dir_fd);
	format_name(name, writer->options.first_seq, suffix);
	return tempfile_open(ret_file, .dir = writer->options.path, .name = name,
			     .deletion = TEMPFILE_DELETE_NEVER);
}

/* What is gone already, or cannot be deleted, is for the next start to find. */
static void delete_files(struct writer *writer)
{
	if (!writer->options.unnamed)
		segment_delete(writer->options.dir_fd, writer->options.first_seq,
			       FORMAT_OPEN_SUFFIX);
}

void writer_delete(struct writer *writer)
{
	delete_files(writer);
	writer_free(writer);
}

int writer_open_files(struct writer *writer)
{
	uint8_t header[FORMAT_HEADER_SIZE];
	int r = open_file(writer, FORMAT_DATA_SUFFIX, &writer->data_file);

	if (r < 0)
		return r;
	r = open_file(writer, FORMAT_OPEN_SUFFIX, &writer->index_file);
	if (r >= 0) {
		writer->data.fd = tempfile_fd(writer->data_file);
		writer->index.fd = tempfile_fd(writer->index_file);
		writer->header = (struct format_header){
			.first_seq = writer->options.first_seq,
			.created_ns = clock_realtime_ns(),
		};
		format_write_header(header, &writer->header);
		r = appender_write(&writer->index, header, sizeof(header), 0);
	}
	if (r < 0)
		delete_files(writer);
	return r;
}

void writer_measure(struct writer *writer)
{
	appender_measure(&writer->data);
	appender_measure(&writer->index);
}

void writer_fds(const struct writer *writer, int *ret_data_fd, int *ret_index_fd)
{
	*ret_data_fd = writer->data.fd;
	*ret_index_fd = writer->index.fd;
}

int writer_open_data(const struct writer *writer, int *ret_fd)
{
	return tempfile_reopen(writer->data_file, O_RDONLY, ret_fd);
}

/* So that it shows when records are missing at the end of the index. Failing that, nobody will know
 * how many there were. */
static void note_records(struct writer *writer)
{
	uint8_t header[FORMAT_HEADER_SIZE];

	writer->header.records = writer->committed.records;
	format_write_header(header, &writer->header);
	(void)io_pwrite_all(writer->index.fd, header, sizeof(header), 0);
}

int writer_seal(struct writer *writer)
{
	int r = writer->uncut ? writer_take_back(writer) : writer->broken;

	if (r < 0)
		return r;
	/* Failing that, a little space stays reserved until the segment is acknowledged. */
	appender_trim(&writer->data);
	appender_trim(&writer->index);
	note_records(writer);
	if (writer->options.disk_max > 0)
		writer_measure(writer);
	if (writer->options.unnamed || writer->options.named_later)
		return 0;
	return segment_rename(writer->options.dir_fd, writer->options.first_seq);
}

void writer_give_files(struct writer *writer, struct segment *segment)
{
	if (!writer->options.unnamed)
		return;
	segment->data_file = TAKE_PTR(writer->data_file);
	segment->index_file = TAKE_PTR(writer->index_file);
}
