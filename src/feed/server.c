/*
 * Listens, and gives each client that comes a connection of its own. All of them are driven by one
 * event loop.
 */
#include "feed/server.h"

#include "base/clock.h"
#include "feed/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BACKLOG 16
#define URL_SIZE 80
#define REST_NS (100 * NS_PER_MS)

struct server {
	struct loop *loop;
	struct server_options options;
	struct loop_source source;
	struct loop_timer timer; /* while there are no descriptors for another client */
	int fd;
	struct connection *connections;
	char url[URL_SIZE];
};

static int on_gone(void *data, struct connection *connection)
{
	struct server *server = data;

	connection_unlink(&server->connections, connection);
	connection_free(connection);
	if (server->options.once)
		loop_stop(server->loop);
	return 0;
}

/* There is no place for another client, who would be waiting all the time: the others go on. */
static int rest(struct server *server)
{
	loop_timer_set(server->loop, &server->timer, clock_monotonic_ns() + REST_NS);
	return loop_change(server->loop, &server->source, 0);
}

static int on_rested(void *data)
{
	struct server *server = data;

	return loop_change(server->loop, &server->source, EPOLLIN);
}

static int on_client(void *data)
{
	struct server *server = data;
	struct connection_options options = {
		.stream = server->options.stream,
		.rate = server->options.rate,
		.gone = on_gone,
		.data = server,
	};
	CLEANUP_FD int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ? 0
										  : rest(server);
	if (connection_new(server->loop, fd, &options, &server->connections) >= 0)
		take_fd(&fd);
	return 0;
}

static void free_addressesp(struct addrinfo **addresses)
{
	if (*addresses)
		freeaddrinfo(*addresses);
}

static int listen_at(struct server *server, const struct addrinfo *address)
{
	int one = 1;

	server->fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->fd < 0)
		return -errno;
	setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(server->fd, address->ai_addr, address->ai_addrlen) < 0 ||
	    listen(server->fd, BACKLOG) < 0)
		return -errno;
	return loop_add(server->loop, &server->source, server->fd, EPOLLIN);
}

static int set_url(struct server *server)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char host[INET6_ADDRSTRLEN], port[8];

	if (getsockname(server->fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	snprintf(server->url, sizeof(server->url),
		 strchr(host, ':') ? "ws://[%s]:%s/" : "ws://%s:%s/", host, port);
	return 0;
}

int server_new(struct loop *loop, const struct server_options *options, struct server **ret_server)
{
	CLEANUP(server_free) struct server *server = calloc(1, sizeof(*server));
	CLEANUP(free_addresses) struct addrinfo *addresses = NULL;
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	int r;

	if (!server)
		return -ENOMEM;
	server->loop = loop;
	server->options = *options;
	server->fd = -1;
	server->source = (struct loop_source){.callback = on_client, .data = server, .fd = -1};
	server->timer = (struct loop_timer){.callback = on_rested, .data = server};
	if (getaddrinfo(options->host, options->port, &hints, &addresses) != 0)
		return -EINVAL;
	r = listen_at(server, addresses);
	if (r >= 0)
		r = set_url(server);
	if (r < 0)
		return r;
	*ret_server = TAKE_PTR(server);
	return 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	while (server->connections) {
		struct connection *connection = server->connections;

		connection_unlink(&server->connections, connection);
		connection_free(connection);
	}
	loop_remove(server->loop, &server->source);
	loop_timer_clear(server->loop, &server->timer);
	close_fdp(&server->fd);
	free(server);
}

const char *server_url(const struct server *server)
{
	return server->url;
}
