/* The byte stream below the WebSocket: libcurl dials, then bytes go both ways without blocking. */
#ifndef WEIR_WEBSOCKET_TRANSPORT_H
#define WEIR_WEBSOCKET_TRANSPORT_H

#include "base/loop.h"

#include <stddef.h>
#include <sys/types.h>

struct transport;

enum transport_error {
	TRANSPORT_RESOLVE = 1, /* the name has no address */
	TRANSPORT_CONNECT,     /* nobody answers there */
	TRANSPORT_OTHER,       /* see the detail */
};

/* Called once, when dialling ended: `error` is 0 when the stream is up. `detail` is libcurl's own
 * sentence, valid during the call. May free the transport. */
typedef int transport_dialled(void *data, enum transport_error error, const char *detail);

/* Begins to dial `url` (http://host:port/). Proxies are taken from the environment as libcurl does.
 * There is no time-out here: free it when it takes too long. Errors: −ENOMEM. */
int transport_new(struct loop *loop, const char *url, transport_dialled *dialled, void *data,
		  struct transport **ret_transport);
void transport_free(struct transport *transport);

/* The socket, to wait for; it stays the transport's. */
int transport_fd(const struct transport *transport);

/* As recv(2) and send(2) without blocking: a count, 0 at the end of the stream, or −errno, which is
 * −EAGAIN when there is nothing to do now. */
ssize_t transport_receive(struct transport *transport, void *data, size_t size);
ssize_t transport_send(struct transport *transport, const void *data, size_t size);

/* Nothing will be sent any more: the other side sees the end of the stream. */
void transport_finish(struct transport *transport);

#endif
