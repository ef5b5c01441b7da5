/*
 * libcurl's multi_socket interface: it says which sockets it wants watched and when it wants to be
 * called, and is told what happened. Nothing in it blocks; names are looked up in a thread of its
 * own.
 */
#include "websocket/dial.h"

#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>

#define LOW_DESCRIPTORS 128 /* new ones are the lowest that are free */

struct dial {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct dial_socket *sockets;
	dial_ended *ended;
	void *data;
};

/* One socket that libcurl wants watched. */
struct dial_socket {
	struct dial *dial;
	struct dial_socket *next;
	struct loop_source source;
	curl_socket_t fd;
	int watched; /* the same socket, by a descriptor of ours */
};

/* libcurl leaves descriptors of its own open in programs that are started: those by which it wakes
 * itself up (older versions), and by which it hears of a name that is looked up. */
struct descriptors {
	bool inherited[LOW_DESCRIPTORS];
};

/* Those that are for us alone do not count: what looks names up has such in threads of its own, so
 * that its numbers may be libcurl's a moment later. */
static bool is_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

static void note_descriptors(struct descriptors *before)
{
	for (int fd = 0; fd < LOW_DESCRIPTORS; fd++)
		before->inherited[fd] = is_inherited(fd);
}

/* Those that are new are for us alone. */
static void keep_descriptors(const struct descriptors *before)
{
	for (int fd = 0; fd < LOW_DESCRIPTORS; fd++)
		if (!before->inherited[fd] && is_inherited(fd))
			fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int act(struct dial *dial, curl_socket_t fd)
{
	struct descriptors before;
	int running, queued;
	CURLMsg *message;
	CURLMcode code;

	note_descriptors(&before);
	code = curl_multi_socket_action(dial->multi, fd, 0, &running);
	keep_descriptors(&before);
	if (code != CURLM_OK)
		return -ENOMEM;
	message = curl_multi_info_read(dial->multi, &queued);
	if (!message || message->msg != CURLMSG_DONE)
		return 0;
	return dial->ended(dial->data, message->data.result);
}

static int on_socket(void *data)
{
	struct dial_socket *socket = data;

	/* With no bits libcurl asks the socket itself. */
	return act(socket->dial, socket->fd);
}

static int on_timer(void *data)
{
	return act(data, CURL_SOCKET_TIMEOUT);
}

static void forget_socket(struct dial_socket *socket)
{
	struct dial_socket **at = &socket->dial->sockets;

	while (*at != socket)
		at = &(*at)->next;
	*at = socket->next;
	loop_remove(socket->dial->loop, &socket->source);
	close_fdp(&socket->watched);
	free(socket);
}

/* libcurl may close a socket before it says that it is not to be watched any more. While another
 * process is being started it has copies of all descriptors, and the loop would go on to watch what
 * it cannot name. With a descriptor of our own, it can. */
static struct dial_socket *remember_socket(struct dial *dial, curl_socket_t fd)
{
	struct dial_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->dial = dial;
	socket->fd = fd;
	socket->watched = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	socket->source = (struct loop_source){.callback = on_socket, .data = socket, .fd = -1};
	socket->next = dial->sockets;
	dial->sockets = socket;
	curl_multi_assign(dial->multi, fd, socket);
	return socket;
}

/* CURLMOPT_SOCKETFUNCTION */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct dial *dial = data;
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
		return loop_change(dial->loop, &socket->source, events) < 0 ? -1 : 0;
	socket = remember_socket(dial, fd);
	if (!socket)
		return -1;
	return loop_add(dial->loop, &socket->source, socket->watched, events) < 0 ? -1 : 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int watch_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct dial *dial = data;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_clear(dial->loop, &dial->timer);
	else
		loop_timer_set(dial->loop, &dial->timer,
			       clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS);
	return 0;
}

static CURLM *multi_init(void)
{
	struct descriptors before;
	CURLM *multi;

	note_descriptors(&before);
	multi = curl_multi_init();
	keep_descriptors(&before);
	return multi;
}

int dial_new(struct loop *loop, CURL *easy, dial_ended *ended, void *data, struct dial **ret_dial)
{
	struct dial *dial = calloc(1, sizeof(*dial));

	if (!dial)
		return -ENOMEM;
	dial->loop = loop;
	dial->ended = ended;
	dial->data = data;
	dial->timer = (struct loop_timer){.callback = on_timer, .data = dial};
	dial->multi = multi_init();
	if (!dial->multi) {
		dial_free(dial, NULL);
		return -ENOMEM;
	}
	curl_multi_setopt(dial->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(dial->multi, CURLMOPT_SOCKETDATA, dial);
	curl_multi_setopt(dial->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(dial->multi, CURLMOPT_TIMERDATA, dial);
	if (curl_multi_add_handle(dial->multi, easy) != CURLM_OK) {
		dial_free(dial, NULL);
		return -ENOMEM;
	}
	*ret_dial = dial;
	return 0;
}

void dial_free(struct dial *dial, CURL *easy)
{
	if (dial && dial->multi && easy)
		curl_multi_remove_handle(dial->multi, easy);
	curl_easy_cleanup(easy);
	if (!dial)
		return;
	if (dial->multi)
		curl_multi_cleanup(dial->multi);
	while (dial->sockets)
		forget_socket(dial->sockets);
	loop_timer_clear(dial->loop, &dial->timer);
	free(dial);
}
