/*
 * libcurl looks names up, tries the addresses and speaks to proxies, driven by our event loop
 * through its multi_socket interface. With CURLOPT_CONNECT_ONLY it stops there. What follows on a
 * plain connection needs nothing of it any more, so its socket is read directly.
 *
 * The easy handle stays inside the multi handle for as long as the connection is used: libcurl
 * closes it otherwise.
 */
#include "websocket/transport.h"

#include "base/clock.h"
#include "base/macro.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define LOW_DESCRIPTORS 128 /* new ones are the lowest that are free */

struct transport {
	struct loop *loop;
	CURLM *multi;
	CURL *easy;
	int fd;
	struct loop_timer timer;
	struct dial_socket *sockets;
	transport_dialled *dialled;
	void *data;
	char detail[CURL_ERROR_SIZE];
};

/* One socket that libcurl wants watched while it dials. */
struct dial_socket {
	struct transport *transport;
	struct dial_socket *next;
	struct loop_source source;
	curl_socket_t fd;
	int wanted; /* CURL_POLL_… */
};

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static enum transport_error classify(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return TRANSPORT_RESOLVE;
	case CURLE_COULDNT_CONNECT:
		return TRANSPORT_CONNECT;
	default:
		return TRANSPORT_OTHER;
	}
}

/* Why nobody answered, in the system's words when there are any: libcurl's say where, not why. */
static const char *reason(struct transport *transport, CURLcode code)
{
	long number = 0;

	if (code == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(transport->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK &&
	    number > 0)
		return strerror((int)number);
	return transport->detail[0] ? transport->detail : curl_easy_strerror(code);
}

/* Tells the owner when dialling has ended. The transport may be gone after it. */
static int report_end(struct transport *transport)
{
	int queued;
	CURLMsg *message = curl_multi_info_read(transport->multi, &queued);
	CURLcode code;
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (!message || message->msg != CURLMSG_DONE)
		return 0;
	code = message->data.result;
	if (code == CURLE_OK)
		code = curl_easy_getinfo(transport->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (code == CURLE_OK && fd == CURL_SOCKET_BAD)
		code = CURLE_COULDNT_CONNECT;
	transport->fd = (int)fd;
	return transport->dialled(transport->data, classify(code), reason(transport, code));
}

static int act(struct transport *transport, curl_socket_t fd)
{
	int running;

	if (curl_multi_socket_action(transport->multi, fd, 0, &running) != CURLM_OK)
		return -ENOMEM;
	return report_end(transport);
}

static int on_socket(void *data)
{
	struct dial_socket *socket = data;

	/* With no bits libcurl asks the socket itself. */
	return act(socket->transport, socket->fd);
}

static int on_timer(void *data)
{
	return act(data, CURL_SOCKET_TIMEOUT);
}

static void forget_socket(struct dial_socket *socket)
{
	struct dial_socket **at = &socket->transport->sockets;

	while (*at != socket)
		at = &(*at)->next;
	*at = socket->next;
	loop_remove(socket->transport->loop, &socket->source);
	free(socket);
}

static struct dial_socket *remember_socket(struct transport *transport, curl_socket_t fd)
{
	struct dial_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->transport = transport;
	socket->fd = fd;
	socket->source = (struct loop_source){.callback = on_socket, .data = socket, .fd = -1};
	socket->next = transport->sockets;
	transport->sockets = socket;
	curl_multi_assign(transport->multi, fd, socket);
	return socket;
}

/* CURLMOPT_SOCKETFUNCTION */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct transport *transport = data;
	struct dial_socket *socket = socket_data;
	uint32_t events =
		(what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			forget_socket(socket);
		return 0;
	}
	if (socket)
		return loop_change(transport->loop, &socket->source, events) < 0 ? -1 : 0;
	socket = remember_socket(transport, fd);
	if (!socket)
		return -1;
	return loop_add(transport->loop, &socket->source, fd, events) < 0 ? -1 : 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int watch_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct transport *transport = data;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_clear(transport->loop, &transport->timer);
	else
		loop_timer_set(transport->loop, &transport->timer,
			       clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS);
	return 0;
}

/* CURLOPT_OPENSOCKETFUNCTION: no program that is started gets the connection. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)data;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* curl_multi_init(), whose descriptors older versions leave open in programs that are started. */
static CURLM *multi_init(void)
{
	bool open_before[LOW_DESCRIPTORS];
	CURLM *multi;

	for (int fd = 0; fd < LOW_DESCRIPTORS; fd++)
		open_before[fd] = fcntl(fd, F_GETFD) >= 0;
	multi = curl_multi_init();
	for (int fd = 0; fd < LOW_DESCRIPTORS; fd++)
		if (!open_before[fd])
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	return multi;
}

static void set_up(struct transport *transport, const char *url)
{
	CURL *easy = transport->easy;

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name look-up */
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transport->detail);
	curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport);
	curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport);
}

DEFINE_CLEANUP(struct transport *, transport_free);

int transport_new(struct loop *loop, const char *url, transport_dialled *dialled, void *data,
		  struct transport **ret_transport)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CLEANUP(transport_free) struct transport *transport = calloc(1, sizeof(*transport));

	pthread_once(&once, init_curl);
	if (!transport)
		return -ENOMEM;
	transport->loop = loop;
	transport->fd = -1;
	transport->dialled = dialled;
	transport->data = data;
	transport->timer = (struct loop_timer){.callback = on_timer, .data = transport};
	transport->multi = multi_init();
	transport->easy = curl_easy_init();
	if (!transport->multi || !transport->easy)
		return -ENOMEM;
	set_up(transport, url);
	if (curl_multi_add_handle(transport->multi, transport->easy) != CURLM_OK)
		return -ENOMEM;
	*ret_transport = TAKE_PTR(transport);
	return 0;
}

void transport_free(struct transport *transport)
{
	if (!transport)
		return;
	if (transport->multi && transport->easy)
		curl_multi_remove_handle(transport->multi, transport->easy);
	curl_easy_cleanup(transport->easy);
	if (transport->multi)
		curl_multi_cleanup(transport->multi);
	while (transport->sockets)
		forget_socket(transport->sockets);
	loop_timer_clear(transport->loop, &transport->timer);
	free(transport);
}

int transport_fd(const struct transport *transport)
{
	return transport->fd;
}

static ssize_t result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

ssize_t transport_receive(struct transport *transport, void *data, size_t size)
{
	return result(recv(transport->fd, data, size, MSG_DONTWAIT));
}

ssize_t transport_send(struct transport *transport, const void *data, size_t size)
{
	return result(send(transport->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

void transport_finish(struct transport *transport)
{
	shutdown(transport->fd, SHUT_WR);
}
