/*
 * Two windows move over the two files: one over the index, one over the data. Payloads up to the
 * size of the data window are handed out from within it; larger ones are checked in pieces. So a
 * segment of any size, with messages of any size, is read in the same memory.
 *
 * Files are read, not mapped: a file that somebody truncates meanwhile is an error here, and would
 * be a SIGBUS there.
 */
#include "spool/reader.h"

#include "base/crc32c.h"
#include "base/io.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define INDEX_WINDOW ((size_t)1024 * FORMAT_ENTRY_SIZE)
#define DATA_WINDOW (READER_WINDOW + 1) /* with the separator */

struct window {
	int fd;
	uint64_t start;
	size_t size; /* bytes in it */
	size_t room;
	uint8_t *data;
};

struct reader {
	struct window index, data;
	uint64_t first_seq;
	uint64_t next; /* number of the entry that comes next */
	uint64_t data_end;
	uint64_t created_ns;
	bool sealed;
	bool has_header;
	bool damaged;	/* told so already */
	bool lost;	/* the entry before was damaged: where the next begins is not known */
	bool separated; /* behind the payload looked at last stands a separator */
	struct format_entry entry; /* returned last */
};

/* Makes the window hold `size` bytes at `offset`, or what there is of them before the end of the
 * file. Returns how many there are, or −errno. */
static ssize_t window_show(struct window *window, uint64_t offset, size_t size,
			   const uint8_t **ret_data)
{
	uint64_t end = window->start + window->size;

	if (offset < window->start || offset + size > end) {
		ssize_t n = io_pread_all(window->fd, window->data, window->room, (off_t)offset);

		if (n < 0)
			return n;
		window->start = offset;
		window->size = (size_t)n;
	}
	*ret_data = window->data + (offset - window->start);
	return (ssize_t)MIN(size, window->size - (size_t)(offset - window->start));
}

static void window_done(struct window *window)
{
	close_fdp(&window->fd);
	free(window->data);
}

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

int reader_open_files(const struct reader_files *files, struct reader **ret_reader)
{
	CLEANUP_FD int index_fd = files->index_fd;
	CLEANUP_FD int data_fd = files->data_fd;
	CLEANUP(reader_free) struct reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->first_seq = files->first_seq;
	reader->sealed = files->sealed;
	reader->index = (struct window){
		.fd = take_fd(&index_fd), .room = INDEX_WINDOW, .data = malloc(INDEX_WINDOW)};
	reader->data = (struct window){
		.fd = take_fd(&data_fd), .room = DATA_WINDOW, .data = malloc(DATA_WINDOW)};
	if (!reader->index.data || !reader->data.data)
		return -ENOMEM;
	r = check_header(reader);
	if (r < 0 && !(files->lenient && (r == -EBADMSG || r == -ENOMSG)))
		return r;
	*ret_reader = TAKE_PTR(reader);
	return 0;
}

