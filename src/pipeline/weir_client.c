/*
 * The client of libweir: a source, and a loop of its own. Messages that are to be given whole, and
 * do not come so, are put together in memory, one for each lane.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "pipeline/endpoint.h"
#include "pipeline/fault.h"
#include "pipeline/token.h"
#include "websocket/close.h"
#include "websocket/source.h"

#include <errno.h>
#include <string.h>
#include <weir.h>

#define WHOLE_MAX ((uint64_t)64 << 20)
#define WAITING_MAX MIB(1) /* while more waits to be sent, nothing is received */

struct weir_client {
	struct weir_client_options options;
	struct fault fault;
	struct endpoint endpoint;
	struct loop *loop;
	struct source *source;
	struct token token;
	struct buffer lanes[SOURCE_LANES]; /* messages that are not whole yet */
	uint32_t connections;
	bool ready, closing, ended;
	struct weir_client_stats stats; /* what no module counts */
};

static void give(struct weir_client *client, const struct message_batch *batch,
		 const struct message_piece *piece)
{
	struct weir_message message = {
		.kind = (enum weir_kind)piece->kind,
		.data = piece->data,
		.size = piece->size,
		.first = piece->first,
		.last = piece->last,
		.connection = batch->connection,
		.time_ns = batch->time_ns,
	};

	client->stats.messages += piece->last;
	client->stats.bytes += piece->size;
	if (client->options.on_message)
		client->options.on_message(client, &message, client->options.data);
}

/* Gives the message that is whole with this piece. */
static int put_together(struct weir_client *client, const struct message_batch *batch,
			const struct message_piece *piece)
{
	struct buffer *lane = &client->lanes[batch->lane];
	struct message_piece whole = *piece;
	int r;

	if (piece->first)
		lane->size = 0;
	r = buffer_append(lane, piece->data, piece->size);
	if (r < 0 || !piece->last)
		return r;
	whole.data = (uint8_t *)lane->data;
	whole.size = lane->size;
	whole.first = true;
	give(client, batch, &whole);
	buffer_done(lane); /* a large one should not cost its memory for ever */
	return 0;
}

static int on_pieces(void *data, struct message_batch *batch)
{
	struct weir_client *client = data;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < batch->count && !client->closing; i++) {
		const struct message_piece *piece = &batch->pieces[i];

		if (client->options.pieces || (piece->first && piece->last))
			give(client, batch, piece);
		else
			r = put_together(client, batch, piece);
	}
	return r;
}

/* What is sent in answer to what is received must not pile up. */
static size_t on_room(void *data)
{
	struct weir_client *client = data;

	return source_waiting(client->source) > WAITING_MAX ? 0 : SIZE_MAX;
}

static int on_drained(void *data)
{
	struct weir_client *client = data;

	return source_resume(client->source);
}

static int on_flush(void *data)
{
	(void)data;
	return 0;
}

static void tell(struct weir_client *client, struct weir_connection *news)
{
	news->url = client->endpoint.shown_url;
	if (client->options.on_connection)
		client->options.on_connection(client, news, client->options.data);
}

static int on_prepare(void *data, uint16_t source)
{
	struct weir_client *client = data;

	(void)source;
	return token_fetch(&client->token, client->loop, &client->endpoint.options, client->source);
}

static int on_opened(void *data, const struct source_place *place, uint64_t time_ns)
{
	struct weir_client *client = data;

	(void)time_ns;
	tell(client, &(struct weir_connection){
			     .redirected_to = place->redirected_to,
			     .connected = true,
			     .message = "",
		     });
	return 0;
}

static int on_ready(void *data, const struct source_place *place)
{
	struct weir_client *client = data;

	(void)place;
	client->ready = true;
	if (client->options.on_open && !client->closing)
		client->options.on_open(client, client->options.data);
	return 0;
}

static int on_lost(void *data, const struct source_place *place, const struct source_loss *loss)
{
	struct weir_client *client = data;
	struct fault fault = {0};

	buffer_done(&client->lanes[place->lane]);
	client->stats.close_code = loss->end->close_code;
	client->ready = client->ready && source_is_open(client->source);
	fault_set_connection(&fault, client->endpoint.shown_url, loss->end);
	tell(client, &(struct weir_connection){
			     .redirected_to = loss->end->place,
			     .wanted = loss->wanted,
			     .retries = loss->next_in_ns != SOURCE_NO_NEXT,
			     .next_in_ns = loss->next_in_ns,
			     .message = fault.message,
		     });
	return 0;
}

static int on_ended(void *data, uint16_t source, const struct client_end *end)
{
	struct weir_client *client = data;

	(void)source;
	client->ended = true;
	if (!client->closing || end->kind == CLIENT_VIOLATED)
		fault_set_connection(&client->fault, client->endpoint.shown_url, end);
	loop_stop(client->loop);
	return 0;
}

static const struct source_handler handler = {
	.prepare = on_prepare,
	.opened = on_opened,
	.ready = on_ready,
	.room = on_room,
	.pieces = on_pieces,
	.flush = on_flush,
	.lost = on_lost,
	.drained = on_drained,
	.ended = on_ended,
};

