/* The mirror of handshake.c, for the sources of streams that come with weir. */
#include "websocket/accept.h"

#include "websocket/handshake.h"
#include "websocket/head.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct request {
	bool upgrade;
	bool connection;
	bool version;
	char key[HANDSHAKE_KEY_SIZE];
};

static void see_field(struct request *request, const struct head_field *field)
{
	if (head_name_is(field, "Upgrade")) {
		request->upgrade |= head_value_has(field, "websocket");
	} else if (head_name_is(field, "Connection")) {
		request->connection |= head_value_has(field, "upgrade");
	} else if (head_name_is(field, "Sec-WebSocket-Version")) {
		request->version |= head_value_is(field, "13");
	} else if (head_name_is(field, "Sec-WebSocket-Key")) {
		if (field->value_size == HANDSHAKE_KEY_SIZE - 1)
			memcpy(request->key, field->value, field->value_size);
	}
}

static bool parse(const char *at, const char *end, struct request *request)
{
	struct head_field field;
	const char *line;
	size_t size;
	int r;

	if (!head_next_line(&at, end, &line, &size) || size < 14 || memcmp(line, "GET ", 4) != 0 ||
	    memcmp(line + size - 9, " HTTP/1.1", 9) != 0)
		return false;
	while ((r = head_next_field(&at, end, &field)) > 0)
		see_field(request, &field);
	return r == 0 && request->upgrade && request->connection && request->version &&
	       request->key[0];
}

static int refuse(struct buffer *to)
{
	int r = buffer_appendf(to, "HTTP/1.1 400 Bad Request\r\n"
				   "Connection: close\r\n"
				   "Content-Type: text/plain\r\n"
				   "Content-Length: 32\r\n\r\n"
				   "This is a WebSocket server only\n");

	return r < 0 ? r : -EBADMSG;
}

ssize_t accept_request(const char *data, size_t size, struct buffer *to)
{
	size_t head = head_size(data, size);
	struct request request = {0};
	char answer[HANDSHAKE_ACCEPT_SIZE];
	int r;

	if (head == 0)
		return size >= HANDSHAKE_HEAD_MAX ? refuse(to) : 0;
	if (!parse(data, data + head, &request))
		return refuse(to);
	handshake_accept(request.key, answer);
	r = buffer_appendf(to,
			   "HTTP/1.1 101 Switching Protocols\r\n"
			   "Upgrade: websocket\r\n"
			   "Connection: Upgrade\r\n"
			   "Sec-WebSocket-Accept: %s\r\n\r\n",
			   answer);
	return r < 0 ? r : (ssize_t)head;
}
