/*
 * OpenSSL sends what it is given in records of 16 KiB, each by a write(2) of its own. That is what
 * most servers do, and it costs less than decrypting, so a receiver is never ahead of it.
 *
 * There is one cipher, so that whoever is compared with somebody else decrypts the same. It is the
 * one that OpenSSL's client and server agree on when nobody says anything.
 */
#include "channel.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define CIPHER "TLS_AES_256_GCM_SHA384"

static int configure_server(SSL_CTX *context, const char *path)
{
	return SSL_CTX_use_certificate_chain_file(context, path) == 1 &&
	       SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1;
}

static int configure_client(SSL_CTX *context, const char *path)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return SSL_CTX_load_verify_locations(context, path, NULL) == 1;
}

static int prepare(const SSL_METHOD *method, int (*configure)(SSL_CTX *context, const char *path),
		   const char *path, SSL_CTX **ret_context)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context)
		return -ENOMEM;
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(context, CIPHER) != 1 || !configure(context, path)) {
		SSL_CTX_free(context);
		return -EINVAL;
	}
	*ret_context = context;
	return 0;
}

int channel_prepare_server(const char *path, SSL_CTX **ret_context)
{
	return prepare(TLS_server_method(), configure_server, path, ret_context);
}

int channel_prepare_client(const char *path, SSL_CTX **ret_context)
{
	return prepare(TLS_client_method(), configure_client, path, ret_context);
}

static bool shake_hands(SSL *tls)
{
	return (SSL_is_server(tls) ? SSL_accept(tls) : SSL_connect(tls)) == 1;
}

int channel_open(struct channel *channel, int fd, SSL_CTX *context)
{
	*channel = (struct channel){.fd = fd};
	if (!context)
		return 0;
	channel->tls = SSL_new(context);
	if (channel->tls && SSL_set_fd(channel->tls, fd) == 1 && shake_hands(channel->tls))
		return 0;
	channel_close(channel);
	return -EPROTO;
}

void channel_close(struct channel *channel)
{
	SSL_free(channel->tls);
	close(channel->fd);
}

static ssize_t send_some(struct channel *channel, const void *data, size_t size)
{
	ssize_t n;

	if (channel->tls)
		return SSL_write_ex(channel->tls, data, size, &size) == 1 ? (ssize_t)size : -EPIPE;
	n = send(channel->fd, data, size, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

int channel_send(struct channel *channel, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		ssize_t n = send_some(channel, at, size);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t channel_receive(struct channel *channel, void *data, size_t size)
{
	ssize_t n;

	if (channel->tls) {
		if (SSL_read_ex(channel->tls, data, size, &size) == 1)
			return (ssize_t)size;
		return SSL_get_error(channel->tls, 0) == SSL_ERROR_ZERO_RETURN ? 0 : -ECONNRESET;
	}
	do {
		n = recv(channel->fd, data, size, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int channel_receive_all(struct channel *channel, void *data, size_t size)
{
	uint8_t *at = data;

	while (size) {
		ssize_t n = channel_receive(channel, at, size);

		if (n <= 0)
			return n ? (int)n : -ECONNRESET;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

int channel_finish(struct channel *channel)
{
	if (channel->tls && SSL_shutdown(channel->tls) < 0)
		return -EPIPE;
	return shutdown(channel->fd, SHUT_WR) < 0 ? -errno : 0;
}
