/*
 * The payload of a text message is a JSON string, that of any other Base64. A text that is no UTF-8
 * cannot come from weir, but would make the line something else than JSON: it is Base64 too.
 *
 * A large payload is read twice, in pieces: to see whether it is UTF-8, and to write it.
 */
#include "cli/envelope.h"

#include "base/moment.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/base64.h>
#include <stdarg.h>
#include <string.h>

#define PIECE (3 * KIB(16)) /* Base64 goes on from piece to piece without padding */
#define LINE_MAX_SIZE 160

typedef void put_piece(struct output *output, const uint8_t *data, size_t size);

__attribute__((format(printf, 2, 3))) static void put(struct output *output, const char *format,
						      ...)
{
	char text[LINE_MAX_SIZE];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	output_write(output, text, MIN((size_t)MAX(size, 0), sizeof(text) - 1));
}

static void put_text(struct output *output, const char *text)
{
	output_write(output, text, strlen(text));
}

static void put_number(struct output *output, uint64_t number)
{
	char digits[20], *begin = digits + sizeof(digits);

	do
		*--begin = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	output_write(output, begin, (size_t)(digits + sizeof(digits) - begin));
}

#define EACH_BYTE(byte) ((uint64_t)(byte)*UINT64_C(0x0101010101010101))

