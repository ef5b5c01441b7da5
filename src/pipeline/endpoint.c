/*
 * Where 0 is a default to users, it means "none" below, so that each layer has its own natural
 * zero. It is here that one becomes the other.
 */
#include "pipeline/endpoint.h"

#include "base/clock.h"
#include "base/macro.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

#define CONNECT_TIMEOUT_NS (30 * NS_PER_S)
#define PING_INTERVAL_NS (30 * NS_PER_S)
#define PONG_TIMEOUT_NS (30 * NS_PER_S)
#define RETRY_FIRST_NS NS_PER_S
#define RETRY_MAX_NS (60 * NS_PER_S)
#define MESSAGE_MAX ((uint64_t)4 << 30)
#define FRAGMENTS_MAX ((uint64_t)16 << 20)

static bool is_utf8(const char *text)
{
	return utf8_validate(UTF8_WHOLE, (const uint8_t *)text, strlen(text)) == UTF8_WHOLE;
}

static void check(const struct weir_source *options, struct fault *fault)
{
	for (size_t i = 0; i < options->header_count; i++)
		if (!handshake_header_is_valid(options->headers[i]))
			fault_set(fault, WEIR_USAGE,
				  "--header takes \"Name: value\" on one line, and none of the "
				  "headers that the WebSocket handshake itself sets");
	for (size_t i = 0; i < options->send_count; i++)
		if (!is_utf8(options->sends[i]))
			fault_set(fault, WEIR_USAGE, "--send takes text in UTF-8");
	if (options->beat && !is_utf8(options->beat))
		fault_set(fault, WEIR_USAGE, "--heartbeat takes text in UTF-8");
	if (options->beat_interval_ns > 0 && !options->beat)
		fault_set(fault, WEIR_USAGE,
			  "--heartbeat-interval needs a --heartbeat that is to be sent");
}

static uint64_t complete(uint64_t value, uint64_t by_default)
{
	if (value == WEIR_UNLIMITED)
		return 0;
	return value == 0 ? by_default : value;
}

static struct weir_source with_defaults(const struct weir_source *options)
{
	struct weir_source all = *options;

	all.connect_timeout_ns = complete(all.connect_timeout_ns, CONNECT_TIMEOUT_NS);
	all.ping_interval_ns = complete(all.ping_interval_ns, PING_INTERVAL_NS);
	all.pong_timeout_ns = complete(all.pong_timeout_ns, PONG_TIMEOUT_NS);
	all.idle_timeout_ns = complete(all.idle_timeout_ns, 0);
	all.beat_interval_ns = complete(all.beat_interval_ns, 0);
	all.retry_max_ns = complete(all.retry_max_ns, RETRY_MAX_NS);
	all.retry_first_ns = complete(all.retry_first_ns, RETRY_FIRST_NS);
	all.retry_attempts = complete(all.retry_attempts, 0);
	all.retry_time_ns = complete(all.retry_time_ns, 0);
	all.connection_age_ns = complete(all.connection_age_ns, 0);
	all.message_max = complete(all.message_max, MESSAGE_MAX);
	all.fragments_max = complete(all.fragments_max, FRAGMENTS_MAX);
	return all;
}

int endpoint_init(struct endpoint *endpoint, const struct weir_source *options, struct fault *fault)
{
	int r;

	*endpoint = (struct endpoint){.options = with_defaults(options)};
	if (!options->url) {
		fault_set(fault, WEIR_USAGE, "there is no URL");
		return 0;
	}
	check(options, fault);
	r = url_parse(options->url, &endpoint->url);
	if (r < 0)
		return r;
	if (r > 0) {
		fault_set(fault, WEIR_USAGE, "the URL %s", url_error_text((enum url_error)r));
		return 0;
	}
	endpoint->shown_url = url_format_shown(&endpoint->url);
	if (!endpoint->shown_url)
		return -ENOMEM;
	return route_set(&endpoint->route, &endpoint->options, &endpoint->url, fault);
}

void endpoint_done(struct endpoint *endpoint)
{
	route_done(&endpoint->route);
	url_done(&endpoint->url);
	free(endpoint->shown_url);
	*endpoint = (struct endpoint){0};
}

struct source_options endpoint_source_options(const struct endpoint *endpoint)
{
	const struct weir_source *from = &endpoint->options;

	return (struct source_options){
		.client =
			{
				.url = &endpoint->url,
				.transport = &endpoint->route.transport,
				.headers = from->headers,
				.header_count = from->header_count,
				.sends = from->sends,
				.send_count = from->send_count,
				.connect_timeout_ns = from->connect_timeout_ns,
				.message_max = from->message_max,
				.fragments_max = from->fragments_max,
				.liveness =
					{
						.ping_interval_ns = from->ping_interval_ns,
						.pong_timeout_ns = from->pong_timeout_ns,
						.idle_timeout_ns = from->idle_timeout_ns,
						.beat_interval_ns = from->beat_interval_ns,
					},
				.beat = from->beat,
			},
		.reconnect = from->reconnect,
		.backoff =
			{
				.first_ns = from->retry_first_ns,
				.max_ns = from->retry_max_ns,
				.attempts_max = from->retry_attempts,
				.give_up_ns = from->retry_time_ns,
			},
		.connection_age_ns = from->connection_age_ns,
	};
}
