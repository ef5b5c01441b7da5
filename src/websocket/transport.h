/* The byte stream below the WebSocket: libcurl dials, then bytes go both ways without blocking. */
#ifndef WEIR_WEBSOCKET_TRANSPORT_H
#define WEIR_WEBSOCKET_TRANSPORT_H

#include "base/loop.h"
#include "websocket/proxy.h"
#include "websocket/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct transport;

enum transport_error {
	TRANSPORT_RESOLVE = 1, /* the name has no address */
	TRANSPORT_CONNECT,     /* nobody answers there */
	TRANSPORT_BROKEN,      /* the connection broke while it was being made */
	TRANSPORT_UNTRUSTED,   /* TLS: the certificate of the server is not to be trusted */
	TRANSPORT_TLS,	       /* TLS: no agreement with the server */
	TRANSPORT_TLS_FILE,    /* TLS: one of our own files cannot be used */
	TRANSPORT_PROXY_RESOLVE,
	TRANSPORT_PROXY_CONNECT,
	TRANSPORT_PROXY_AUTH,	 /* it wants a user and password, or others than these */
	TRANSPORT_PROXY_REFUSED, /* it does not do this, for us or for anybody */
	TRANSPORT_PROXY_FAILED,	 /* it could not, this time */
	TRANSPORT_PROXY_TLS,	 /* no encrypted connection with the proxy itself */
	TRANSPORT_OTHER,	 /* see the detail */
};

/* Whether to dial once more, later, makes sense when nothing is changed. */
bool transport_error_is_passing(enum transport_error error);

enum transport_family {
	TRANSPORT_ANY = 0,
	TRANSPORT_IPV4,
	TRANSPORT_IPV6,
};

/* NULL is the default of each text. */
struct transport_options {
	const struct url *url;
	const struct proxy *proxy; /* NULL: none, whatever the environment says */
	const char *no_proxy;	   /* hosts to reach without it; NULL: as the environment says */
	const char *unix_socket;   /* a path, or "@" and an abstract name: dialled in place of host
				      and port of the URL, and without a proxy */
	enum transport_family family;
	const char *cacert;	  /* who is trusted, in place of the system's store: a PEM file */
	const char *cert;	  /* our own certificate: a PEM file, */
	const char *key;	  /* its key, unless that is in the same file, */
	const char *key_password; /* and what the key is encrypted with */
	bool insecure;		  /* take any certificate of the server */
};

/* Called once, when dialling ended: `error` is 0 when the stream is up. `detail` is a sentence of
 * libcurl's or, for a proxy, which one it was and what it said; valid during the call, without
 * secrets. May free the transport. */
typedef int transport_dialled(void *data, enum transport_error error, const char *detail);

/* Begins to dial. What the options point to must live as long as the transport. There is no
 * time-out here: free it when it takes too long. Errors: −ENOMEM; −ENOTSUP: libcurl was built
 * without what is asked for. */
int transport_new(struct loop *loop, const struct transport_options *options,
		  transport_dialled *dialled, void *data, struct transport **ret_transport);
void transport_free(struct transport *transport);

/* The socket, to wait for; it stays the transport's. */
int transport_fd(const struct transport *transport);

/* The EPOLL… events to wait for in order to read, or to write: with TLS, reading may have to wait
 * until something can be written, and the other way round. */
uint32_t transport_events(const struct transport *transport, bool read, bool write);

#define TRANSPORT_NEVER UINT64_MAX

/* In what time to read, or to write, without waiting for the socket: at once when something may be
 * there that the socket does not show, or TRANSPORT_NEVER. */
uint64_t transport_again_ns(const struct transport *transport, bool read, bool write);

/* As recv(2) and send(2) without blocking: a count, 0 at the end of the stream, or −errno, which is
 * −EAGAIN when there is nothing to do now. What −EAGAIN was said to must be sent next, and the same
 * bytes, with more behind them perhaps. −EKEYREJECTED: the server does not take our certificate, or
 * wants one. −EPROTO: what came cannot be decrypted. */
ssize_t transport_receive(struct transport *transport, void *data, size_t size);
ssize_t transport_send(struct transport *transport, const void *data, size_t size);

/* When the last bytes that were received came to this machine, as the kernel says, since 1970; 0:
 * it does not say, as of Unix sockets, or of what came encrypted. */
uint64_t transport_time_ns(const struct transport *transport);

/* Nothing will be sent any more: the other side sees the end of the stream. */
void transport_finish(struct transport *transport);

#endif