static int set_up(struct weir_client *client)
{
	int r = endpoint_init(&client->endpoint, client->options.source, &client->fault);

	if (r < 0 || client->fault.outcome != WEIR_DONE)
		return r;
	if (!client->options.pieces && client->options.source->message_max == 0)
		client->endpoint.options.message_max = WHOLE_MAX;
	for (size_t i = 0; i < SOURCE_LANES; i++)
		buffer_init(&client->lanes[i], SIZE_MAX); /* message_max is the limit */
	return loop_new(&client->loop);
}

enum weir_outcome weir_client_new(const struct weir_client_options *options,
				  struct weir_client **ret_client)
{
	struct weir_client *client = calloc(1, sizeof(*client));
	int r = 0;

	*ret_client = client;
	if (!client)
		return WEIR_STORAGE;
	client->options = *options;
	if (options->source)
		r = set_up(client);
	else
		fault_set(&client->fault, WEIR_USAGE, "there is no source");
	if (r < 0)
		fault_set(&client->fault, WEIR_STORAGE, "cannot begin: %s", strerror(-r));
	client->ended = client->fault.outcome != WEIR_DONE;
	return client->fault.outcome;
}

static int start(struct weir_client *client)
{
	struct source_options options = endpoint_source_options(&client->endpoint);

	options.connections = &client->connections;
	options.handler = &handler;
	options.data = client;
	return source_new(client->loop, &options, &client->source);
}

bool weir_client_step(struct weir_client *client, int timeout_ms)
{
	int r = 0;

	if (client->ended)
		return false;
	if (!client->source)
		r = start(client);
	if (r >= 0)
		r = loop_step(client->loop, timeout_ms);
	if (r < 0) {
		fault_set(&client->fault, WEIR_STORAGE, "cannot go on: %s", strerror(-r));
		client->ended = true;
	}
	return !client->ended;
}

enum weir_outcome weir_client_run(struct weir_client *client)
{
	while (weir_client_step(client, -1))
		;
	return client->fault.outcome;
}

int weir_client_fd(const struct weir_client *client)
{
	return client->loop ? loop_fd(client->loop) : -EBADF;
}

int weir_client_timeout_ms(const struct weir_client *client)
{
	if (client->ended)
		return -1;
	return client->source ? loop_timeout_ms(client->loop) : 0; /* it has not begun yet */
}

enum weir_outcome weir_client_outcome(const struct weir_client *client)
{
	return client->fault.outcome;
}

int weir_client_send(struct weir_client *client, enum weir_kind kind, const void *data, size_t size)
{
	int r;

	if (kind != WEIR_TEXT && kind != WEIR_BINARY)
		return -EINVAL;
	if (!client->source || client->closing)
		return -ENOTCONN;
	if (kind == WEIR_TEXT && !utf8_is_valid(data, size))
		return -EILSEQ;
	r = source_send(client->source, (enum message_kind)kind, data, size);
	client->stats.sent += r >= 0;
	return r;
}

int weir_client_ping(struct weir_client *client, const void *data, size_t size)
{
	if (size > FRAME_CONTROL_MAX)
		return -EINVAL;
	if (!client->source || client->closing)
		return -ENOTCONN;
	return source_ping(client->source, data, size);
}

size_t weir_client_waiting(const struct weir_client *client)
{
	return client->source ? source_waiting(client->source) : 0;
}

int weir_client_close(struct weir_client *client, uint16_t code, const char *reason)
{
	if (code != CLOSE_NO_CODE && !close_code_is_valid(code))
		return -EINVAL;
	if (reason && !utf8_is_valid(reason, strlen(reason)))
		return -EILSEQ;
	if (client->ended || client->closing)
		return 0;
	client->closing = true;
	token_stop(&client->token);
	if (client->source)
		return source_close(client->source, code, reason);
	client->ended = true; /* before it began */
	return 0;
}

enum weir_client_state weir_client_state(const struct weir_client *client)
{
	if (client->ended)
		return WEIR_CLIENT_ENDED;
	if (client->closing)
		return WEIR_CLIENT_CLOSING;
	return client->ready ? WEIR_CLIENT_OPEN : WEIR_CLIENT_CONNECTING;
}

struct weir_client_stats weir_client_stats(const struct weir_client *client)
{
	struct weir_client_stats stats = client->stats;
	struct source_counters counters;

	if (!client->source)
		return stats;
	counters = source_counters(client->source);
	stats.wire_bytes = counters.wire_bytes;
	stats.connections = counters.opened;
	stats.failures = counters.failed;
	return stats;
}

const char *weir_client_subprotocol(const struct weir_client *client)
{
	return client->source ? source_subprotocol(client->source) : NULL;
}

const char *weir_client_message(const struct weir_client *client)
{
	return client ? client->fault.message : "out of memory";
}

void weir_client_free(struct weir_client *client)
{
	if (!client)
		return;
	token_done(&client->token);
	source_free(client->source);
	for (size_t i = 0; i < SOURCE_LANES; i++)
		buffer_done(&client->lanes[i]);
	endpoint_done(&client->endpoint);
	loop_free(client->loop);
	free(client);
}
