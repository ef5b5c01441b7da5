/*
 * The one source of all benchmark runs: a WebSocket server that costs less than any receiver.
 *
 * Its messages are framed once, before the first connection, into a ring of about 1 MiB, and leave
 * it by large send() calls: no formatting, no masking, no copy in user space while it runs. A
 * message that is larger than the ring is sent as one frame whose payload is the ring's text, over
 * and over, so that a message of 1 GiB needs no 1 GiB of memory here.
 *
 * usage: source text|binary SIZE BYTES
 *
 * It prints its URL, and then serves one connection after the other, each with messages of SIZE
 * bytes until BYTES of payload are sent or the first message past that, then Close 1000, and waits
 * for the peer's Close. Who asks for /raw decodes nothing, and is told the end by the end of the
 * connection. The source itself ends when it is killed or its parent dies.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RING_SIZE ((size_t)1 << 20)
#define MAX_HEADER 10
#define MAX_REQUEST 8192
#define ACCEPT_SIZE (BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE) + 1)
#define MAX_ANSWERS 1000
#define PATIENCE_S 10

/* What every connection gets: the whole frames in the ring, or a header and the ring as text. */
struct stream {
	uint8_t *ring;
	size_t ring_used;
	uint8_t header[MAX_HEADER];
	size_t header_size;
	uint64_t message_size;
	uint64_t messages;
	bool larger_than_ring;
};

static size_t frame_header(uint8_t *header, bool binary, uint64_t size)
{
	size_t bytes = size > UINT16_MAX ? 8 : size > 125 ? 2 : 0;

	header[0] = (uint8_t)(0x80 | (binary ? 2 : 1));
	header[1] = (uint8_t)(bytes == 8 ? 127 : bytes == 2 ? 126 : size);
	for (size_t i = 0; i < bytes; i++)
		header[2 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
	return 2 + bytes;
}

/* Printable ASCII, or any byte: varied, so that no tool profits from a constant, and always the
 * same. */
static void fill(uint8_t *data, size_t size, bool binary)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < size; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		data[i] = (uint8_t)(binary ? state >> 56 : ' ' + (state >> 32) % 95);
	}
}

static void fill_frames(struct stream *s, bool binary)
{
	size_t frame = s->header_size + (size_t)s->message_size;

	while (s->ring_used + frame <= RING_SIZE) {
		uint8_t *at = s->ring + s->ring_used;

		memcpy(at, s->header, s->header_size);
		fill(at + s->header_size, (size_t)s->message_size, binary);
		s->ring_used += frame;
	}
}

static int stream_init(struct stream *s, bool binary, uint64_t size, uint64_t bytes)
{
	*s = (struct stream){
		.ring = malloc(RING_SIZE),
		.message_size = size,
		.messages = bytes / size + (bytes % size != 0),
		.larger_than_ring = size > RING_SIZE - MAX_HEADER,
	};
	if (!s->ring)
		return -ENOMEM;
	s->header_size = frame_header(s->header, binary, size);
	if (s->larger_than_ring) {
		fill(s->ring, RING_SIZE, binary);
		s->ring_used = RING_SIZE;
	} else {
		fill_frames(s, binary);
	}
	return 0;
}

static int send_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Sends `size` bytes of the ring, beginning at its start and going round. */
static int send_ring(int fd, const struct stream *s, uint64_t size)
{
	while (size) {
		size_t part = size < s->ring_used ? (size_t)size : s->ring_used;
		int r = send_all(fd, s->ring, part);

		if (r)
			return r;
		size -= part;
	}
	return 0;
}

static int send_messages(int fd, const struct stream *s)
{
	if (!s->larger_than_ring)
		return send_ring(fd, s, s->messages * (s->header_size + s->message_size));

	for (uint64_t i = 0; i < s->messages; i++) {
		int r = send_all(fd, s->header, s->header_size);

		if (!r)
			r = send_ring(fd, s, s->message_size);
		if (r)
			return r;
	}
	return 0;
}

/* Reads up to the empty line that ends the request. */
static int read_request(int fd, char request[static MAX_REQUEST])
{
	size_t used = 0;

	while (used < MAX_REQUEST - 1) {
		ssize_t n = recv(fd, request + used, MAX_REQUEST - 1 - used, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
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

static int upgrade(int fd, bool *ret_raw)
{
	static const char raw_request[] = "GET /raw ";
	char request[MAX_REQUEST], accept[ACCEPT_SIZE], answer[256];
	int r = read_request(fd, request);

	if (!r)
		r = accept_value(request, accept);
	if (r)
		return r;
	r = snprintf(answer, sizeof(answer),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		     accept);
	*ret_raw = !strncmp(request, raw_request, strlen(raw_request));
	return send_all(fd, answer, (size_t)r);
}

static int recv_all(int fd, void *data, size_t size)
{
	ssize_t n = recv(fd, data, size, MSG_WAITALL);

	return n < 0 ? -errno : (size_t)n == size ? 0 : -ECONNRESET;
}

/* Reads the peer's frames up to its Close, for a bounded time: closing before would reset the
 * connection under data that the peer has yet to read. */
static int wait_for_close(int fd)
{
	uint8_t header[2], rest[4 + 125];

	for (int i = 0; i < MAX_ANSWERS; i++) {
		int r = recv_all(fd, header, sizeof(header));

		if (!r && (header[1] < 0x80 || header[1] > 0x80 + 125))
			r = -EPROTO;
		if (!r)
			r = recv_all(fd, rest, 4 + (size_t)(header[1] & 0x7f));
		if (r || header[0] == 0x88)
			return r;
	}
	return -EPROTO;
}

/* Waits, for a bounded time, for the end of the connection. */
static int wait_for_end(int fd)
{
	char discard;

	if (shutdown(fd, SHUT_WR) < 0)
		return -errno;
	return recv(fd, &discard, sizeof(discard), 0) < 0 ? -errno : 0;
}

static int serve(int fd, const struct stream *s)
{
	static const uint8_t close_1000[] = {0x88, 0x02, 0x03, 0xe8};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	bool raw = false;
	int r;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	r = upgrade(fd, &raw);
	if (!r)
		r = send_messages(fd, s);
	if (!r)
		r = send_all(fd, close_1000, sizeof(close_1000));
	if (r)
		return r;
	return raw ? wait_for_end(fd) : wait_for_close(fd);
}

static int listen_on_loopback(uint16_t *ret_port)
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

static int serve_all(int listener, const struct stream *s)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		int r;

		if (fd < 0 && errno == EINTR)
			continue;
		if (fd < 0)
			return -errno;
		r = serve(fd, s);
		close(fd);
		if (r)
			fprintf(stderr, "source: the connection failed: %s\n", strerror(-r));
	}
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *ret_number;
}

int main(int argc, char **argv)
{
	struct stream stream;
	uint64_t size, bytes;
	uint16_t port = 0;
	int r;

	if (argc != 4 || (strcmp(argv[1], "text") && strcmp(argv[1], "binary")) ||
	    !parse_number(argv[2], &size) || !parse_number(argv[3], &bytes)) {
		fprintf(stderr, "usage: source text|binary SIZE BYTES\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	r = stream_init(&stream, !strcmp(argv[1], "binary"), size, bytes);
	if (!r)
		r = listen_on_loopback(&port);
	if (r >= 0) {
		printf("ws://127.0.0.1:%" PRIu16 "/\n", port);
		fflush(stdout);
		r = serve_all(r, &stream);
	}
	fprintf(stderr, "source: %s\n", strerror(-r));
	return 1;
}
