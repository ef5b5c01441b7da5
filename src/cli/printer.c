/*
 * Nearly all of a spool goes out as it stands in the data file: payloads in a row, each with its
 * newline. They are next to each other in the window of the reader, too, so that a whole row is one
 * write(2), and no message of it costs more than a comparison.
 *
 * A length is four bytes, the highest first. When it does not fit into 32 bits, or all of them are
 * set, then 0xffffffff stands there, and the length follows in eight bytes.
 *
 * Events have no payload. Where they are wanted, the JSON object that they are in the other form
 * takes its place.
 */
#include "cli/printer.h"

#include "cli/envelope.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define LONG_LENGTH UINT32_MAX
#define PIECE KIB(64)

static int print_large(struct output *output, struct reader *reader, const struct record *record)
{
	uint64_t size = record->entry.length;
	uint8_t piece[PIECE];
	int fd = reader_data_fd(reader);
	uint64_t at = fd < 0 ? 0 : output_copy(output, fd, record->entry.offset, size);
	ssize_t n;

	if (output->error < 0)
		return 0;
	while ((n = reader_payload(reader, at, piece, sizeof(piece))) > 0) {
		output_write(output, piece, (size_t)n);
		at += (uint64_t)n;
	}
	return n == 0 && at < size ? -EBADMSG : (int)n;
}

static void print_length(struct output *output, uint64_t size)
{
	uint32_t word = htobe32(size < LONG_LENGTH ? (uint32_t)size : LONG_LENGTH);
	uint64_t words = htobe64(size);

	output_write(output, &word, sizeof(word));
	if (size >= LONG_LENGTH)
		output_write(output, &words, sizeof(words));
}

static int print_payload(struct output *output, struct reader *reader, const struct record *record)
{
	if (format_is_event(&record->entry))
		return envelope_write(output, reader, record);
	if (!record->payload)
		return print_large(output, reader, record);
	output_write(output, record->payload, (size_t)record->entry.length);
	return 0;
}

/* How long an envelope is, only its writing tells. */
static void print_event_with_length(struct output *output, struct reader *reader,
				    const struct record *record)
{
	struct output *aside = malloc(sizeof(*aside));

	if (!aside) {
		output->error = -ENOMEM;
		return;
	}
	aside->fd = -1;
	aside->error = 0;
	aside->used = 0;
	envelope_write(aside, reader, record);
	print_length(output, aside->used);
	output_write(output, aside->bytes, aside->used);
	free(aside);
}

static int print_record(struct printer *printer, struct reader *reader, const struct record *record)
{
	struct output *output = printer->output;
	int r;

	if (printer->form == PRINTER_LENGTH && format_is_event(&record->entry)) {
		print_event_with_length(output, reader, record);
		return 0;
	}
	if (printer->form == PRINTER_LENGTH)
		print_length(output, record->entry.length);
	if (printer->form == PRINTER_JSON)
		r = envelope_write(output, reader, record);
	else
		r = print_payload(output, reader, record);
	if (printer->form != PRINTER_LENGTH)
		output_byte(output, printer->form == PRINTER_NUL ? '\0' : '\n');
	return r;
}

/* How many of the records stand in a row with their newlines, from the first on. */
static size_t count_row(const struct record *records, size_t count)
{
	const uint8_t *end = records[0].payload;
	size_t row = 0;

	while (row < count && records[row].payload == end && !records[row].loose)
		end += records[row++].entry.length + 1;
	return row;
}

/* How many of those are wanted. */
static size_t count_wanted(struct printer *printer, const struct record *records, size_t count)
{
	size_t wanted = 0;

	count = (size_t)MIN((uint64_t)count, printer->left);
	while (wanted < count && !printer->done &&
	       selection_has(&printer->selection, &records[wanted]))
		printer->done = selection_ends(&printer->selection, &records[wanted++]);
	return wanted;
}

/* Records in a row with their newlines, as they are in the window and in the file. */
static void print_stretch(struct output *output, struct reader *reader,
			  const struct record *records, size_t count)
{
	const struct record *last = &records[count - 1];
	uint64_t size = last->entry.offset - records[0].entry.offset + last->entry.length + 1;
	uint64_t done = 0;
	int fd = reader_data_fd(reader);

	if (fd >= 0 && size >= OUTPUT_COPY_MIN)
		done = output_copy(output, fd, records[0].entry.offset, size);
	output_write(output, records[0].payload + done, (size_t)(size - done));
}

static size_t print_row(struct printer *printer, struct reader *reader,
			const struct record *records, size_t count)
{
	size_t row = 0;

	if (printer->form == PRINTER_NEWLINE && records[0].payload)
		row = count_row(records, count);
	if (printer->left < UINT64_MAX || !selection_is_default(&printer->selection))
		row = count_wanted(printer, records, row);
	if (row == 0)
		return 0;
	print_stretch(printer->output, reader, records, row);
	printer->left -= printer->left < UINT64_MAX ? row : 0;
	printer->next_seq = records[row - 1].seq + 1;
	return row;
}

int printer_put(struct printer *printer, struct reader *reader, const struct record *records,
		size_t count)
{
	int r = 0;

	for (size_t at = 0; at < count && r >= 0 && !printer->done;) {
		size_t row = print_row(printer, reader, records + at, count - at);

		at += row;
		printer->done |= printer->left == 0 || printer->output->error < 0;
		if (row > 0)
			continue;
		printer->next_seq = records[at].seq + 1;
		if (selection_has(&printer->selection, &records[at])) {
			r = print_record(printer, reader, &records[at]);
			printer->left -= printer->left < UINT64_MAX;
		}
		printer->done |= selection_ends(&printer->selection, &records[at]) ||
				 printer->left == 0 || printer->output->error < 0;
		at++;
	}
	return r;
}
