/*
 * Little-endian integers at fixed places; the structs below are laid out so that they have no
 * holes, and are only ever looked at through these functions. An entry's checksum stands behind the
 * fields that it covers, and covers the payload first: it can be continued while a message streams
 * by, whose length is known last.
 */
#include "spool/format.h"

#include "base/crc32c.h"

#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint8_t magic[8] = {0x89, 'W', 'E', 'I', 'R', '\r', '\n', 0x1a};

struct stored_header {
	uint8_t magic[8];
	uint16_t version;
	uint16_t header_size;
	uint16_t entry_size;
	uint8_t separator_size;
	uint8_t separator;
	uint64_t first_seq;
	uint64_t created_ns;
	uint64_t records;
	uint8_t zero[20];
	uint32_t crc; /* of all before it */
};

struct stored_entry {
	uint64_t where; /* offset and source: 48 and 16 bits from the lowest */
	uint64_t length;
	uint64_t time_ns;
	uint32_t what; /* kind, flags, connection: 8, 8 and 16 bits from the lowest */
	uint32_t crc;  /* of the payload, then of all before it */
};

static_assert(sizeof(struct stored_header) == FORMAT_HEADER_SIZE, "the header has no holes");
static_assert(sizeof(struct stored_entry) == FORMAT_ENTRY_SIZE, "an entry has no holes");

void format_write_header(uint8_t to[FORMAT_HEADER_SIZE], const struct format_header *header)
{
	struct stored_header stored = {
		.version = htole16(FORMAT_VERSION),
		.header_size = htole16(FORMAT_HEADER_SIZE),
		.entry_size = htole16(FORMAT_ENTRY_SIZE),
		.separator_size = 1,
		.separator = FORMAT_SEPARATOR,
		.first_seq = htole64(header->first_seq),
		.created_ns = htole64(header->created_ns),
		.records = htole64(header->records),
	};

	memcpy(stored.magic, magic, sizeof(magic));
	stored.crc = htole32(crc32c(0, &stored, offsetof(struct stored_header, crc)));
	memcpy(to, &stored, sizeof(stored));
}

int format_read_header(const uint8_t from[FORMAT_HEADER_SIZE], struct format_header *ret_header)
{
	struct stored_header stored;

	memcpy(&stored, from, sizeof(stored));
	if (memcmp(stored.magic, magic, sizeof(magic)) != 0)
		return FORMAT_FOREIGN;
	if (le32toh(stored.crc) != crc32c(0, &stored, offsetof(struct stored_header, crc)))
		return FORMAT_DAMAGED;
	if (le16toh(stored.version) != FORMAT_VERSION)
		return FORMAT_UNKNOWN;
	if (le16toh(stored.header_size) != FORMAT_HEADER_SIZE ||
	    le16toh(stored.entry_size) != FORMAT_ENTRY_SIZE || stored.separator_size != 1)
		return FORMAT_FOREIGN;
	ret_header->first_seq = le64toh(stored.first_seq);
	ret_header->created_ns = le64toh(stored.created_ns);
	ret_header->records = le64toh(stored.records);
	return 0;
}

static inline void put_64(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static inline void put_32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

/* This is done for every message: from registers right to its place. To put the words together
 * somewhere else first, and then copy or check the whole, would have to wait for each of them. */
void format_write_entry(uint8_t to[FORMAT_ENTRY_SIZE], const struct format_entry *entry,
			uint32_t payload_crc)
{
	uint64_t where = entry->offset | (uint64_t)entry->source << 48;
	uint32_t what = (uint32_t)entry->kind | (uint32_t)entry->flags << 8 |
			(uint32_t)entry->connection << 16;

	put_64(to + offsetof(struct stored_entry, where), where);
	put_64(to + offsetof(struct stored_entry, length), entry->length);
	put_64(to + offsetof(struct stored_entry, time_ns), entry->time_ns);
	put_32(to + offsetof(struct stored_entry, what), what);
	put_32(to + offsetof(struct stored_entry, crc),
	       crc32c_fields(payload_crc, where, entry->length, entry->time_ns, what));
}

static inline uint64_t get_64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

static inline uint32_t get_32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

/* Word by word into its place, for the same reason. */
void format_read_entry(const uint8_t from[FORMAT_ENTRY_SIZE], struct format_entry *ret_entry)
{
	uint64_t where = get_64(from + offsetof(struct stored_entry, where));
	uint32_t what = get_32(from + offsetof(struct stored_entry, what));

	ret_entry->offset = where & FORMAT_OFFSET_MAX;
	ret_entry->length = get_64(from + offsetof(struct stored_entry, length));
	ret_entry->time_ns = get_64(from + offsetof(struct stored_entry, time_ns));
	ret_entry->kind = (uint8_t)what;
	ret_entry->flags = (uint8_t)(what >> 8);
	ret_entry->source = (uint16_t)(where >> 48);
	ret_entry->connection = (uint16_t)(what >> 16);
	ret_entry->crc = get_32(from + offsetof(struct stored_entry, crc));
}

bool format_entry_is_valid(const uint8_t entry[FORMAT_ENTRY_SIZE], uint32_t payload_crc)
{
	return get_32(entry + offsetof(struct stored_entry, crc)) ==
	       crc32c_fields(payload_crc, get_64(entry + offsetof(struct stored_entry, where)),
			     get_64(entry + offsetof(struct stored_entry, length)),
			     get_64(entry + offsetof(struct stored_entry, time_ns)),
			     get_32(entry + offsetof(struct stored_entry, what)));
}

const char *format_name(char to[FORMAT_NAME_SIZE], uint64_t first_seq, const char *suffix)
{
	snprintf(to, FORMAT_NAME_SIZE, "%020" PRIu64 "%s", first_seq, suffix);
	return to;
}

const char *format_parse_number(const char *name, uint64_t *ret_first_seq)
{
	uint64_t seq = 0;

	for (int i = 0; i < 20; i++, name++) {
		uint64_t digit = (uint64_t)(*name - '0');

		if (!isdigit((unsigned char)*name) || __builtin_mul_overflow(seq, 10, &seq) ||
		    __builtin_add_overflow(seq, digit, &seq))
			return NULL;
	}
	*ret_first_seq = seq;
	return name;
}

bool format_parse_name(const char *name, const char *suffix, uint64_t *ret_first_seq)
{
	uint64_t seq;
	const char *found = format_parse_number(name, &seq);

	if (!found || strcmp(found, suffix) != 0)
		return false;
	*ret_first_seq = seq;
	return true;
}
