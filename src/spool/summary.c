/*
 * An index has entries of fixed size: its size says how many there are, and the first and the last
 * of them say from when to when. They are not checked here, which would take the payloads; but what
 * the last one says of the data must fit to the size of that.
 */
#include "spool/summary.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"
#include "spool/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LOOKS 3

/* The files of a segment, and in which states it has them; 0: in those that are not as they should
 * be. */
static const struct file {
	const char *suffix;
	unsigned states;
} files[] = {
	{FORMAT_DATA_SUFFIX, 1 << SUMMARY_OPEN | 1 << SUMMARY_SEALED},
	{FORMAT_INDEX_SUFFIX, 1 << SUMMARY_SEALED},
	{FORMAT_OPEN_SUFFIX, 1 << SUMMARY_OPEN},
	{FORMAT_PACKED_SUFFIX, 1 << SUMMARY_COMPRESSED},
	{FORMAT_DATA_CUT_SUFFIX, 0},
	{FORMAT_INDEX_CUT_SUFFIX, 0},
};

/* Each look at a file costs time, and there may be very many segments. */
static bool may_have(const struct listing_entry *entry, const struct summary_segment *segment,
		     const struct file *file)
{
	if (segment->state > SUMMARY_COMPRESSED)
		return true;
	return file->states ? file->states >> segment->state & 1 : entry->cut;
}

static uint64_t disk_bytes_of(int dir_fd, const char *name)
{
	struct stat status;

	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)status.st_blocks * 512;
}

static int open_files(int dir_fd, uint64_t seq, const char *index_suffix, struct input *index,
		      struct input *data)
{
	int r = input_open(index, dir_fd, seq, index_suffix);

	if (r >= 0)
		r = input_open(data, dir_fd, seq, FORMAT_DATA_SUFFIX);
	if (r < 0)
		input_done(index);
	return r;
}

static int open_as(int dir_fd, uint64_t seq, enum summary_state state, struct input *index,
		   struct input *data)
{
	int r;

	if (state == SUMMARY_OPEN)
		return open_files(dir_fd, seq, FORMAT_OPEN_SUFFIX, index, data);
	if (state == SUMMARY_SEALED)
		return open_files(dir_fd, seq, FORMAT_INDEX_SUFFIX, index, data);
	r = input_open_packed(index, dir_fd, seq, FORMAT_INDEX_SUFFIX);
	return r < 0 ? r : input_open_packed(data, dir_fd, seq, FORMAT_DATA_SUFFIX);
}

/* Since the listing was made, the segment may have been sealed, and compressed; hardly ever
 * anything else. */
static int open_inputs(int dir_fd, uint64_t seq, enum summary_state *state, struct input *index,
		       struct input *data)
{
	static const enum summary_state next[] = {
		[SUMMARY_OPEN] = SUMMARY_SEALED,
		[SUMMARY_SEALED] = SUMMARY_COMPRESSED,
		[SUMMARY_COMPRESSED] = SUMMARY_OPEN,
	};
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(next); i++) {
		r = open_as(dir_fd, seq, *state, index, data);
		if (r != -ENOENT)
			break;
		*state = next[*state];
	}
	return r;
}

static int read_entry(struct input *index, uint64_t number, struct format_entry *ret_entry)
{
	uint8_t stored[FORMAT_ENTRY_SIZE];
	uint64_t at = FORMAT_HEADER_SIZE + number * FORMAT_ENTRY_SIZE;

	if (input_read(index, at, stored, sizeof(stored)) < (ssize_t)sizeof(stored))
		return -EBADMSG;
	format_read_entry(stored, ret_entry);
	return 0;
}

static int read_header(struct input *index, uint64_t first_seq, struct format_header *ret_header)
{
	uint8_t stored[FORMAT_HEADER_SIZE];

	if (input_read(index, 0, stored, sizeof(stored)) < (ssize_t)sizeof(stored))
		return -EBADMSG;
	switch (format_read_header(stored, ret_header)) {
	case 0:
		return ret_header->first_seq == first_seq ? 0 : -EBADMSG;
	case FORMAT_UNKNOWN:
		return -EPROTO;
	default:
		return -EBADMSG;
	}
}

/* 0: what there is fits together. */
static int look_inside(struct input *index, struct input *data, bool sealed,
		       struct summary_segment *segment)
{
	struct format_header header = {0};
	struct format_entry first, last;
	uint64_t index_size, data_size, end;
	int r;

