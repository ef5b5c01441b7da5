/*
 * What is made of the server's answer. It is read field by field in one pass, and refused as a
 * whole when any of it is not what section 4.1 demands.
 *
 * A refusal is told as soon as its head is complete, with what the next attempt needs to know:
 * where to, and when.
 */
#include "websocket/handshake.h"

#include "base/clock.h"
#include "base/printable.h"
#include "websocket/head.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#define DATE_SIZE 64

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

/* What was found, and what is missing still. */
struct seen {
	const struct handshake_expected *expected;
	struct handshake_response *response;
	size_t fields;
	bool upgrade;
	bool other_upgrade;
	bool connection;
	int accepts;
	bool accepted;
	struct extension_answer extensions;
	int subprotocols;
	int locations;
};

static bool value_equals(const struct head_field *field, const char *text)
{
	return field->value_size == strlen(text) &&
	       memcmp(field->value, text, field->value_size) == 0;
}

/* To upgrade to something else as well is to do neither. */
static void see_upgrade(struct seen *seen, const struct head_field *field)
{
	if (head_value_is(field, "websocket"))
		seen->upgrade = true;
	else
		seen->other_upgrade = true;
}

static void see_accept(struct seen *seen, const struct head_field *field)
{
	seen->accepts++;
	seen->accepted = value_equals(field, seen->expected->accept);
}

/* An empty value is no choice. One that was not offered stays unknown, which judge() notices. */
static void see_subprotocol(struct seen *seen, const struct head_field *field)
{
	const struct handshake_expected *expected = seen->expected;

	if (field->value_size == 0)
		return;
	seen->subprotocols++;
	for (size_t i = 0; i < expected->subprotocol_count; i++)
		if (value_equals(field, expected->subprotocols[i]))
			seen->response->subprotocol = expected->subprotocols[i];
}

