/* The byte stream when it is encrypted: through libcurl, which holds the TLS library. */
#ifndef WEIR_WEBSOCKET_TRANSPORT_TLS_H
#define WEIR_WEBSOCKET_TRANSPORT_TLS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct transport_tls;

/* `words` is the error buffer of `easy`. Both must outlive it. NULL: no memory. */
struct transport_tls *transport_tls_new(CURL *easy, int fd, const char *words);
void transport_tls_free(struct transport_tls *tls);

/* As those of transport.h. */
uint32_t transport_tls_events(const struct transport_tls *tls, bool read, bool write);
uint64_t transport_tls_again_ns(const struct transport_tls *tls, bool read, bool write);
ssize_t transport_tls_receive(struct transport_tls *tls, void *data, size_t size);
ssize_t transport_tls_send(struct transport_tls *tls, const void *data, size_t size);

#endif
