/* The bytes of a connection, plain or encrypted; every call blocks. */
#ifndef WEIR_BENCH_CHANNEL_H
#define WEIR_BENCH_CHANNEL_H

#include <openssl/types.h>
#include <stddef.h>
#include <sys/types.h>

struct channel {
	int fd;
	SSL *tls; /* NULL: plain */
};

/* What all encrypted channels of a server, or of a client, have in common. `path`: a PEM file with
 * the server's certificate and key. */
int channel_prepare_server(const char *path, SSL_CTX **ret_context);
int channel_prepare_client(const char *path, SSL_CTX **ret_context);

/* Takes over `fd`, also on failure. `context`: NULL, or by whom it is encrypted. */
int channel_open(struct channel *channel, int fd, SSL_CTX *context);
void channel_close(struct channel *channel);

int channel_send(struct channel *channel, const void *data, size_t size);

/* Some bytes, 0 at the end of the stream, or −errno. */
ssize_t channel_receive(struct channel *channel, void *data, size_t size);

/* All of them. */
int channel_receive_all(struct channel *channel, void *data, size_t size);

/* Nothing will be sent any more. */
int channel_finish(struct channel *channel);

#endif
