/*
 * libcurl looks names up, tries the addresses, speaks to proxies and makes TLS. With
 * CURLOPT_CONNECT_ONLY it stops there. What follows on a plain connection needs nothing of it any
 * more, so its socket is read directly; what is encrypted goes through it (transport_tls.c).
 *
 * The easy handle stays inside the multi handle for as long as the connection is used: libcurl
 * closes it otherwise.
 */
#include "websocket/transport.h"

#include "base/clock.h"
#include "base/macro.h"
#include "websocket/dial.h"
#include "websocket/dial_error.h"
#include "websocket/dial_options.h"
#include "websocket/transport_tls.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct transport {
	struct transport_options options;
	CURL *easy;
	struct dial *dial;
	int fd;
	uint64_t time_ns;	   /* of what was received last, 0: not known */
	struct transport_tls *tls; /* NULL: the bytes are those on the socket */
	transport_dialled *dialled;
	void *data;
	struct dial_trace trace;
};

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* With TLS to the server or to the proxy, the socket carries records. */
static bool is_encrypted(const struct transport_options *options)
{
	return options->url->tls || (options->proxy && options->proxy->tls);
}

static CURLcode take_up(struct transport *transport)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	CURLcode code = curl_easy_getinfo(transport->easy, CURLINFO_ACTIVESOCKET, &fd);

	if (code != CURLE_OK || fd == CURL_SOCKET_BAD)
		return CURLE_COULDNT_CONNECT;
	transport->fd = (int)fd;
	if (!is_encrypted(&transport->options)) {
		setsockopt(transport->fd, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int));
		return CURLE_OK;
	}
	transport->tls = transport_tls_new(transport->easy, transport->fd, transport->trace.words);
	return transport->tls ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* A dial_ended. The transport may be gone after it. */
static int on_dial_ended(void *data, CURLcode code)
{
	struct transport *transport = data;
	struct dial_error error;

	if (code == CURLE_OK)
		code = take_up(transport);
	if (code == CURLE_OK)
		return transport->dialled(transport->data, 0, "");
	error = dial_error_classify(transport->easy, code, &transport->options, &transport->trace);
	return transport->dialled(transport->data, error.error, error.detail);
}

DEFINE_CLEANUP(struct transport *, transport_free);

int transport_new(struct loop *loop, const struct transport_options *options,
		  transport_dialled *dialled, void *data, struct transport **ret_transport)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CLEANUP(transport_free) struct transport *transport = calloc(1, sizeof(*transport));
	int r;

	pthread_once(&once, init_curl);
	if (!transport)
		return -ENOMEM;
	transport->options = *options;
	transport->fd = -1;
	transport->dialled = dialled;
	transport->data = data;
	transport->easy = curl_easy_init();
	if (!transport->easy)
		return -ENOMEM;
	r = dial_options_apply(&transport->options, transport->easy, &transport->trace);
	if (r >= 0)
		r = dial_new(loop, transport->easy, on_dial_ended, transport, &transport->dial);
	if (r < 0)
		return r;
	*ret_transport = TAKE_PTR(transport);
	return 0;
}

void transport_free(struct transport *transport)
{
	if (!transport)
		return;
	dial_free(transport->dial, transport->easy);
	transport_tls_free(transport->tls);
	free(transport);
}

int transport_fd(const struct transport *transport)
{
	return transport->fd;
}

uint32_t transport_events(const struct transport *transport, bool read, bool write)
{
	if (transport->tls)
		return transport_tls_events(transport->tls, read, write);
	return (read ? EPOLLIN : 0u) | (write ? EPOLLOUT : 0u);
}

uint64_t transport_again_ns(const struct transport *transport, bool read, bool write)
{
	if (transport->tls)
		return transport_tls_again_ns(transport->tls, read, write);
	return TRANSPORT_NEVER;
}

static ssize_t result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* recvmsg(2), with when it came (SO_TIMESTAMPNS, socket(7)). */
static ssize_t receive_plain(struct transport *transport, void *data, size_t size)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct timespec))];
		struct cmsghdr alignment;
	} control;
	struct iovec place = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &place,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(transport->fd, &message, MSG_DONTWAIT);
	struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct timespec time;

	transport->time_ns = 0;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
		memcpy(&time, CMSG_DATA(header), sizeof(time));
		transport->time_ns = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
	}
	return n;
}

ssize_t transport_receive(struct transport *transport, void *data, size_t size)
{
	if (transport->tls)
		return transport_tls_receive(transport->tls, data, size);
	return result(receive_plain(transport, data, size));
}

uint64_t transport_time_ns(const struct transport *transport)
{
	return transport->time_ns;
}

ssize_t transport_send(struct transport *transport, const void *data, size_t size)
{
	if (transport->tls)
		return transport_tls_send(transport->tls, data, size);
	return result(send(transport->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* libcurl can say close_notify only by closing the connection, and what the server still has to say
 * would be lost with it. The end of the TCP stream says as much to every server: it stands behind
 * the Close frame, so nothing can have been cut off. */
void transport_finish(struct transport *transport)
{
	shutdown(transport->fd, SHUT_WR);
}
