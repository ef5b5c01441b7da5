/*
 * The one source of all benchmark runs: a WebSocket server that costs less than any receiver.
 *
 * Its messages are framed once, before the first connection (stream.c), and leave it by large
 * send() calls: no formatting, no masking, no copy in user space while it runs. Only with TLS it
 * has work to do, which is to encrypt.
 *
 * usage: source text|binary|packed SIZE BYTES [CERTIFICATE]
 *
 * It prints its URL, and how many messages, bytes of payload, and bytes on the wire each connection
 * gets. Then it serves one connection after the other, each with messages of SIZE bytes until BYTES
 * of payload are sent or the first message past that ("packed": the first ring past that), then
 * Close 1000, and waits for the peer's Close. Who asks for /raw decodes nothing, and is told the
 * end by the end of the connection. With a CERTIFICATE (a PEM file, with its key) all of it goes
 * through TLS. The source itself ends when it is killed or its parent dies.
 */
#include "server.h"
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Sends `size` bytes of the ring, beginning at its start and going round. */
static int send_ring(struct channel *channel, const struct stream *s, uint64_t size)
{
	while (size) {
		size_t part = size < s->ring_used ? (size_t)size : s->ring_used;
		int r = channel_send(channel, s->ring, part);

		if (r)
			return r;
		size -= part;
	}
	return 0;
}

static int send_messages(struct channel *channel, const struct stream *s)
{
	if (!s->larger_than_ring)
		return send_ring(channel, s, s->wire_size);

	for (uint64_t i = 0; i < s->messages; i++) {
		int r = channel_send(channel, s->header, s->header_size);

		if (!r)
			r = send_ring(channel, s, s->message_size);
		if (r)
			return r;
	}
	return 0;
}

static int serve(int fd, SSL_CTX *context, const struct stream *s)
{
	struct channel channel;
	bool raw = false;
	int r = channel_open(&channel, fd, context);

	if (r < 0)
		return r;
	r = server_upgrade(&channel, s->kind == STREAM_PACKED, &raw);
	if (!r)
		r = send_messages(&channel, s);
	if (!r)
		r = server_end(&channel, raw);
	channel_close(&channel);
	return r;
}

static int serve_all(int listener, SSL_CTX *context, const struct stream *s)
{
	for (;;) {
		int fd = server_accept(listener);
		int r = fd;

		if (fd < 0)
			return fd;
		r = serve(fd, context, s);
		if (r)
			fprintf(stderr, "source: the connection failed: %s\n", strerror(-r));
	}
}

static int run(const struct stream *s, const char *certificate)
{
	SSL_CTX *context = NULL;
	uint16_t port = 0;
	int listener, r = certificate ? channel_prepare_server(certificate, &context) : 0;

	if (r < 0)
		return r;
	listener = server_listen(&port);
	if (listener < 0)
		return listener;
	printf("%s://127.0.0.1:%" PRIu16 "/ %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	       certificate ? "wss" : "ws", port, s->messages, s->messages * s->message_size,
	       s->wire_size + STREAM_CLOSE_SIZE);
	fflush(stdout);
	return serve_all(listener, context, s);
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *ret_number;
}

static bool parse_kind(const char *text, enum stream_kind *ret_kind)
{
	static const char *const kinds[] = {
		[STREAM_TEXT] = "text",
		[STREAM_BINARY] = "binary",
		[STREAM_PACKED] = "packed",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*ret_kind = (enum stream_kind)i;
		if (!strcmp(text, kinds[i]))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	enum stream_kind kind;
	struct stream stream;
	uint64_t size, bytes;
	int r;

	if (argc < 4 || argc > 5 || !parse_kind(argv[1], &kind) || !parse_number(argv[2], &size) ||
	    !parse_number(argv[3], &bytes)) {
		fprintf(stderr, "usage: source text|binary|packed SIZE BYTES [CERTIFICATE]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	r = stream_init(&stream, kind, size, bytes);
	if (!r)
		r = run(&stream, argv[4]);
	fprintf(stderr, "source: %s\n", strerror(-r));
	return 1;
}
