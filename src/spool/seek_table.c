/*
 * A compressed file is a row of zstd frames, each of which can be decompressed by itself. Two more
 * stand behind those of the data, of the kind that decompressors skip: one holds the index, byte by
 * byte as it was; the last one is the table, an entry of eight bytes for each frame before it, and
 * a footer by which it is found from the end. What is in it is checked here, so that nobody below
 * has to doubt it: it says how much memory is needed, and where to read.
 */
#include "spool/seek_table.h"

#include "base/io.h"
#include "spool/format.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define SKIPPED_INDEX 0x184D2A57u
#define SKIPPED_TABLE 0x184D2A5Eu
#define SEEKABLE 0x8F92EAB1u
#define ENTRY_SIZE 8
#define CHECKSUM_SIZE 4 /* of an entry; other programs add one */
#define FOOTER_SIZE 9
#define HAS_CHECKSUMS 0x80u
#define RESERVED 0x7cu

static uint32_t get_32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static void put_32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

bool seek_table_is_index(const uint8_t *head)
{
	return get_32(head) == SKIPPED_INDEX;
}

uint32_t seek_table_read_head(const uint8_t head[SEEK_TABLE_HEAD_SIZE])
{
	return get_32(head + 4);
}

/* Reads exactly so much. */
static int read_exactly(int fd, void *data, size_t size, uint64_t offset)
{
	ssize_t n = io_pread_all(fd, data, size, (off_t)offset);

	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -EBADMSG;
}

/* How the table looks, by its footer. */
struct shape {
	size_t entries;
	size_t entry_size;
	uint64_t at; /* where its frame begins */
};

static int read_footer(int fd, uint64_t file_size, struct shape *ret_shape)
{
	uint8_t footer[FOOTER_SIZE];
	struct shape shape;
	uint64_t size;
	int r;

	if (file_size < FOOTER_SIZE + SEEK_TABLE_HEAD_SIZE)
		return -EBADMSG;
	r = read_exactly(fd, footer, sizeof(footer), file_size - FOOTER_SIZE);
	if (r < 0)
		return r;
	if (get_32(footer + 5) != SEEKABLE || (footer[4] & RESERVED))
		return -EBADMSG;
	shape.entries = get_32(footer);
	shape.entry_size = ENTRY_SIZE + (footer[4] & HAS_CHECKSUMS ? CHECKSUM_SIZE : 0);
	size = SEEK_TABLE_HEAD_SIZE + shape.entries * shape.entry_size + FOOTER_SIZE;
	if (shape.entries < 1 || shape.entries > SEEK_TABLE_FRAMES_MAX || size > file_size)
		return -EBADMSG;
	shape.at = file_size - size;
	*ret_shape = shape;
	return 0;
}

/* Makes frames of entries. The last entry is the index's, and none but it is without data. */
static int take_entries(struct seek_table *table, const struct shape *shape, const uint8_t *entries)
{
	struct seek_frame next = {0};

	for (size_t i = 0; i < shape->entries; i++) {
		const uint8_t *entry = entries + i * shape->entry_size;
		uint32_t packed = get_32(entry), plain = get_32(entry + 4);
		bool last = i == table->count;

		if ((plain == 0) != last || plain > SEEK_TABLE_FRAME_MAX || packed == 0 ||
		    (!last && packed > SEEK_TABLE_FRAME_MAX * 2))
			return -EBADMSG;
		table->frames[i] = next;
		next.at += packed;
		next.start += plain;
		if (last)
			break;
		table->packed_max = MAX(table->packed_max, (size_t)packed);
		table->plain_max = MAX(table->plain_max, (size_t)plain);
	}
	return next.at == shape->at ? 0 : -EBADMSG;
}

static int find_index(int fd, struct seek_table *table, uint64_t end)
{
	uint8_t head[SEEK_TABLE_HEAD_SIZE];
	uint64_t at = table->frames[table->count].at;
	int r = read_exactly(fd, head, sizeof(head), at);

	if (r < 0)
		return r;
	table->index_at = at + SEEK_TABLE_HEAD_SIZE;
	table->index_size = seek_table_read_head(head);
	if (!seek_table_is_index(head) || table->index_at + table->index_size != end ||
	    table->index_size < FORMAT_HEADER_SIZE)
		return -EBADMSG;
	return 0;
}

static int read_entries(int fd, struct seek_table *table, const struct shape *shape)
{
	size_t size = SEEK_TABLE_HEAD_SIZE + shape->entries * shape->entry_size;
	CLEANUP_FREE uint8_t *bytes = malloc(size);
	int r;

	table->count = shape->entries - 1;
	table->frames = calloc(shape->entries, sizeof(*table->frames));
	if (!bytes || !table->frames)
		return -ENOMEM;
	r = read_exactly(fd, bytes, size, shape->at);
	if (r < 0)
		return r;
	if (get_32(bytes) != SKIPPED_TABLE ||
	    get_32(bytes + 4) != size - SEEK_TABLE_HEAD_SIZE + FOOTER_SIZE)
		return -EBADMSG;
	return take_entries(table, shape, bytes + SEEK_TABLE_HEAD_SIZE);
}

int seek_table_read(int fd, struct seek_table *ret_table)
{
	CLEANUP(seek_table_done) struct seek_table table = {0};
	struct shape shape;
	struct stat status;
	int r;

	if (fstat(fd, &status) < 0)
		return -errno;
	r = read_footer(fd, (uint64_t)status.st_size, &shape);
	if (r >= 0)
		r = read_entries(fd, &table, &shape);
	if (r >= 0)
		r = find_index(fd, &table, shape.at);
	if (r < 0)
		return r;
	*ret_table = table;
	table.frames = NULL;
	return 0;
}

void seek_table_write_head(uint8_t to[SEEK_TABLE_HEAD_SIZE], uint32_t index_size)
{
	put_32(to, SKIPPED_INDEX);
	put_32(to + 4, index_size);
}

int seek_table_make(const struct seek_frame *frames, size_t count, uint64_t index_size,
		    uint8_t **ret_bytes, size_t *ret_size)
{
	size_t size = SEEK_TABLE_HEAD_SIZE + (count + 1) * ENTRY_SIZE + FOOTER_SIZE;
	uint8_t *bytes = malloc(size), *to = bytes;

	if (!bytes)
		return -ENOMEM;
	put_32(to, SKIPPED_TABLE);
	put_32(to + 4, (uint32_t)(size - SEEK_TABLE_HEAD_SIZE));
	to += SEEK_TABLE_HEAD_SIZE;
	for (size_t i = 0; i < count; i++, to += ENTRY_SIZE) {
		put_32(to, (uint32_t)(frames[i + 1].at - frames[i].at));
		put_32(to + 4, (uint32_t)(frames[i + 1].start - frames[i].start));
	}
	put_32(to, (uint32_t)(SEEK_TABLE_HEAD_SIZE + index_size));
	put_32(to + 4, 0);
	to += ENTRY_SIZE;
	put_32(to, (uint32_t)(count + 1));
	to[4] = 0;
	put_32(to + 5, SEEKABLE);
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

void seek_table_done(struct seek_table *table)
{
	free(table->frames);
	table->frames = NULL;
}
