/*
 * The client's request and what is made of the server's answer. The answer is checked field by
 * field in one pass, and refused as a whole when any of it is not what section 4.1 demands.
 */
#include "websocket/handshake.h"

#include "base/printable.h"
#include "websocket/head.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <string.h>
#include <sys/random.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* section 1.3 */
#define KEY_BYTES 16

/* Headers that only the handshake may set. */
static const char *const own_headers[] = {
	"Host",
	"Upgrade",
	"Connection",
	"Content-Length",
	"Transfer-Encoding",
	"Sec-WebSocket-Key",
	"Sec-WebSocket-Version",
	"Sec-WebSocket-Extensions",
	"Sec-WebSocket-Protocol",
};

int handshake_make_key(char ret_key[HANDSHAKE_KEY_SIZE])
{
	uint8_t bytes[KEY_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -errno;
	base64_encode_raw(ret_key, sizeof(bytes), bytes);
	ret_key[HANDSHAKE_KEY_SIZE - 1] = '\0';
	return 0;
}

void handshake_accept(const char *key, char ret_accept[HANDSHAKE_ACCEPT_SIZE])
{
	struct sha1_ctx sha1;
	uint8_t digest[SHA1_DIGEST_SIZE];

	sha1_init(&sha1);
	sha1_update(&sha1, strlen(key), (const uint8_t *)key);
	sha1_update(&sha1, strlen(GUID), (const uint8_t *)GUID);
	sha1_digest(&sha1, sizeof(digest), digest);
	base64_encode_raw(ret_accept, sizeof(digest), digest);
	ret_accept[HANDSHAKE_ACCEPT_SIZE - 1] = '\0';
}

bool handshake_header_is_valid(const char *line)
{
	const char *colon = strchr(line, ':');
	struct head_field field = {.name = line};

	if (!colon || !head_is_token(line, (size_t)(colon - line)))
		return false;
	for (const char *c = colon; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return false;
	field.name_size = (size_t)(colon - line);
	for (size_t i = 0; i < ARRAY_SIZE(own_headers); i++)
		if (head_name_is(&field, own_headers[i]))
			return false;
	return true;
}

int handshake_request(struct buffer *to, const struct url *url, const char *key,
		      const char *const *headers, size_t header_count)
{
	int r = buffer_appendf(to,
			       "GET %s HTTP/1.1\r\n"
			       "Host: %s\r\n"
			       "Upgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Key: %s\r\n"
			       "Sec-WebSocket-Version: 13\r\n",
			       url->target, url->host_header, key);

	for (size_t i = 0; r == 0 && i < header_count; i++)
		r = buffer_appendf(to, "%s\r\n", headers[i]);
	if (r == 0)
		r = buffer_append(to, "\r\n", 2);
	return r;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 101 Switching Protocols"; the phrase, and the blank before it, may be missing. */
static bool parse_status_line(const char *line, size_t size, struct handshake_response *response)
{
	const char *code = line + 9;

	if (size < 12 || strncmp(line, "HTTP/1.1 ", 9) != 0)
		return false;
	if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]))
		return false;
	if (size > 12 && line[12] != ' ')
		return false;
	response->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
	printable_copy(response->reason, sizeof(response->reason), line + MIN(size, (size_t)13),
		       size - MIN(size, (size_t)13));
	return true;
}

struct seen {
	bool upgrade;
	bool other_upgrade;
	bool connection;
	int accepts;
	bool accepted;
	bool extension;
	bool subprotocol;
};

static void see_field(struct seen *seen, const struct head_field *field, const char *accept,
		      struct handshake_response *response)
{
	if (head_name_is(field, "Upgrade")) {
		if (head_value_is(field, "websocket"))
			seen->upgrade = true;
		else
			seen->other_upgrade = true;
	} else if (head_name_is(field, "Connection")) {
		seen->connection |= head_value_has(field, "upgrade");
	} else if (head_name_is(field, "Sec-WebSocket-Accept")) {
		seen->accepts++;
		seen->accepted = field->value_size == strlen(accept) &&
				 memcmp(field->value, accept, field->value_size) == 0;
	} else if (head_name_is(field, "Sec-WebSocket-Extensions")) {
		seen->extension |= field->value_size > 0;
	} else if (head_name_is(field, "Sec-WebSocket-Protocol")) {
		seen->subprotocol |= field->value_size > 0;
	} else if (head_name_is(field, "Location")) {
		printable_copy(response->location, sizeof(response->location), field->value,
			       field->value_size);
	}
}

static enum handshake_error judge(const struct seen *seen, int status)
{
	if (status != 101)
		return HANDSHAKE_STATUS;
	if (!seen->upgrade || seen->other_upgrade)
		return HANDSHAKE_UPGRADE;
	if (!seen->connection)
		return HANDSHAKE_CONNECTION;
	if (seen->accepts != 1 || !seen->accepted)
		return HANDSHAKE_ACCEPT;
	if (seen->extension)
		return HANDSHAKE_EXTENSION;
	return seen->subprotocol ? HANDSHAKE_SUBPROTOCOL : 0;
}

/* Reads a head that is there as a whole. */
static enum handshake_error parse_head(const char *at, const char *end, const char *accept,
				       struct handshake_response *response)
{
	struct seen seen = {0};
	struct head_field field;
	const char *line;
	size_t size;
	int r;

	if (!head_next_line(&at, end, &line, &size) || !parse_status_line(line, size, response))
		return HANDSHAKE_NOT_HTTP;
	while ((r = head_next_field(&at, end, &field)) > 0)
		see_field(&seen, &field, accept, response);
	return r < 0 ? HANDSHAKE_NOT_HTTP : judge(&seen, response->status);
}

/* Whether what came so far can still become "HTTP/1.1 …", so that anything else is told at once. */
static bool begins_like_http(const char *data, size_t size)
{
	return memcmp(data, "HTTP/1.1 ", MIN(size, (size_t)9)) == 0;
}

ssize_t handshake_parse_response(const char *data, size_t size, const char *accept,
				 struct handshake_response *ret_response,
				 enum handshake_error *ret_error)
{
	struct handshake_response response = {0};
	size_t head = head_size(data, MIN(size, (size_t)HANDSHAKE_HEAD_MAX));
	enum handshake_error error = 0;

	if (!begins_like_http(data, size))
		error = HANDSHAKE_NOT_HTTP;
	else if (head > 0)
		error = parse_head(data, data + head, accept, &response);
	else if (size >= HANDSHAKE_HEAD_MAX)
		error = HANDSHAKE_TOO_LONG;
	if (error == 0)
		return (ssize_t)head;
	if (error == HANDSHAKE_STATUS)
		*ret_response = response;
	*ret_error = error;
	return -EBADMSG;
}

const char *handshake_error_text(enum handshake_error error)
{
	static const char *const texts[] = {
		[HANDSHAKE_NOT_HTTP] = "did not answer in HTTP/1.1",
		[HANDSHAKE_TOO_LONG] = "answered with more than 16 KiB of headers",
		[HANDSHAKE_STATUS] = "answered with another status than 101",
		[HANDSHAKE_UPGRADE] = "accepted without \"Upgrade: websocket\"",
		[HANDSHAKE_CONNECTION] = "accepted without \"Connection: Upgrade\"",
		[HANDSHAKE_ACCEPT] = "sent a wrong Sec-WebSocket-Accept: it is no WebSocket "
				     "server, or something in between answers for it",
		[HANDSHAKE_EXTENSION] = "chose an extension that was not offered",
		[HANDSHAKE_SUBPROTOCOL] = "chose a subprotocol that was not offered",
	};

	return texts[error];
}
