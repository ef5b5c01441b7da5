/*
 *   ASKING ─▶ DIALLED ─▶ ENDED
 *               ▲ │
 *             HOPPING       a redirect: the client that got it is freed by the timer, since it is
 *                           from inside of it that its end is told, and the next one begins
 *
 * Each attempt begins at the URL of the user again, with what is meant for that origin. Once a
 * redirect has left it, none of that is sent any more: no header of the user's, no authorization
 * and no certificate of ours.
 */
#include "websocket/attempt.h"

#include "base/clock.h"
#include "websocket/redirect.h"

#include <errno.h>
#include <string.h>

enum state {
	ASKING,
	DIALLED,
	HOPPING,
	ENDED,
};

struct attempt {
	struct attempt_options options;
	struct loop *loop;
	struct loop_timer timer;
	struct client *client;
	enum state state;
	bool closed; /* what is asked for is not wanted any more */
	struct redirect redirect;
	char place[CLIENT_PLACE_SIZE];
	struct handshake_request_options request;
	struct transport_options transport;
	struct secret authorization;
	const char **headers; /* the user's, and the authorization */
	uint64_t deadline_ns; /* 0: none */
	uint64_t wire_bytes;  /* of clients that are gone */
};

/* What it was made for is over. */
static void forget_authorization(struct attempt *attempt)
{
	attempt->request.headers = attempt->options.client.request->headers;
	attempt->request.header_count = attempt->options.client.request->header_count;
	secret_done(&attempt->authorization);
}

static int finish(struct attempt *attempt, const struct client_end *end)
{
	const struct client_options *options = &attempt->options.client;

	attempt->state = ENDED;
	loop_timer_clear(attempt->loop, &attempt->timer);
	forget_authorization(attempt);
	return options->handler->ended(options->data, end);
}

static int finish_without_client(struct attempt *attempt, enum client_end_kind kind,
				 const char *why)
{
	struct client_end end = {.kind = kind};

	snprintf(end.detail, sizeof(end.detail), "%s", why);
	snprintf(end.place, sizeof(end.place), "%s", attempt->place);
	return finish(attempt, &end);
}

static int on_opened(void *data, uint64_t time_ns)
{
	struct attempt *attempt = data;

	forget_authorization(attempt);
	return attempt->options.client.handler->opened(attempt->options.client.data, time_ns);
}

static int on_ready(void *data)
{
	struct attempt *attempt = data;

	return attempt->options.client.handler->ready(attempt->options.client.data);
}

static size_t on_room(void *data)
{
	struct attempt *attempt = data;

	return attempt->options.client.handler->room(attempt->options.client.data);
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct attempt *attempt = data;

	return attempt->options.client.handler->pieces(attempt->options.client.data, batch);
}

static int on_flush(void *data)
{
	struct attempt *attempt = data;

	return attempt->options.client.handler->flush(attempt->options.client.data);
}

static int on_drained(void *data)
{
	struct attempt *attempt = data;
	const struct client_options *options = &attempt->options.client;

	return options->handler->drained ? options->handler->drained(options->data) : 0;
}

static bool is_redirect(const struct client_end *end)
{
	return end->kind == CLIENT_REFUSED && end->handshake_error == HANDSHAKE_STATUS &&
	       redirect_is(end->response.status);
}

/* What depends on where it goes. */
static int aim(struct attempt *attempt)
{
	const struct url *url = redirect_url(&attempt->redirect);
	CLEANUP_FREE char *shown = url_format_shown(url);

	if (!shown)
		return -ENOMEM;
	snprintf(attempt->place, sizeof(attempt->place), "%s", shown);
	attempt->transport.url = url;
	if (url->tls && !attempt->redirect.first->tls)
		attempt->transport.proxy = attempt->options.tls_proxy;
	if (!attempt->redirect.away)
		return 0;
	forget_authorization(attempt);
	attempt->request.headers = NULL;
	attempt->request.header_count = 0;
	attempt->transport.cert = attempt->transport.key = attempt->transport.key_password = NULL;
	return 0;
}

/* 0: it is followed; or one of enum redirect_error, or −ENOMEM. */
static int follow(struct attempt *attempt, const struct client_end *end)
{
	int r = redirect_follow(&attempt->redirect, &end->response);

	if (r == 0)
		r = aim(attempt);
	if (r != 0)
		return r;
	attempt->state = HOPPING;
	loop_timer_set(attempt->loop, &attempt->timer, clock_monotonic_ns());
	return 0;
}

static int on_ended(void *data, const struct client_end *end)
{
	struct attempt *attempt = data;
	struct client_end told;
	int r = 0;

	if (attempt->options.follow_redirects && is_redirect(end)) {
		r = follow(attempt, end);
		if (r <= 0)
			return r;
	}
	told = *end;
	told.redirect_error = (enum redirect_error)r;
	snprintf(told.place, sizeof(told.place), "%s", attempt->place);
	return finish(attempt, &told);
}

static const struct client_handler client_handler = {
	.opened = on_opened,
	.ready = on_ready,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
	.drained = on_drained,
	.ended = on_ended,
};

/* How much is left for this client; it must not be 0, which is no limit. */
static uint64_t time_left(const struct attempt *attempt)
{
	uint64_t now = clock_monotonic_ns();

	if (attempt->deadline_ns == 0)
		return 0;
	return attempt->deadline_ns > now ? attempt->deadline_ns - now : 1;
}

