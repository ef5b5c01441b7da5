/* The bytes of a spool on disk: the only place in the code that draws them. docs/format.md tells
 * the same to people. */
#ifndef WEIR_SPOOL_FORMAT_H
#define WEIR_SPOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_HEADER_SIZE 64
#define FORMAT_ENTRY_SIZE 32
#define FORMAT_VERSION 2
#define FORMAT_SEPARATOR '\n'

#define FORMAT_NAME_SIZE 40 /* of a file in a spool, with the NUL */
#define FORMAT_LOCK_NAME "lock"
#define FORMAT_DATA_SUFFIX ".data"
#define FORMAT_INDEX_SUFFIX ".index"
#define FORMAT_OPEN_SUFFIX ".index.open"
#define FORMAT_PACKED_SUFFIX ".data.zst"      /* a compressed segment, data and index */
#define FORMAT_PACKING_SUFFIX ".data.zst.new" /* one that is being made, and means nothing */
#define FORMAT_DATA_CUT_SUFFIX ".data.cut"    /* what recovery cut off */
#define FORMAT_INDEX_CUT_SUFFIX ".index.cut"
#define FORMAT_DATA_NEW_SUFFIX ".data.new"   /* a clean copy of a damaged segment, */
#define FORMAT_DRAFT_SUFFIX ".index.draft"   /* which is not finished, */
#define FORMAT_INDEX_NEW_SUFFIX ".index.new" /* or is */
#define FORMAT_ASIDE_SUFFIX ".aside"	     /* behind another suffix, and a number behind it */

/* Records up to FORMAT_EVENT are messages, the numbers of enum message_kind; the rest are events.
 */
enum format_kind {
	FORMAT_TEXT = 1,
	FORMAT_BINARY = 2,
	FORMAT_EVENT = 16,
	FORMAT_CONNECTED = 16,
	FORMAT_DISCONNECTED = 17,
	FORMAT_GAP = 18,	 /* messages are missing; the value says how many */
	FORMAT_RECONNECTED = 19, /* the value says for how many ns there was no connection */
	FORMAT_GAP_END =
		20, /* right behind a gap of ours: the time of the last missing message; the
		       value says how many bytes of payload are missing, 0 if not known */
};

/* No bit has two meanings, although each belongs to some kinds only. */
enum format_flag {
	FORMAT_FLAG_CUT = 1,	     /* of FORMAT_DISCONNECTED: a message was torn off */
	FORMAT_FLAG_KERNEL_TIME = 2, /* of messages: the kernel took the time */
	FORMAT_FLAG_SEQUENCE = 4,    /* of FORMAT_GAP: there is a hole in the server's numbers */
};

/* How a connection ended: bits 4 to 7 of the flags of FORMAT_DISCONNECTED. */
enum format_loss {
	FORMAT_LOSS_CLOSED = 0,	    /* both sides said Close */
	FORMAT_LOSS_ENDED = 1,	    /* the stream ended without a Close */
	FORMAT_LOSS_BROKEN = 2,	    /* it broke */
	FORMAT_LOSS_VIOLATED = 3,   /* the server broke the protocol, or a limit of ours */
	FORMAT_LOSS_SILENT = 4,	    /* no answer to a ping */
	FORMAT_LOSS_IDLE = 5,	    /* no messages */
	FORMAT_LOSS_UNANSWERED = 6, /* our Close was not answered in time */
	FORMAT_LOSS_OPENING = 7,    /* what was said first had not the answer that it wants */
};

#define FORMAT_FLAG_LOSS(loss) ((uint8_t)((unsigned)(loss) << 4))

/* Why messages are missing: the same bits of FORMAT_GAP. */
enum format_cause {
	FORMAT_CAUSE_SERVER = 0,  /* they never came */
	FORMAT_CAUSE_DROPPED = 1, /* there was no room, and the policy is to drop */
	FORMAT_CAUSE_DAMAGED = 2, /* they were captured, and are damaged; no end follows */
	FORMAT_CAUSE_LOST = 3,	  /* they were captured, and a crash took them */
};

#define FORMAT_FLAG_CAUSE_MASK ((uint8_t)0xf0)
#define FORMAT_FLAG_CAUSE(cause) ((uint8_t)((unsigned)(cause) << 4))

/* The source of a gap whose messages may be of any source. */
#define FORMAT_SOURCE_ANY UINT16_MAX

#define FORMAT_OFFSET_MAX ((UINT64_C(1) << 48) - 1)

/* The value of a FORMAT_DISCONNECTED: the close code, and what came of a message torn off. */
#define FORMAT_DISCONNECTED_VALUE(code, cut_bytes) ((uint64_t)(cut_bytes) << 16 | (uint16_t)(code))

struct format_header {
	uint64_t first_seq;
	uint64_t created_ns;
	uint64_t records; /* of a sealed segment; 0: not known */
};

struct format_entry {
	uint64_t offset; /* of the payload in the data file, up to FORMAT_OFFSET_MAX */
	uint64_t length; /* of the payload; of an event: its value */
	uint64_t time_ns;
	uint8_t kind;
	uint8_t flags;
	uint16_t source;
	uint16_t connection;
	uint32_t crc; /* as stored */
};

static inline bool format_is_event(const struct format_entry *entry)
{
	return entry->kind >= FORMAT_EVENT;
}

/* What the record takes of the data file, its separator included. */
static inline uint64_t format_data_size(const struct format_entry *entry)
{
	return format_is_event(entry) ? 0 : entry->length + 1;
}

/* How many whole entries an index of this size has. */
static inline uint64_t format_count_entries(uint64_t index_size)
{
	if (index_size < FORMAT_HEADER_SIZE)
		return 0;
	return (index_size - FORMAT_HEADER_SIZE) / FORMAT_ENTRY_SIZE;
}

void format_write_header(uint8_t to[FORMAT_HEADER_SIZE], const struct format_header *header);

enum format_header_error {
	FORMAT_FOREIGN = 1, /* not an index of ours */
	FORMAT_UNKNOWN,	    /* of a version that this code does not know, newer or older */
	FORMAT_DAMAGED,	    /* ours, but its checksum is wrong */
};

/* 0, or one of enum format_header_error. */
int format_read_header(const uint8_t from[FORMAT_HEADER_SIZE], struct format_header *ret_header);

/* Writes an entry; `payload_crc` is crc32c(0, payload), 0 for an event. */
void format_write_entry(uint8_t to[FORMAT_ENTRY_SIZE], const struct format_entry *entry,
			uint32_t payload_crc);

/* Reads an entry without checking it. */
void format_read_entry(const uint8_t from[FORMAT_ENTRY_SIZE], struct format_entry *ret_entry);

/* Whether the entry and the payload of this checksum belong together and are undamaged. */
bool format_entry_is_valid(const uint8_t entry[FORMAT_ENTRY_SIZE], uint32_t payload_crc);

/* "00000000000000000042.data" for 42 and FORMAT_DATA_SUFFIX. Returns `to`. */
const char *format_name(char to[FORMAT_NAME_SIZE], uint64_t first_seq, const char *suffix);

/* The opposite: whether `name` is such a name with this suffix. */
bool format_parse_name(const char *name, const char *suffix, uint64_t *ret_first_seq);

/* The suffix of a name that begins as those do; NULL: it does not. */
const char *format_parse_number(const char *name, uint64_t *ret_first_seq);

#endif
