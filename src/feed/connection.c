/*
 * Of what the client says, only its request, its pings and its Close matter; the rest is skipped.
 * It is told Close after the last message, and has a few seconds to answer.
 */
#include "feed/connection.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/macro.h"
#include "websocket/accept.h"
#include "websocket/frame_encode.h"
#include "websocket/handshake.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define OUT_SIZE KIB(512)
#define TICK_NS (5 * NS_PER_MS)	   /* how often a limited rate sends */
#define PATIENCE_NS (3 * NS_PER_S) /* for a client's request, and for its Close */
#define ANSWER_MAX 1024
#define PING_HEADER 6 /* with the mask, which clients always set */
#define PING_SIZE_MAX (PING_HEADER + FRAME_CONTROL_MAX)

struct connection {
	struct connection *next;
	struct connection_options options;
	struct loop *loop;
	struct loop_source source;
	struct loop_timer timer;
	int fd;
	bool accepted, refused; /* the request; until then nothing is sent */
	bool closing;		/* the client said Close first */
	bool over;
	uint64_t started_ns;
	struct producer producer;
	struct buffer answer;
	size_t in_size, out_start, out_size;
	uint64_t skip; /* bytes of a client's frame that are of no interest */
	bool pinged;   /* the latest ping is to be answered, section 5.5.3 */
	size_t ping_size;
	uint8_t ping[FRAME_CONTROL_MAX];
	char in[HANDSHAKE_HEAD_MAX];
	uint8_t out[OUT_SIZE];
};

/* How many messages may have been begun by now. */
static uint64_t messages_now(const struct connection *connection)
{
	uint64_t elapsed = clock_monotonic_ns() - connection->started_ns;
	uint64_t rate = connection->options.rate;

	if (rate == 0)
		return UINT64_MAX;
	return (uint64_t)((double)elapsed / (double)NS_PER_S * (double)rate) + 1;
}

static void put_pong(struct connection *connection)
{
	size_t header =
		frame_write_header(connection->out, FRAME_PONG, connection->ping_size, NULL);

	memcpy(connection->out + header, connection->ping, connection->ping_size);
	connection->out_size = header + connection->ping_size;
	connection->pinged = false;
}

static void refill(struct connection *connection)
{
	connection->out_start = 0;
	connection->out_size = connection->answer.size;
	if (connection->out_size > 0)
		memcpy(connection->out, connection->answer.data, connection->out_size);
	else if (connection->pinged && connection->producer.left == 0)
		put_pong(connection);
	else if (connection->closing)
		connection->out_size =
			connection->producer.closed
				? 0
				: producer_close(&connection->producer, connection->out);
	else
		connection->out_size = producer_fill(&connection->producer, connection->out,
						     OUT_SIZE, messages_now(connection));
	connection->answer.size = 0;
}

/* Nothing to send for now: waits for the client, or for the time to go on. */
static int rest(struct connection *connection)
{
	uint64_t wait = connection->producer.closed ? PATIENCE_NS : TICK_NS;

	connection->over = connection->refused || connection->closing;
	loop_timer_set(connection->loop, &connection->timer, clock_monotonic_ns() + wait);
	return loop_change(connection->loop, &connection->source, EPOLLIN);
}

static int send_out(struct connection *connection)
{
	ssize_t n;

	if (connection->out_start == connection->out_size)
		refill(connection);
	if (connection->out_size == 0)
		return rest(connection);
	n = send(connection->fd, connection->out + connection->out_start,
		 connection->out_size - connection->out_start, MSG_NOSIGNAL);
	if (n > 0)
		connection->out_start += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		connection->over = true;
	return 0;
}

static int on_request(struct connection *connection)
{
	ssize_t head = accept_request(connection->in, connection->in_size, &connection->answer);

	if (head == 0)
		return 0;
	connection->accepted = head > 0;
	connection->refused = head < 0;
	if (connection->refused)
		connection->producer.closed = true;
	connection->in_size = 0;
	connection->started_ns = clock_monotonic_ns();
	loop_timer_clear(connection->loop, &connection->timer);
	return loop_change(connection->loop, &connection->source, EPOLLIN | EPOLLOUT);
}

/* The size of the client's frame that begins here, or 0 when that cannot be told yet. */
static uint64_t frame_size(const uint8_t *in, size_t size)
{
	size_t length = in[1] & 0x7f;
	size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
	uint64_t payload = more > 0 ? 0 : length;

	if (size < 2 + more)
		return 0;
	for (size_t i = 0; i < more; i++)
		payload = payload << 8 | in[2 + i];
	return payload + 2 + more + 4; /* clients mask */
}