static bool is_visible(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

static void see_location(struct seen *seen, const struct head_field *field)
{
	struct handshake_response *response = seen->response;

	printable_copy(response->location, sizeof(response->location), field->value,
		       field->value_size);
	response->target[0] = '\0';
	if (++seen->locations > 1 || field->value_size >= sizeof(response->target) ||
	    !is_visible(field->value, field->value_size))
		return;
	memcpy(response->target, field->value, field->value_size);
	response->target[field->value_size] = '\0';
}

/* Whole seconds; more than a day of them is a day. false: something else. */
static bool parse_seconds(const struct head_field *field, uint64_t *ret_ns)
{
	uint64_t seconds = 0;

	for (size_t i = 0; i < field->value_size; i++) {
		if (!is_digit(field->value[i]))
			return false;
		seconds = seconds * 10 + (uint64_t)(field->value[i] - '0');
		seconds = MIN(seconds, (uint64_t)HANDSHAKE_RETRY_MAX_S);
	}
	*ret_ns = seconds * NS_PER_S;
	return field->value_size > 0;
}

/* How long it is until a date; 0: it is over, or it is none. */
static uint64_t until_date(const struct head_field *field, uint64_t now_ns)
{
	char date[DATE_SIZE];
	time_t when;
	uint64_t now_s = now_ns / NS_PER_S;

	if (field->value_size >= sizeof(date))
		return 0;
	memcpy(date, field->value, field->value_size);
	date[field->value_size] = '\0';
	when = curl_getdate(date, NULL);
	if (when < 0 || (uint64_t)when <= now_s)
		return 0;
	return MIN((uint64_t)when - now_s, (uint64_t)HANDSHAKE_RETRY_MAX_S) * NS_PER_S;
}

/* Of several, the longest. */
static void see_retry_after(struct seen *seen, const struct head_field *field)
{
	uint64_t *after_ns = &seen->response->retry_after_ns;
	uint64_t ns;

	if (!parse_seconds(field, &ns))
		ns = until_date(field, seen->expected->now_ns);
	*after_ns = MAX(*after_ns, ns);
}

static void see_field(struct seen *seen, const struct head_field *field)
{
	seen->fields++;
	if (head_name_is(field, "Upgrade"))
		see_upgrade(seen, field);
	else if (head_name_is(field, "Connection"))
		seen->connection |= head_value_has(field, "upgrade");
	else if (head_name_is(field, "Sec-WebSocket-Accept"))
		see_accept(seen, field);
	else if (head_name_is(field, "Sec-WebSocket-Extensions"))
		extension_answer_field(&seen->extensions, field->value, field->value_size);
	else if (head_name_is(field, "Sec-WebSocket-Protocol"))
		see_subprotocol(seen, field);
	else if (head_name_is(field, "Location"))
		see_location(seen, field);
	else if (head_name_is(field, "Retry-After"))
		see_retry_after(seen, field);
}

static enum handshake_error judge(const struct seen *seen)
{
	if (seen->fields > HANDSHAKE_FIELDS_MAX)
		return HANDSHAKE_MANY_FIELDS;
	if (seen->response->status != 101)
		return HANDSHAKE_STATUS;
	if (!seen->upgrade || seen->other_upgrade)
		return HANDSHAKE_UPGRADE;
	if (!seen->connection)
		return HANDSHAKE_CONNECTION;
	if (seen->accepts != 1 || !seen->accepted)
		return HANDSHAKE_ACCEPT;
	seen->response->extension_error =
		extension_answer_end(&seen->extensions, &seen->response->extension);
	if (seen->response->extension_error)
		return HANDSHAKE_EXTENSION;
	if (seen->subprotocols > 1 || (seen->subprotocols == 1 && !seen->response->subprotocol))
		return HANDSHAKE_SUBPROTOCOL;
	return 0;
}

/* Reads a head that is there as a whole. */
static enum handshake_error parse_head(const char *at, const char *end,
				       const struct handshake_expected *expected,
				       struct handshake_response *response)
{
	struct seen seen = {.expected = expected, .response = response};
	struct head_field field;
	const char *line;
	size_t size;
	int r;

	extension_answer_init(&seen.extensions, expected->compression);
	if (!head_next_line(&at, end, &line, &size) || !parse_status_line(line, size, response))
		return HANDSHAKE_NOT_HTTP;
	while ((r = head_next_field(&at, end, &field)) > 0 && seen.fields <= HANDSHAKE_FIELDS_MAX)
		see_field(&seen, &field);
	return r < 0 ? HANDSHAKE_NOT_HTTP : judge(&seen);
}

/* Whether what came so far can still become "HTTP/1.1 …", so that anything else is told at once. */
static bool begins_like_http(const char *data, size_t size)
{
	return memcmp(data, "HTTP/1.1 ", MIN(size, (size_t)9)) == 0;
}

/* A line that does not end in CR LF, which would be waited for in vain. */
static bool has_bare_lf(const char *data, size_t size)
{
	const char *lf = memchr(data, '\n', size);

	while (lf && lf > data && lf[-1] == '\r')
		lf = memchr(lf + 1, '\n', size - (size_t)(lf + 1 - data));
	return lf;
}

ssize_t handshake_read_response(const char *data, size_t size,
				const struct handshake_expected *expected,
				struct handshake_response *ret_response,
				enum handshake_error *ret_error)
{
	struct handshake_response response = {0};
	size_t head = head_size(data, MIN(size, (size_t)HANDSHAKE_HEAD_MAX));
	enum handshake_error error = 0;

	if (!begins_like_http(data, size) || has_bare_lf(data, head > 0 ? head : size))
		error = HANDSHAKE_NOT_HTTP;
	else if (head > 0)
		error = parse_head(data, data + head, expected, &response);
	else if (size >= HANDSHAKE_HEAD_MAX)
		error = HANDSHAKE_TOO_LONG;
	if (head > 0 && (error == 0 || error == HANDSHAKE_STATUS || error == HANDSHAKE_EXTENSION))
		*ret_response = response;
	if (error == 0)
		return (ssize_t)head;
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
		[HANDSHAKE_EXTENSION] = "chose extensions that were not offered so",
		[HANDSHAKE_SUBPROTOCOL] = "chose a subprotocol that was not offered, or several",
		[HANDSHAKE_MANY_FIELDS] = "answered with more than 256 header lines",
	};

	return texts[error];
}
