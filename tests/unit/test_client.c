/* A client and a server in one loop: what only is there when both have a socket.
 * --wrap: none. */
#include "test_support.h"

#include "base/clock.h"
#include "websocket/accept.h"
#include "websocket/client.h"
#include "websocket/close.h"
#include "websocket/transport.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
	struct loop *loop;
	struct loop_source listener, peer;
	struct buffer heard; /* by the server */
	bool upgraded;
	struct client *client;
	struct loop_timer limit;
	unsigned opened, ready;
	bool ended;
	struct client_end end;
	int (*at_opened)(struct world *world);
};

static int on_limit(void *data)
{
	(void)data;
	return -ETIMEDOUT;
}

/* Whether there is a Close behind other small frames. */
static bool says_close(const struct buffer *heard)
{
	const uint8_t *data = (const uint8_t *)heard->data;
	size_t at = 0;

	while (at + 1 < heard->size && (data[at] & 0x0f) != FRAME_CLOSE)
		at += 6 + (data[at + 1] & 0x7fu);
	return at < heard->size;
}

/* Grants the request, and answers a Close. */
static int on_peer(void *data)
{
	static const char closing[] = "\x88\x05\x03\xe8sor"; /* sent without its NUL */
	struct world *world = data;
	CLEANUP(buffer_done) struct buffer answer;
	char bytes[KIB(4)];
	ssize_t n = recv(world->peer.fd, bytes, sizeof(bytes), 0), used;

	if (n <= 0) {
		int fd = world->peer.fd;

		loop_remove(world->loop, &world->peer);
		close(fd);
		return 0;
	}
	buffer_init(&answer, KIB(1));
	assert_int_equal(buffer_append(&world->heard, bytes, (size_t)n), 0);
	if (!world->upgraded) {
		used = accept_request(world->heard.data, world->heard.size, &answer);
		assert_true(used >= 0);
		if (used == 0)
			return 0;
		world->upgraded = true;
		buffer_consume(&world->heard, (size_t)used);
		n = send(world->peer.fd, answer.data, answer.size, MSG_NOSIGNAL);
		assert_int_equal(n, answer.size);
	} else if (says_close(&world->heard)) {
		n = send(world->peer.fd, closing, strlen(closing), MSG_NOSIGNAL);
		assert_int_equal(n, strlen(closing));
		shutdown(world->peer.fd, SHUT_WR);
	}
	return 0;
}

static int on_listener(void *data)
{
	struct world *world = data;
	int fd = accept4(world->listener.fd, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	world->peer = (struct loop_source){.callback = on_peer, .data = world, .fd = -1};
	return loop_add(world->loop, &world->peer, fd, EPOLLIN);
}

static int on_opened(void *data, uint64_t time_ns)
{
	struct world *world = data;

	assert_true(time_ns > 0);
	world->opened++;
	return world->at_opened ? world->at_opened(world) : 0;
}

static int on_ready(void *data)
{
	struct world *world = data;

	world->ready++;
	return client_close(world->client, CLOSE_NORMAL, "done");
}

static size_t on_room(void *data)
{
	(void)data;
	return SIZE_MAX;
}

static int on_pieces(void *data, struct message_batch *batch)
{
	(void)data;
	(void)batch;
	return 0;
}

static int on_flush(void *data)
{
	(void)data;
	return 0;
}

static int on_ended(void *data, const struct client_end *end)
{
	struct world *world = data;

	world->ended = true;
	world->end = *end;
	loop_stop(world->loop);
	return 0;
}

static const struct client_handler handler = {
	.opened = on_opened,
	.ready = on_ready,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
	.ended = on_ended,
};

static uint16_t listen_here(struct world *world)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	world->listener = (struct loop_source){.callback = on_listener, .data = world, .fd = -1};
	assert_int_equal(loop_add(world->loop, &world->listener, fd, EPOLLIN), 0);
	return ntohs(address.sin_port);
}

/* One connection, from the dialling to the end. */
static void live(struct world *world, const struct script *script)
{
	static const struct handshake_request_options request = {0};
	CLEANUP(url_done) struct url url;
	struct transport_options transport = {.url = &url};
	struct client_options options = {.transport = &transport,
					 .url = &url,
					 .request = &request,
					 .script = script,
					 .handler = &handler,
					 .data = world};
	char text[64];
	int listener;

	assert_int_equal(loop_new(&world->loop), 0);
	buffer_init(&world->heard, KIB(64));
	snprintf(text, sizeof(text), "ws://127.0.0.1:%d/", listen_here(world));
	assert_int_equal(url_parse(text, &url), 0);
	world->limit = (struct loop_timer){.callback = on_limit};
	loop_timer_set(world->loop, &world->limit, clock_monotonic_ns() + 20 * NS_PER_S);
	assert_int_equal(client_new(world->loop, &options, &world->client), 0);
	assert_int_equal(loop_run(world->loop), 0);
	assert_true(world->ended);
	client_free(world->client);
	listener = world->listener.fd;
	loop_remove(world->loop, &world->listener);
	close(listener);
	if (world->peer.fd >= 0) {
		int fd = world->peer.fd;

		loop_remove(world->loop, &world->peer);
		close(fd);
	}
	loop_free(world->loop);
	buffer_done(&world->heard);
}

static struct script *make_script(const char *text)
{
	struct script *script = NULL;
	struct script_error error;

	assert_int_equal(script_new(&script), 0);
	assert_int_equal(script_add_text(script, text, strlen(text), NULL, &error), 0);
	return script;
}

static void test_open_say_close(void **state)
{
	CLEANUP(script_free) struct script *script = make_script("send hello\n");

	(void)state;
	for (int with = 0; with < 2; with++) {
		struct world world = {0};

		live(&world, with ? script : NULL);
		assert_int_equal(world.opened, 1);
		assert_int_equal(world.ready, 1);
		assert_int_equal(world.end.kind, CLIENT_CLOSED);
		assert_int_equal(world.end.close_code, CLOSE_NORMAL);
	}
}

static int close_now(struct world *world)
{
	return client_close(world->client, CLOSE_GOING_AWAY, "not you");
}

/* Who closes as soon as it is open has nothing more to say, and the opening has not failed. */
static void test_closing_when_it_opens(void **state)
{
	CLEANUP(script_free) struct script *script = make_script("send hello\nexpect 9s \"x\"\n");

	(void)state;
	for (int with = 0; with < 2; with++) {
		struct world world = {.at_opened = close_now};

		live(&world, with ? script : NULL);
		assert_int_equal(world.opened, 1);
		assert_int_equal(world.ready, 0);
		assert_int_equal(world.end.kind, CLIENT_CLOSED);
		assert_int_equal(world.end.error, 0);
	}
}

/* What was waited for does not come; what the server says instead is told. */
static void test_an_opening_that_fails(void **state)
{
	CLEANUP(script_free) struct script *script = make_script("expect 1ms \"never\"\n");
	struct world world = {0};

	(void)state;
	live(&world, script);
	assert_int_equal(world.ready, 0);
	assert_int_equal(world.end.kind, CLIENT_OPENING);
	assert_int_equal(world.end.error, -ETIMEDOUT);
	assert_non_null(strstr(world.end.detail, "never"));
	assert_non_null(strstr(world.end.detail, "; it says: sor"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_say_close),
		cmocka_unit_test(test_closing_when_it_opens),
		cmocka_unit_test(test_an_opening_that_fails),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
