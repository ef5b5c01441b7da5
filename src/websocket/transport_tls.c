/*
 * A TLS record is handed out as a whole or not at all, and what is left of one stays in the TLS
 * library, where no epoll(7) sees it. So a read goes on until the caller's memory is full or there
 * is nothing more; in the first case there may be more, and the caller is told to come again.
 *
 * A write that did not get through has to be tried again with the same bytes at the same address.
 * The caller's memory may have moved by then, so one record is kept here.
 *
 * Either may wait for the opposite of what it looks like, when keys are being exchanged anew.
 * libcurl says EAGAIN for both. But one that does not go on although the socket is ready for it is
 * most likely waiting for the opposite. It only looks so as well when the socket became ready a
 * moment ago; hence it is not only waited for the socket then, but also tried again soon.
 */
#include "websocket/transport_tls.h"

#include "base/clock.h"
#include "base/macro.h"
#include "websocket/transport.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define RECORD_SIZE KIB(16) /* the most that one can hold */
#define SEND_TRIES 3
#define STUCK_NS (10 * NS_PER_MS)

struct transport_tls {
	CURL *easy;
	int fd;
	const char *words;
	bool more;	  /* reading has not come to an EAGAIN yet */
	bool ended;	  /* the stream has: with `error`, 0 or −errno */
	bool read_stuck;  /* with something to read on the socket */
	bool write_stuck; /* on a socket that takes more */
	int error;
	size_t held; /* bytes in `record` that were tried and did not get through */
	uint8_t record[RECORD_SIZE];
};

struct transport_tls *transport_tls_new(CURL *easy, int fd, const char *words)
{
	struct transport_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->easy = easy;
	tls->fd = fd;
	tls->words = words;
	return tls;
}

void transport_tls_free(struct transport_tls *tls)
{
	free(tls);
}

uint32_t transport_tls_events(const struct transport_tls *tls, bool read, bool write)
{
	uint32_t events = 0;

	if (read)
		events |= tls->read_stuck ? EPOLLOUT : EPOLLIN;
	/* What waits for something to be read is not woken up by a socket that can be written. */
	if (write && !tls->write_stuck)
		events |= EPOLLOUT;
	return events;
}

uint64_t transport_tls_again_ns(const struct transport_tls *tls, bool read, bool write)
{
	if (read && tls->more)
		return 0;
	return (read && tls->read_stuck) || (write && tls->write_stuck) ? STUCK_NS
									: TRANSPORT_NEVER;
}

/* With TLS 1.3 the server says only after the handshake what it thinks of our certificate. */
static bool is_about_certificate(const char *words)
{
	return strstr(words, "alert") &&
	       (strstr(words, "certificate") || strstr(words, "unknown ca"));
}

/* Why reading failed. A server that is killed, and many that are not, end the TCP stream without
 * the end of the TLS stream: that is an end, and what it may have cut off is seen in the frames. */
static int receive_error(struct transport_tls *tls)
{
	long number = 0;
	char byte;

	if (is_about_certificate(tls->words))
		return -EKEYREJECTED;
	if (curl_easy_getinfo(tls->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK &&
	    (number == ECONNRESET || number == ETIMEDOUT))
		return (int)-number;
	return recv(tls->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ? 0 : -EPROTO;
}

static bool has_unread(int fd)
{
	int count = 0;

	return ioctl(fd, FIONREAD, &count) == 0 && count > 0;
}

static bool takes_more(int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLOUT};

	return poll(&wanted, 1, 0) == 1;
}

ssize_t transport_tls_receive(struct transport_tls *tls, void *data, size_t size)
{
	CURLcode code = tls->ended ? CURLE_RECV_ERROR : CURLE_OK;
	size_t got = 0, n = 1;

	while (code == CURLE_OK && n > 0 && got < size) {
		n = 0;
		code = curl_easy_recv(tls->easy, (char *)data + got, size - got, &n);
		got += n;
	}
	if (!tls->ended && code != CURLE_AGAIN && n == 0) {
		tls->ended = true;
		tls->error = code == CURLE_OK ? 0 : receive_error(tls);
	}
	tls->read_stuck = code == CURLE_AGAIN && got == 0 && has_unread(tls->fd);
	tls->more = code != CURLE_AGAIN;
	if (got > 0)
		return (ssize_t)got;
	return tls->ended ? tls->error : -EAGAIN;
}

ssize_t transport_tls_send(struct transport_tls *tls, const void *data, size_t size)
{
	size_t n = 0;
	int tries = 0;
	CURLcode code;

	if (tls->held == 0) {
		tls->held = MIN(size, sizeof(tls->record));
		memcpy(tls->record, data, tls->held);
	}
	do {
		code = curl_easy_send(tls->easy, tls->record, tls->held, &n);
		tls->write_stuck = code == CURLE_AGAIN && takes_more(tls->fd);
	} while (tls->write_stuck && ++tries < SEND_TRIES);
	if (code == CURLE_AGAIN)
		return -EAGAIN;
	tls->held = 0;
	return code == CURLE_OK ? (ssize_t)n : -EPIPE;
}
