/*
 * The client's request, and what may be part of one. What a user gives is checked before the first
 * connection: nothing in it can end its line, or take the place of what the handshake itself says.
 */
#include "websocket/handshake.h"

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

/* Whether it can stand in a line: no control characters, but the tab. */
static bool is_field_value(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

/* Up to the colon of "Name: value". false: it has none, or what is before it is no token. */
static bool find_name(const char *line, struct head_field *ret_field)
{
	const char *colon = strchr(line, ':');

	if (!colon || !head_is_token(line, (size_t)(colon - line)))
		return false;
	*ret_field = (struct head_field){.name = line, .name_size = (size_t)(colon - line)};
	return true;
}

bool handshake_header_is(const char *line, const char *name)
{
	struct head_field field;

	return find_name(line, &field) && head_name_is(&field, name);
}

const char *handshake_header_own(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_headers); i++)
		if (handshake_header_is(line, own_headers[i]))
			return own_headers[i];
	return NULL;
}

bool handshake_header_is_valid(const char *line)
{
	struct head_field field;

	return find_name(line, &field) && is_field_value(line + field.name_size) &&
	       !handshake_header_own(line);
}

bool handshake_user_agent_is_valid(const char *text)
{
	return *text && is_field_value(text);
}

bool handshake_origin_is_valid(const char *text)
{
	const char *host = strstr(text, "://");

	if (strcmp(text, "null") == 0)
		return true;
	if (!host || !head_is_token(text, (size_t)(host - text)))
		return false;
	host += 3;
	for (const char *c = host; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("/?#@", *c))
			return false;
	return *host;
}

bool handshake_subprotocols_are_valid(const char *const *subprotocols, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!head_is_token(subprotocols[i], strlen(subprotocols[i])))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(subprotocols[i], subprotocols[j]) == 0)
				return false;
	}
	return true;
}

/* Piece by piece: what is formatted would leave a copy in freed memory. */
static int append_text(struct buffer *to, const char *text)
{
	return buffer_append(to, text, strlen(text));
}

static int append_field(struct buffer *to, const char *name, const char *value)
{
	int r = append_text(to, name);

	if (r == 0)
		r = append_text(to, ": ");
	if (r == 0)
		r = append_text(to, value);
	return r < 0 ? r : append_text(to, "\r\n");
}

static int append_upgrade(struct buffer *to, const struct handshake_request_options *options)
{
	return buffer_appendf(to,
			      "GET %s HTTP/1.1\r\n"
			      "Host: %s\r\n"
			      "Upgrade: websocket\r\n"
			      "Connection: Upgrade\r\n"
			      "Sec-WebSocket-Key: %s\r\n"
			      "Sec-WebSocket-Version: 13\r\n",
			      options->url->target, options->url->host_header, options->key);
}

static int append_subprotocols(struct buffer *to, const struct handshake_request_options *options)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->subprotocol_count; i++) {
		r = append_text(to, i == 0 ? "Sec-WebSocket-Protocol: " : ", ");
		if (r == 0)
			r = append_text(to, options->subprotocols[i]);
	}
	return r < 0 || options->subprotocol_count == 0 ? r : append_text(to, "\r\n");
}

static bool has_header(const struct handshake_request_options *options, const char *name)
{
	for (size_t i = 0; i < options->header_count; i++)
		if (handshake_header_is(options->headers[i], name))
			return true;
	return false;
}

static int append_identity(struct buffer *to, const struct handshake_request_options *options)
{
	int r = 0;

	if (options->user_agent)
		r = append_field(to, "User-Agent", options->user_agent);
	else if (!has_header(options, "User-Agent"))
		r = append_field(to, "User-Agent", "weir/" WEIR_VERSION);
	if (r == 0 && options->origin)
		r = append_field(to, "Origin", options->origin);
	return r;
}

static int append_headers(struct buffer *to, const struct handshake_request_options *options)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->header_count; i++) {
		r = append_text(to, options->headers[i]);
		if (r == 0)
			r = append_text(to, "\r\n");
	}
	return r < 0 ? r : append_text(to, "\r\n");
}

int handshake_write_request(struct buffer *to, const struct handshake_request_options *options)
{
	int r = append_upgrade(to, options);

	if (r == 0)
		r = append_subprotocols(to, options);
	if (r == 0 && options->compression)
		r = extension_write_offer(to, options->compression);
	if (r == 0)
		r = append_identity(to, options);
	return r < 0 ? r : append_headers(to, options);
}
