/*
 * Stores every message of a WebSocket and a newline in a temporary file: libwebsockets and stdio.
 *
 * usage: lws URL DIR
 *
 * Prints the number of messages and of payload bytes.
 */
#include <errno.h>
#include <inttypes.h>
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)1 << 20)
#define FILE_MAX ((uint64_t)64 << 20)

/* A temporary file that gives its space back whenever it has grown to FILE_MAX. */
struct store {
	FILE *file;
	uint64_t messages;
	uint64_t bytes;
	uint64_t start_over_at;
	bool ended;
	bool failed;
};

static bool store_open(struct store *s, const char *directory)
{
	static char buffer[BUFFER_SIZE];
	char name[4096];
	int fd;

	*s = (struct store){.start_over_at = FILE_MAX};
	snprintf(name, sizeof(name), "%s/peer-lws-XXXXXX", directory);
	fd = mkstemp(name);
	if (fd < 0)
		return false;
	unlink(name);
	s->file = fdopen(fd, "w");
	return s->file && !setvbuf(s->file, buffer, _IOFBF, sizeof(buffer));
}

static void store_end_message(struct store *s)
{
	if (putc_unlocked('\n', s->file) == EOF)
		s->failed = true;
	s->messages++;
	if (s->bytes < s->start_over_at)
		return;
	s->start_over_at = s->bytes + FILE_MAX;
	if (fseek(s->file, 0, SEEK_SET) || ftruncate(fileno(s->file), 0))
		s->failed = true;
}

static void store_add(struct store *s, const void *data, size_t size, bool last)
{
	if (size && fwrite_unlocked(data, size, 1, s->file) != 1)
		s->failed = true;
	s->bytes += size;
	if (last)
		store_end_message(s);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t size)
{
	struct store *s = lws_context_user(lws_get_context(wsi));

	(void)user;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_RECEIVE:
		store_add(s, in, size,
			  lws_is_final_fragment(wsi) && !lws_remaining_packet_payload(wsi));
		return s->failed ? -1 : 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		s->failed = true;
		s->ended = true;
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		s->ended = true;
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "messages", .callback = on_event, .rx_buffer_size = BUFFER_SIZE},
	{.name = NULL},
};

static bool connect_to(struct lws_context *context, const char *url)
{
	char host[64];
	int port;
	struct lws_client_connect_info info = {
		.context = context,
		.address = host,
		.host = host,
		.origin = host,
		.path = "/",
		.local_protocol_name = "messages",
		.ietf_version_or_minus_one = -1,
	};

	if (sscanf(url, "ws://%63[^:/]:%d/", host, &port) != 2)
		return false;
	info.port = port;
	return lws_client_connect_via_info(&info);
}

static bool receive(const char *url, struct store *s)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.pt_serv_buf_size = BUFFER_SIZE,
		.user = s,
	};
	struct lws_context *context;
	bool connected;

	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (!context)
		return false;
	connected = connect_to(context, url);
	while (connected && !s->ended && lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return connected && s->ended && !s->failed;
}

int main(int argc, char **argv)
{
	struct store store;

	if (argc != 3) {
		fprintf(stderr, "usage: lws URL DIR\n");
		return 2;
	}
	if (!store_open(&store, argv[2])) {
		fprintf(stderr, "lws: no temporary file: %s\n", strerror(errno));
		return 1;
	}
	if (!receive(argv[1], &store) || fclose(store.file)) {
		fprintf(stderr, "lws: receiving failed\n");
		return 1;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", store.messages, store.bytes);
	return 0;
}
