/*
 * A request is read up to its empty line and answered. What the peer sends later, which is nothing
 * but its Close, is looked at only at the end.
 */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_REQUEST 8192
#define ACCEPT_SIZE (BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1)
#define MAX_ANSWERS 1000
#define PATIENCE_S 10

int server_listen(uint16_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int server_accept(int listener)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd;

	do {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* Reads up to the empty line that ends the request. */
static int read_request(struct channel *channel, char request[static MAX_REQUEST])
{
	size_t used = 0;

	while (used < MAX_REQUEST - 1) {
		ssize_t n = channel_receive(channel, request + used, MAX_REQUEST - 1 - used);

		if (n <= 0)
			return n ? (int)n : -ECONNRESET;
		used += (size_t)n;
		request[used] = '\0';
		if (strstr(request, "\r\n\r\n"))
			return 0;
	}
	return -EMSGSIZE;
}

static int accept_value(const char *request, char ret_accept[static ACCEPT_SIZE])
{
	static const char name[] = "\r\nSec-WebSocket-Key:";
	static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const char *key = strcasestr(request, name);
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;

	if (!key)
		return -EBADMSG;
	key += strlen(name);
	key += strspn(key, " \t");
	sha1_init(&sha1);
	sha1_update(&sha1, strcspn(key, " \t\r"), (const uint8_t *)key);
	sha1_update(&sha1, strlen(magic), (const uint8_t *)magic);
	sha1_digest(&sha1, sizeof(digest), digest);
	base64_encode_raw(ret_accept, sizeof(digest), digest);
	ret_accept[ACCEPT_SIZE - 1] = '\0';
	return 0;
}

int server_upgrade(struct channel *channel, bool compressed, bool *ret_raw)
{
	static const char raw_request[] = "GET /raw ";
	char request[MAX_REQUEST], accept[ACCEPT_SIZE], answer[256];
	int r = read_request(channel, request);

	if (!r)
		r = accept_value(request, accept);
	if (r)
		return r;
	r = snprintf(answer, sizeof(answer),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
		     accept, compressed ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
	*ret_raw = !strncmp(request, raw_request, strlen(raw_request));
	return channel_send(channel, answer, (size_t)r);
}

/* Reads the peer's frames up to its Close, for a bounded time: closing before would reset the
 * connection under data that the peer has yet to read. */
static int wait_for_close(struct channel *channel)
{
	uint8_t header[2], rest[4 + 125];

	for (int i = 0; i < MAX_ANSWERS; i++) {
		int r = channel_receive_all(channel, header, sizeof(header));

		if (!r && (header[1] < 0x80 || header[1] > 0x80 + 125))
			r = -EPROTO;
		if (!r)
			r = channel_receive_all(channel, rest, 4 + (size_t)(header[1] & 0x7f));
		if (r || header[0] == 0x88)
			return r;
	}
	return -EPROTO;
}

/* Waits, for a bounded time, for the end of the connection. */
static int wait_for_end(struct channel *channel)
{
	char discard;
	int r = channel_finish(channel);

	return r < 0 ? r : recv(channel->fd, &discard, sizeof(discard), 0) < 0 ? -errno : 0;
}

int server_end(struct channel *channel, bool raw)
{
	static const uint8_t close_1000[] = {0x88, 0x02, 0x03, 0xe8};
	int r = channel_send(channel, close_1000, sizeof(close_1000));

	if (r < 0)
		return r;
	return raw ? wait_for_end(channel) : wait_for_close(channel);
}
