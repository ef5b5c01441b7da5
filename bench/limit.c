/*
 * What the kernel allows: recv() into a buffer, write() of it to a temporary file, nothing else.
 *
 * No frame is decoded, no message is seen: the bytes of the connection go to the file as they are.
 * Whatever stores every byte that it gets by these two calls cannot be cheaper, so the benchmarks
 * measure everything else against this. The file is emptied whenever it has grown to FILE_MAX, as
 * that of every peer is: giving space back as it goes is part of the job, and cheaper than page
 * cache that nobody has touched yet. The buffer has the size that was best of 256 KiB to 4 MiB.
 *
 * usage: limit URL DIR [BUFFER_SIZE]
 *
 * It prints 0 (it knows no messages) and the number of bytes that it stored.
 */
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
#define FILE_MAX ((uint64_t)64 << 20)

static int dial(const char *url, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned int port;
	char host[64];
	int fd;

	if (sscanf(url, "ws://%63[0-9.]:%u/", host, &port) != 2 || port > UINT16_MAX ||
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

static int request_upgrade(int fd, uint16_t port)
{
	char request[256];
	int size = snprintf(request, sizeof(request),
			    "GET /raw HTTP/1.1\r\nHost: 127.0.0.1:%" PRIu16 "\r\n"
			    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			    "Sec-WebSocket-Version: 13\r\n\r\n",
			    port);

	return write_all(fd, request, (size_t)size);
}

/* Reads the answer byte by byte, so that nothing after it is taken. */
static int skip_answer(int fd)
{
	static const char end[] = "\r\n\r\n";
	size_t matched = 0;
	char c;

	for (int i = 0; i < 4096; i++) {
		if (recv(fd, &c, 1, 0) != 1)
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
static int store_some(int from, int to, char *buffer, size_t size, uint64_t *bytes)
{
	ssize_t n = recv(from, buffer, size, 0);
	int r;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	r = write_all(to, buffer, (size_t)n);
	if (!r && *bytes / FILE_MAX != (*bytes + (uint64_t)n) / FILE_MAX)
		r = start_over(to);
	*bytes += (uint64_t)n;
	return r ? r : n > 0;
}

static int store_all(int from, int to, size_t buffer_size, uint64_t *ret_bytes)
{
	char *buffer = malloc(buffer_size);
	uint64_t bytes = 0;
	int r = buffer ? 1 : -ENOMEM;

	while (r > 0)
		r = store_some(from, to, buffer, buffer_size, &bytes);
	free(buffer);
	*ret_bytes = bytes;
	return r;
}

static int store_from(const char *url, int file, size_t buffer_size, uint64_t *ret_bytes)
{
	uint16_t port = 0;
	int fd = dial(url, &port);
	int r;

	if (fd < 0)
		return fd;
	r = request_upgrade(fd, port);
	if (!r)
		r = skip_answer(fd);
	if (!r)
		r = store_all(fd, file, buffer_size, ret_bytes);
	close(fd);
	return r;
}

int main(int argc, char **argv)
{
	size_t buffer_size = argc == 4 ? strtoul(argv[3], NULL, 10) : BUFFER_SIZE;
	uint64_t bytes = 0;
	int file, r;

	if (argc < 3 || argc > 4 || !buffer_size) {
		fprintf(stderr, "usage: limit URL DIR [BUFFER_SIZE]\n");
		return 2;
	}
	file = open(argv[2], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	r = file < 0 ? -errno : store_from(argv[1], file, buffer_size, &bytes);
	if (r) {
		fprintf(stderr, "limit: %s\n", strerror(-r));
		return 1;
	}
	printf("0 %" PRIu64 "\n", bytes);
	return 0;
}
