/*
 * What the kernel allows: recv() into a buffer, write() of it to a temporary file, nothing else.
 *
 * No frame is decoded, no message is seen: the bytes of the connection go to the file as they are.
 * Whatever stores every byte that it gets by these two calls cannot be cheaper, so the benchmarks
 * measure everything else against this. The file is emptied whenever it has grown to FILE_MAX, as
 * that of every peer is: giving space back as it goes is part of the job, and cheaper than page
 * cache that nobody has touched yet. The buffer has the size that was best of 256 KiB to 4 MiB.
 *
 * With wss:// it is SSL_read() in place of recv(), so the same with what OpenSSL costs. That gives
 * at most a record of 16 KiB; they are collected until there is no room in the buffer for another.
 *
 * usage: limit URL DIR|FILE [CERTIFICATE] [BUFFER_SIZE]
 *
 * In DIR it makes a file that has no name; FILE is written to. CERTIFICATE, for wss://, is a PEM
 * file with that of the server. It prints 0 (it knows no messages) and the number of bytes that it
 * stored.
 */
#include "channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)1 << 20)
#define TLS_BUFFER_SIZE ((size_t)1 << 18)
#define FILE_MAX ((uint64_t)64 << 20)
#define RECORD_SIZE ((size_t)1 << 14)

struct buffer {
	char *data;
	size_t room;
	size_t fill;
};

static int dial(const char *url, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *place = strstr(url, "://");
	unsigned int port;
	char host[64];
	int fd;

	if (!place || sscanf(place, "://%63[0-9.]:%u/", host, &port) != 2 || port > UINT16_MAX ||
	    inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -EINVAL;
	address.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	*ret_port = (uint16_t)port;
	return fd;
}

static int open_channel(struct channel *channel, const char *url, const char *certificate,
			uint16_t *ret_port)
{
	SSL_CTX *context = NULL;
	int r = certificate ? channel_prepare_client(certificate, &context) : 0;
	int fd = r < 0 ? r : dial(url, ret_port);

	return fd < 0 ? fd : channel_open(channel, fd, context);
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int request_upgrade(struct channel *channel, uint16_t port)
{
	char request[256];
	int size = snprintf(request, sizeof(request),
			    "GET /raw HTTP/1.1\r\nHost: 127.0.0.1:%" PRIu16 "\r\n"
			    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			    "Sec-WebSocket-Version: 13\r\n\r\n",
			    port);

	return channel_send(channel, request, (size_t)size);
}

/* Reads the answer byte by byte, so that nothing after it is taken. */
static int skip_answer(struct channel *channel)
{
	static const char end[] = "\r\n\r\n";
	size_t matched = 0;
	char c;

	for (int i = 0; i < 4096; i++) {
		if (channel_receive(channel, &c, 1) != 1)
			return -EBADMSG;
		matched = c == end[matched] ? matched + 1 : c == end[0];
		if (matched == strlen(end))
			return 0;
	}
	return -EBADMSG;
}

static int start_over(int fd)
{
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return 0;
}

/* 0 at the end of the connection, 1 before, or an error. */
static int fill_buffer(struct channel *channel, struct buffer *buffer)
{
	ssize_t n;

	buffer->fill = 0;
	do {
		n = channel_receive(channel, buffer->data + buffer->fill,
				    buffer->room - buffer->fill);
		if (n > 0)
			buffer->fill += (size_t)n;
	} while (n > 0 && channel->tls && buffer->room - buffer->fill >= RECORD_SIZE);
	return n < 0 ? (int)n : n > 0;
}

/* As fill_buffer(). */
static int store_some(struct channel *from, int to, struct buffer *buffer, uint64_t *bytes)
{
	int more = fill_buffer(from, buffer);
	int r = more < 0 ? more : write_all(to, buffer->data, buffer->fill);

	if (!r && *bytes / FILE_MAX != (*bytes + buffer->fill) / FILE_MAX)
		r = start_over(to);
	*bytes += buffer->fill;
	return r ? r : more;
}

static int store_all(struct channel *from, int to, size_t buffer_size, uint64_t *ret_bytes)
{
	struct buffer buffer = {.data = malloc(buffer_size), .room = buffer_size};
	uint64_t bytes = 0;
	int r = buffer.data ? 1 : -ENOMEM;

	while (r > 0)
		r = store_some(from, to, &buffer, &bytes);
	free(buffer.data);
	*ret_bytes = bytes;
	return r;
}

static int store_from(const char *url, const char *certificate, int file, size_t buffer_size,
		      uint64_t *ret_bytes)
{
	struct channel channel;
	uint16_t port = 0;
	int r = open_channel(&channel, url, certificate, &port);

	if (r < 0)
		return r;
	r = request_upgrade(&channel, port);
	if (!r)
		r = skip_answer(&channel);
	if (!r)
		r = store_all(&channel, file, buffer_size, ret_bytes);
	channel_close(&channel);
	return r;
}

static int open_file(const char *path)
{
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && errno == ENOTDIR)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int main(int argc, char **argv)
{
	const char *certificate = argc > 3 ? argv[3] : NULL;
	size_t buffer_size = certificate ? TLS_BUFFER_SIZE : BUFFER_SIZE;
	uint64_t bytes = 0;
	int file, r;

	if (argc == 5)
		buffer_size = strtoul(argv[4], NULL, 10);
	if (argc < 3 || argc > 5 || !buffer_size) {
		fprintf(stderr, "usage: limit URL DIR|FILE [CERTIFICATE] [BUFFER_SIZE]\n");
		return 2;
	}
	file = open_file(argv[2]);
	r = file < 0 ? file : store_from(argv[1], certificate, file, buffer_size, &bytes);
	if (r) {
		fprintf(stderr, "limit: %s\n", strerror(-r));
		return 1;
	}
	printf("0 %" PRIu64 "\n", bytes);
	return 0;
}