static int open_file(int dir_fd, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	int fd = openat(dir_fd, format_name(name, seq, suffix),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int reader_open(int dir_fd, uint64_t first_seq, bool sealed, struct reader **ret_reader)
{
	CLEANUP_FD int index_fd =
		open_file(dir_fd, first_seq, sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX);
	CLEANUP_FD int data_fd = -1;
	struct reader_files files = {.first_seq = first_seq, .sealed = sealed};

	if (index_fd < 0)
		return index_fd;
	data_fd = open_file(dir_fd, first_seq, FORMAT_DATA_SUFFIX);
	if (data_fd < 0)
		return data_fd;
	files.index_fd = take_fd(&index_fd);
	files.data_fd = take_fd(&data_fd);
	return reader_open_files(&files, ret_reader);
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	window_done(&reader->index);
	window_done(&reader->data);
	free(reader);
}

/* The checksum of a payload, whatever its size, and whether its separator follows. −EBADMSG: it is
 * not there as a whole. */
static int checksum(struct reader *reader, uint32_t *ret_crc)
{
	uint64_t left = format_is_event(&reader->entry) ? 0 : reader->entry.length + 1;
	uint64_t at = reader->entry.offset;
	uint32_t crc = 0;

	reader->separated = left == 0;
	while (left > 0) {
		size_t want = (size_t)MIN(left, (uint64_t)DATA_WINDOW);
		size_t payload = want - (want == left);
		const uint8_t *data;
		ssize_t n = window_show(&reader->data, at, want, &data);

		if (n < 0)
			return (int)n;
		if ((size_t)n < payload)
			return -EBADMSG;
		crc = crc32c(crc, data, payload);
		reader->separated = (size_t)n > payload && data[payload] == FORMAT_SEPARATOR;
		at += want;
		left -= want;
	}
	*ret_crc = crc;
	return 0;
}

/* A damaged entry may say anything: lengths that no file can have would upset pread(2). */
static bool is_plausible(const struct format_entry *entry)
{
	return format_is_event(entry) || entry->length <= INT64_MAX / 2;
}

static const uint8_t *payload_in_window(const struct reader *reader)
{
	const struct format_entry *entry = &reader->entry;

	if (format_is_event(entry) || entry->length > READER_WINDOW)
		return NULL;
	if (entry->length == 0)
		return reader->data.data;
	return reader->data.data + (entry->offset - reader->data.start);
}

/* Behind the last whole entry there is nothing, and the data ends with it: or a sealed index was
 * cut. Told once. */
static int check_end(struct reader *reader, ssize_t rest)
{
	struct stat status;

	if (!reader->sealed || reader->damaged)
		return 0;
	if (fstat(reader->data.fd, &status) < 0)
		return -errno;
	if (rest == 0 && (uint64_t)status.st_size == reader->data_end)
		return 0;
	reader->damaged = true;
	return -EBADMSG;
}

static int damage(struct reader *reader)
{
	reader->damaged = reader->lost = true;
	return -EBADMSG;
}

/* Whether the payload stands where it should, with its separator. */
static bool is_loose(const struct reader *reader)
{
	const struct format_entry *entry = &reader->entry;

	if (format_is_event(entry))
		return false;
	return !reader->separated || entry->offset < reader->data_end ||
	       (entry->offset > reader->data_end && !reader->lost);
}

int reader_next(struct reader *reader, struct record *ret_record)
{
	uint64_t at = FORMAT_HEADER_SIZE + reader->next * FORMAT_ENTRY_SIZE;
	const uint8_t *stored;
	uint32_t crc = 0;
	ssize_t n = window_show(&reader->index, at, FORMAT_ENTRY_SIZE, &stored);
	int r;

	if (n < FORMAT_ENTRY_SIZE)
		return n < 0 ? (int)n : check_end(reader, n);
	reader->next++;
	format_read_entry(stored, &reader->entry);
	if (!is_plausible(&reader->entry))
		return damage(reader);
	r = checksum(reader, &crc);
	if (r < 0)
		return r == -EBADMSG ? damage(reader) : r;
	if (!format_entry_is_valid(stored, crc))
		return damage(reader);
	*ret_record = (struct record){
		.seq = reader->first_seq + reader->next - 1,
		.entry = reader->entry,
		.payload = payload_in_window(reader),
		.loose = is_loose(reader),
	};
	reader->data_end = reader->entry.offset + format_data_size(&reader->entry);
	reader->lost = false;
	return 1;
}

ssize_t reader_payload(struct reader *reader, uint64_t offset, void *data, size_t size)
{
	const struct format_entry *entry = &reader->entry;

	if (format_is_event(entry) || offset >= entry->length)
		return 0;
	return io_pread_all(reader->data.fd, data,
			    (size_t)MIN((uint64_t)size, entry->length - offset),
			    (off_t)(entry->offset + offset));
}

uint64_t reader_data_end(const struct reader *reader)
{
	return reader->data_end;
}

uint64_t reader_passed(const struct reader *reader)
{
	return reader->next;
}

uint64_t reader_created_ns(const struct reader *reader)
{
	return reader->created_ns;
}

bool reader_has_header(const struct reader *reader)
{
	return reader->has_header;
}