/* Keeps a ping that is there as a whole. False: it is not yet. */
static bool take_ping(struct connection *connection, uint64_t size)
{
	const uint8_t *in = (const uint8_t *)connection->in;

	if (connection->in_size < size)
		return false;
	connection->ping_size = MIN((size_t)size - PING_HEADER, sizeof(connection->ping));
	memcpy(connection->ping, in + PING_HEADER, connection->ping_size);
	frame_mask(connection->ping, connection->ping_size, in + 2);
	connection->pinged = true;
	return true;
}

static void drop(struct connection *connection, size_t size)
{
	connection->in_size -= size;
	memmove(connection->in, connection->in + size, connection->in_size);
}

/* Skips the client's frames until one is a Close. */
static bool client_closes(struct connection *connection)
{
	for (;;) {
		size_t skip = (size_t)MIN(connection->skip, (uint64_t)connection->in_size);
		uint64_t size;

		drop(connection, skip);
		connection->skip -= skip;
		if (connection->skip > 0 || connection->in_size < 2)
			return false;
		if ((connection->in[0] & 0x0f) == FRAME_CLOSE)
			return true;
		size = frame_size((const uint8_t *)connection->in, connection->in_size);
		if (size == 0)
			return false;
		if ((connection->in[0] & 0x0f) == FRAME_PING && size <= PING_SIZE_MAX &&
		    !take_ping(connection, size))
			return false;
		connection->skip = size;
	}
}

/* The client's Close: the answer to ours, or answered now, unless that would be inside a message.
 */
static int on_close(struct connection *connection)
{
	connection->over = connection->producer.closed || connection->producer.left > 0;
	connection->closing = true;
	loop_timer_clear(connection->loop, &connection->timer);
	return loop_change(connection->loop, &connection->source, EPOLLIN | EPOLLOUT);
}

static int receive(struct connection *connection)
{
	ssize_t n = recv(connection->fd, connection->in + connection->in_size,
			 sizeof(connection->in) - connection->in_size, 0);

	if (n <= 0) {
		connection->over = n == 0 || (errno != EAGAIN && errno != EINTR);
		return 0;
	}
	connection->in_size += (size_t)n;
	if (!connection->accepted && !connection->refused)
		return on_request(connection);
	if (connection->refused)
		connection->in_size = 0;
	else if (client_closes(connection))
		return on_close(connection);
	return 0;
}

/* Says that the connection is over, after which it is gone. */
static int check_over(struct connection *connection, int r)
{
	if (r >= 0 && !connection->over)
		return 0;
	return connection->options.gone(connection->options.data, connection);
}

static int on_ready(void *data)
{
	struct connection *connection = data;
	int r = receive(connection);

	if (r >= 0 && !connection->over && (connection->accepted || connection->refused) &&
	    connection->timer.due_ns == 0)
		r = send_out(connection);
	return check_over(connection, r);
}

/* The client had its time to ask, or to answer; or a limited rate may go on. */
static int on_timer(void *data)
{
	struct connection *connection = data;
	int r = 0;

	connection->over |= !connection->accepted || connection->producer.closed;
	if (!connection->over)
		r = loop_change(connection->loop, &connection->source, EPOLLIN | EPOLLOUT);
	return check_over(connection, r);
}

int connection_new(struct loop *loop, int fd, const struct connection_options *options,
		   struct connection **list)
{
	struct connection *connection = malloc(sizeof(*connection));
	int r;

	if (!connection)
		return -ENOMEM;
	memset(connection, 0, offsetof(struct connection, in));
	connection->loop = loop;
	connection->fd = fd;
	connection->options = *options;
	connection->source =
		(struct loop_source){.callback = on_ready, .data = connection, .fd = -1};
	connection->timer = (struct loop_timer){.callback = on_timer, .data = connection};
	producer_init(&connection->producer, &options->stream);
	buffer_init(&connection->answer, ANSWER_MAX);
	r = loop_add(loop, &connection->source, fd, EPOLLIN);
	if (r < 0) {
		free(connection);
		return r;
	}
	loop_timer_set(loop, &connection->timer, clock_monotonic_ns() + PATIENCE_NS);
	connection->next = *list;
	*list = connection;
	return 0;
}

void connection_unlink(struct connection **list, struct connection *connection)
{
	while (*list && *list != connection)
		list = &(*list)->next;
	if (*list)
		*list = connection->next;
}

void connection_free(struct connection *connection)
{
	if (!connection)
		return;
	loop_remove(connection->loop, &connection->source);
	loop_timer_clear(connection->loop, &connection->timer);
	buffer_done(&connection->answer);
	close(connection->fd);
	free(connection);
}