/* Which bytes are zero: the highest bit of each. Above such a one, others may be said to be. */
static uint64_t zeros(uint64_t word)
{
	return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

/* Whether one of eight bytes may be special. */
static bool may_be_special(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return (((word - EACH_BYTE(' ')) & ~word & EACH_BYTE(0x80)) | zeros(word ^ EACH_BYTE('"')) |
		zeros(word ^ EACH_BYTE('\\'))) != 0;
}

/* Bytes of a JSON string that cannot stand for themselves. */
static bool is_special(uint8_t byte)
{
	return byte < ' ' || byte == '"' || byte == '\\';
}

static void put_escape(struct output *output, uint8_t byte)
{
	static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
				       ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

	if (byte < sizeof(letters) && letters[byte])
		output_write(output, (const char[]){'\\', letters[byte]}, 2);
	else
		put(output, "\\u%04x", byte);
}

static void put_string(struct output *output, const uint8_t *data, size_t size)
{
	size_t begin = 0;

	for (size_t at = 0; at < size; at++) {
		while (size - at > sizeof(uint64_t) && !may_be_special(data + at))
			at += sizeof(uint64_t);
		if (!is_special(data[at]))
			continue;
		output_write(output, data + begin, at - begin);
		put_escape(output, data[at]);
		begin = at + 1;
	}
	output_write(output, data + begin, size - begin);
}

static void put_base64(struct output *output, const uint8_t *data, size_t size)
{
	char text[BASE64_ENCODE_RAW_LENGTH(PIECE)];

	for (size_t at = 0; at < size; at += PIECE) {
		size_t part = MIN(size - at, PIECE);

		base64_encode_raw(text, part, data + at);
		output_write(output, text, BASE64_ENCODE_RAW_LENGTH(part));
	}
}

/* Puts a payload, wherever it is. */
static int put_payload(struct output *output, struct reader *reader, const struct record *record,
		       put_piece *put_one)
{
	uint8_t piece[PIECE];
	uint64_t at = 0;
	ssize_t n;

	if (record->payload) {
		put_one(output, record->payload, (size_t)record->entry.length);
		return 0;
	}
	while ((n = reader_payload(reader, at, piece, sizeof(piece))) > 0) {
		put_one(output, piece, (size_t)n);
		at += (uint64_t)n;
	}
	return n == 0 && at < record->entry.length ? -EBADMSG : (int)n;
}

/* 1: the payload is a text. */
static int is_text(struct reader *reader, const struct record *record)
{
	utf8_state state = UTF8_WHOLE;
	uint8_t piece[PIECE];
	uint64_t at = 0;
	ssize_t n;

	if (record->entry.kind != FORMAT_TEXT)
		return 0;
	if (record->payload)
		return utf8_is_valid(record->payload, (size_t)record->entry.length);
	while ((n = reader_payload(reader, at, piece, sizeof(piece))) > 0) {
		state = utf8_validate(state, piece, (size_t)n);
		at += (uint64_t)n;
	}
	return n < 0 ? (int)n : state == UTF8_WHOLE;
}

static int put_message(struct output *output, struct reader *reader, const struct record *record)
{
	int text = is_text(reader, record);
	int r;

	if (text < 0)
		return text;
	put_text(output, text ? ",\"payload\":\"" : ",\"payload_base64\":\"");
	r = put_payload(output, reader, record, text ? put_string : put_base64);
	output_byte(output, '"');
	return r;
}

static const char *kind_name(const struct record *record)
{
	switch (record->entry.kind) {
	case FORMAT_TEXT:
		return "text";
	case FORMAT_CONNECTED:
		return "connected";
	case FORMAT_DISCONNECTED:
		return "disconnected";
	case FORMAT_GAP:
		return "gap";
	case FORMAT_RECONNECTED:
		return "reconnected";
	case FORMAT_GAP_END:
		return "gap-end";
	default:
		return format_is_event(&record->entry) ? "event" : "binary";
	}
}

static const char *loss_name(unsigned loss)
{
	static const char *const names[] = {
		[FORMAT_LOSS_CLOSED] = "closed",	 [FORMAT_LOSS_ENDED] = "ended",
		[FORMAT_LOSS_BROKEN] = "broken",	 [FORMAT_LOSS_VIOLATED] = "violated",
		[FORMAT_LOSS_SILENT] = "silent",	 [FORMAT_LOSS_IDLE] = "idle",
		[FORMAT_LOSS_UNANSWERED] = "unanswered", [FORMAT_LOSS_OPENING] = "opening",
	};

	return loss < ARRAY_SIZE(names) ? names[loss] : "unknown";
}

static const char *cause_name(unsigned cause)
{
	static const char *const names[] = {
		[FORMAT_CAUSE_SERVER] = "server",
		[FORMAT_CAUSE_DROPPED] = "dropped",
		[FORMAT_CAUSE_DAMAGED] = "damaged",
		[FORMAT_CAUSE_LOST] = "lost",
	};

	return cause < ARRAY_SIZE(names) ? names[cause] : "unknown";
}

/* A count of which 0 means that nobody knows. */
static void put_count(struct output *output, const char *name, uint64_t count)
{
	if (count > 0)
		put(output, ",\"%s\":%" PRIu64, name, count);
	else
		put(output, ",\"%s\":null", name);
}

static void put_event(struct output *output, const struct format_entry *entry)
{
	unsigned reason = entry->flags >> 4;

	switch (entry->kind) {
	case FORMAT_CONNECTED:
		break;
	case FORMAT_DISCONNECTED:
		put(output, ",\"code\":%u,\"reason\":\"%s\",\"cut\":%s,\"cut_bytes\":%" PRIu64,
		    (unsigned)(entry->length & UINT16_MAX), loss_name(reason),
		    entry->flags & FORMAT_FLAG_CUT ? "true" : "false", entry->length >> 16);
		break;
	case FORMAT_GAP:
		put(output, ",\"cause\":\"%s\"", cause_name(reason));
		put_count(output, "missing", entry->length);
		break;
	case FORMAT_GAP_END:
		put_count(output, "missing_bytes", entry->length);
		break;
	case FORMAT_RECONNECTED:
		put(output, ",\"down_ns\":%" PRIu64, entry->length);
		break;
	default:
		put(output, ",\"event\":%u,\"flags\":%u,\"value\":%" PRIu64, entry->kind,
		    entry->flags, entry->length);
	}
}

int envelope_write(struct output *output, struct reader *reader, const struct record *record)
{
	const struct format_entry *entry = &record->entry;
	char time[MOMENT_TEXT_SIZE];
	int r = 0;

	put_text(output, "{\"seq\":");
	put_number(output, record->seq);
	put_text(output, ",\"time\":\"");
	put_text(output, moment_format(entry->time_ns, time));
	put_text(output, "\",\"kind\":\"");
	put_text(output, kind_name(record));
	put_text(output, "\",\"source\":");
	if (entry->source == FORMAT_SOURCE_ANY && format_is_event(entry))
		put_text(output, "null");
	else
		put_number(output, entry->source);
	put_text(output, ",\"connection\":");
	put_number(output, entry->connection);
	if (format_is_event(entry))
		put_event(output, entry);
	else
		r = put_message(output, reader, record);
	output_byte(output, '}');
	return r;
}