	if (input_size(index, &index_size) < 0 || input_size(data, &data_size) < 0)
		return -EBADMSG;
	if (!sealed && index_size < FORMAT_HEADER_SIZE)
		return 0; /* just begun */
	r = read_header(index, segment->first_seq, &header);
	if (r < 0)
		return r;
	segment->records = format_count_entries(index_size);
	if (sealed && header.records > 0 && header.records != segment->records)
		return -EBADMSG;
	if (segment->records == 0)
		return sealed ? -EBADMSG : 0;
	if (read_entry(index, 0, &first) < 0 || read_entry(index, segment->records - 1, &last) < 0)
		return -EBADMSG;
	segment->first_ns = first.time_ns;
	segment->last_ns = last.time_ns;
	end = last.offset + format_data_size(&last);
	segment->data_bytes = MIN(end, data_size);
	if (sealed &&
	    (end != data_size || (index_size - FORMAT_HEADER_SIZE) % FORMAT_ENTRY_SIZE != 0))
		return -EBADMSG;
	return 0;
}

/* Where an index is missing: what there is of the data, −1 if nothing. Without data, the segment
 * was acknowledged; without a byte in it, it is just being begun. */
static off_t data_left(int dir_fd, uint64_t seq)
{
	static const char *const data[] = {FORMAT_DATA_SUFFIX, FORMAT_PACKED_SUFFIX};
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		if (fstatat(dir_fd, format_name(name, seq, data[i]), &status,
			    AT_SYMLINK_NOFOLLOW) == 0)
			return status.st_size;
	return -1;
}

/* The owner may rename files between two looks at their names: then it is looked again. */
static int look(int dir_fd, struct summary_segment *segment)
{
	int r = -ENOENT;

	for (int i = 0; r == -ENOENT && i < LOOKS; i++) {
		CLEANUP(input_done) struct input index = {.fd = -1};
		CLEANUP(input_done) struct input data = {.fd = -1};

		r = open_inputs(dir_fd, segment->first_seq, &segment->state, &index, &data);
		if (r >= 0)
			r = look_inside(&index, &data, segment->state != SUMMARY_OPEN, segment);
		if (r == -ENOENT && data_left(dir_fd, segment->first_seq) <= 0)
			break;
	}
	return r;
}

static enum summary_state state_of(int dir_fd, const struct summary_segment *segment, int error)
{
	if (error == -EPROTO)
		return SUMMARY_UNKNOWN;
	if (error != -ENOENT)
		return SUMMARY_DAMAGED;
	return data_left(dir_fd, segment->first_seq) > 0 ? SUMMARY_INCOMPLETE : SUMMARY_GONE;
}

void summary_read_segment(int dir_fd, const struct listing_entry *entry,
			  struct summary_segment *ret_segment)
{
	struct summary_segment segment = {.first_seq = entry->first_seq};
	char name[FORMAT_NAME_SIZE];
	int r;

	if (entry->packed)
		segment.state = SUMMARY_COMPRESSED;
	else
		segment.state = entry->sealed ? SUMMARY_SEALED : SUMMARY_OPEN;
	r = entry->odd ? 0 : look(dir_fd, &segment);

	if (entry->odd)
		segment.state = SUMMARY_INCOMPLETE;
	else if (r < 0)
		segment.state = state_of(dir_fd, &segment, r);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (may_have(entry, &segment, &files[i]))
			segment.disk_bytes += disk_bytes_of(
				dir_fd, format_name(name, entry->first_seq, files[i].suffix));
	*ret_segment = segment;
}

void summary_add(struct summary *summary, const struct listing_entry *entry,
		 const struct summary_segment *segment)
{
	if (summary->first_ns == 0)
		summary->first_ns = segment->first_ns;
	if (segment->last_ns > 0)
		summary->last_ns = segment->last_ns;
	summary->segments += segment->state != SUMMARY_GONE;
	summary->records += segment->records;
	summary->data_bytes += segment->data_bytes;
	summary->damaged +=
		segment->state == SUMMARY_DAMAGED || segment->state == SUMMARY_INCOMPLETE;
	summary->cuts += entry->cut;
}

int summary_disk_bytes(int dir_fd, uint64_t *ret_bytes)
{
	CLEANUP(io_close_names) DIR *names = NULL;
	struct dirent *found;
	uint64_t bytes = 0;
	int r = io_open_names(dir_fd, &names);

	if (r < 0)
		return r;
	while ((errno = 0, found = readdir(names)))
		if (found->d_name[0] != '.')
			bytes += disk_bytes_of(dir_fd, found->d_name);
	if (errno != 0)
		return -errno;
	*ret_bytes = bytes;
	return 0;
}