static int dial(struct attempt *attempt)
{
	struct client_options options = attempt->options.client;

	options.url = redirect_url(&attempt->redirect);
	options.transport = &attempt->transport;
	options.request = &attempt->request;
	options.connect_timeout_ns = time_left(attempt);
	options.handler = &client_handler;
	options.data = attempt;
	attempt->state = DIALLED;
	return client_new(attempt->loop, &options, &attempt->client);
}

/* The time-out begins when there is something to wait for from the server. */
static int begin(struct attempt *attempt)
{
	uint64_t timeout_ns = attempt->options.client.connect_timeout_ns;

	attempt->deadline_ns = timeout_ns > 0 ? clock_after(clock_monotonic_ns(), timeout_ns) : 0;
	return dial(attempt);
}

static void free_client(struct attempt *attempt)
{
	attempt->wire_bytes += client_counters(attempt->client).wire_bytes;
	client_free(TAKE_PTR(attempt->client));
}

static int on_timer(void *data)
{
	struct attempt *attempt = data;

	if (attempt->state == ASKING)
		return attempt->options.prepare(attempt->options.client.data);
	free_client(attempt);
	return dial(attempt);
}

/* Why not to go to another origin; 0: it is fine. */
static enum redirect_error bind_to_origin(const struct client_options *client)
{
	if (client->transport->unix_socket)
		return REDIRECT_LEAVES;
	return client->script && script_has_secrets(client->script) ? REDIRECT_SECRETS : 0;
}

static void init(struct attempt *attempt, struct loop *loop, const struct attempt_options *options)
{
	const struct client_options *client = &options->client;

	attempt->options = *options;
	attempt->loop = loop;
	attempt->timer = (struct loop_timer){.callback = on_timer, .data = attempt};
	attempt->request = *client->request;
	attempt->transport = *client->transport;
	redirect_init(&attempt->redirect, client->url, bind_to_origin(client));
}

int attempt_new(struct loop *loop, const struct attempt_options *options,
		struct attempt **ret_attempt)
{
	CLEANUP(attempt_free) struct attempt *attempt = calloc(1, sizeof(*attempt));

	if (!attempt)
		return -ENOMEM;
	init(attempt, loop, options);
	if (options->prepare) {
		/* By the timer, so that the owner knows this attempt when it answers. */
		loop_timer_set(loop, &attempt->timer, clock_monotonic_ns());
	} else {
		int r = begin(attempt);

		if (r < 0)
			return r;
	}
	*ret_attempt = TAKE_PTR(attempt);
	return 0;
}

void attempt_free(struct attempt *attempt)
{
	if (!attempt)
		return;
	loop_timer_clear(attempt->loop, &attempt->timer);
	client_free(attempt->client);
	secret_done(&attempt->authorization);
	free(attempt->headers);
	redirect_done(&attempt->redirect);
	free(attempt);
}

bool attempt_is_asking(const struct attempt *attempt)
{
	return attempt->state == ASKING && attempt->timer.due_ns == 0;
}

static int add_authorization(struct attempt *attempt)
{
	const struct handshake_request_options *request = attempt->options.client.request;
	size_t count = request->header_count;

	attempt->headers = calloc(count + 1, sizeof(*attempt->headers));
	if (!attempt->headers)
		return -ENOMEM;
	if (count > 0)
		memcpy(attempt->headers, request->headers, count * sizeof(*attempt->headers));
	attempt->headers[count] = attempt->authorization.text;
	attempt->request.headers = attempt->headers;
	attempt->request.header_count = count + 1;
	return 0;
}

int attempt_authorize(struct attempt *attempt, struct secret *line)
{
	int r;

	attempt->authorization = *line;
	*line = (struct secret){0};
	if (attempt->closed)
		return finish_without_client(attempt, CLIENT_CLOSED, "");
	r = add_authorization(attempt);
	return r < 0 ? r : begin(attempt);
}

int attempt_refuse(struct attempt *attempt, const char *why)
{
	return finish_without_client(attempt, attempt->closed ? CLIENT_CLOSED : CLIENT_UNPREPARED,
				     why);
}

int attempt_close(struct attempt *attempt, uint16_t code, const char *reason)
{
	attempt->closed = true;
	if (attempt->state == ENDED || attempt_is_asking(attempt))
		return 0;
	if (attempt->state == DIALLED)
		return client_close(attempt->client, code, reason);
	return finish_without_client(attempt, CLIENT_CLOSED, "");
}

int attempt_retire(struct attempt *attempt, uint16_t code)
{
	if (attempt->state == DIALLED)
		return client_retire(attempt->client, code);
	return attempt_close(attempt, code, NULL);
}

struct client *attempt_client(const struct attempt *attempt)
{
	return attempt->state == HOPPING ? NULL : attempt->client;
}

struct client_counters attempt_counters(const struct attempt *attempt)
{
	struct client_counters counters = {.wire_bytes = attempt->wire_bytes};

	if (attempt->client)
		counters.wire_bytes += client_counters(attempt->client).wire_bytes;
	return counters;
}

const char *attempt_place(const struct attempt *attempt)
{
	return attempt->place;
}
