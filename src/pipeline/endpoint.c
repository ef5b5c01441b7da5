/*
 * Where 0 is a default to users, it means "none" below, so that each layer has its own natural
 * zero. It is here that one becomes the other.
 */
#include "pipeline/endpoint.h"

#include "base/clock.h"
#include "base/macro.h"
#include "base/utf8.h"
#include "websocket/authorization.h"

#include <errno.h>
#include <string.h>

#define CONNECT_TIMEOUT_NS (30 * NS_PER_S)
#define PING_INTERVAL_NS (30 * NS_PER_S)
#define PONG_TIMEOUT_NS (30 * NS_PER_S)
#define RETRY_FIRST_NS NS_PER_S
#define RETRY_MAX_NS (60 * NS_PER_S)
#define MESSAGE_MAX ((uint64_t)4 << 30)
#define FRAGMENTS_MAX ((uint64_t)16 << 20)

/* Which one of them is meant: its name, if it can be told, but never its value, which may be
 * secret. */
static void check_header(const char *line, size_t number, struct fault *fault)
{
	const char *own = handshake_header_own(line);

	if (own)
		fault_set(fault, WEIR_USAGE, "--header: the WebSocket handshake itself sets %s%s",
			  own,
			  strcmp(own, "Sec-WebSocket-Protocol") == 0
				  ? "; --subprotocol says what is "
				    "in it"
				  : "");
	else if (!handshake_header_is_valid(line))
		fault_set(fault, WEIR_USAGE,
			  "--header takes \"Name: value\" on one line; number %zu of them is "
			  "something else",
			  number);
}

/* Servers refuse a request that has one of these twice, or take the one that was not meant. */
static void check_twice(const struct weir_source *options, bool given, const char *name,
			const char *by, struct fault *fault)
{
	for (size_t i = 0; given && i < options->header_count; i++)
		if (handshake_header_is(options->headers[i], name))
			fault_set(fault, WEIR_USAGE,
				  "%s is set by %s, and once more by a --header: only one of them "
				  "can be meant",
				  name, by);
}

static void check_request(const struct weir_source *options, struct fault *fault)
{
	for (size_t i = 0; i < options->header_count; i++)
		check_header(options->headers[i], i + 1, fault);
	check_twice(options, options->user_agent, "User-Agent", "--user-agent", fault);
	check_twice(options, options->origin, "Origin", "--origin", fault);
	check_twice(options, options->basic, "Authorization", "--basic-file or --basic-env", fault);
	check_twice(options, options->bearer, "Authorization", "--bearer-file or --bearer-env",
		    fault);
	check_twice(options, options->token_command, "Authorization", "--token-command", fault);
	if (!handshake_subprotocols_are_valid(options->subprotocols, options->subprotocol_count))
		fault_set(fault, WEIR_USAGE,
			  "--subprotocol takes a name without blanks and separators, each once");
	if (options->user_agent && !handshake_user_agent_is_valid(options->user_agent))
		fault_set(fault, WEIR_USAGE, "--user-agent takes a text on one line");
	if (options->origin && !handshake_origin_is_valid(options->origin))
		fault_set(fault, WEIR_USAGE, "--origin takes SCHEME://HOST[:PORT], or null");
}

static void check_times(const struct weir_source *options, struct fault *fault)
{
	bool beats = options->beat_interval_ns > 0 && options->beat_interval_ns != WEIR_UNLIMITED;

	if (options->beat && !utf8_is_valid(options->beat, strlen(options->beat)))
		fault_set(fault, WEIR_USAGE, "--heartbeat takes text in UTF-8");
	if (beats != (options->beat != NULL))
		fault_set(fault, WEIR_USAGE,
			  "--heartbeat and --heartbeat-interval go together: what is sent, and how "
			  "often");
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
	all.retry_max_ns = all.retry_max_ns ? all.retry_max_ns : RETRY_MAX_NS;
	all.retry_first_ns = all.retry_first_ns ? all.retry_first_ns : RETRY_FIRST_NS;
	all.retry_attempts = complete(all.retry_attempts, 0);
	all.retry_time_ns = complete(all.retry_time_ns, 0);
	all.connection_age_ns = complete(all.connection_age_ns, 0);
	all.message_max = complete(all.message_max, MESSAGE_MAX);
	all.fragments_max = complete(all.fragments_max, FRAGMENTS_MAX);
	all.ratio_max = complete(all.ratio_max, 0);
	return all;
}

/* Notes as a fault what libraries say of a secret or a script. */
static int note(int r, struct fault *fault, const char *what, const char *why)
{
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		fault_set(fault, WEIR_USAGE, "%s %s", what, why);
	return 0;
}

/* One way to log in is enough, and it is not said which one would win. */
static void check_credentials(const struct weir_source *options, struct fault *fault)
{
	if (options->basic && options->bearer)
		fault_set(fault, WEIR_USAGE,
			  "a user and a password (--basic-file, --basic-env) and a token "
			  "(--bearer-file, --bearer-env) exclude each other");
	if (options->token_command && (options->basic || options->bearer))
		fault_set(fault, WEIR_USAGE,
			  "--token-command says how to log in: --basic-file, --basic-env, "
			  "--bearer-file and --bearer-env do not go with it");
	if (options->token_command && !options->token_command[0])
		fault_set(fault, WEIR_USAGE, "there is no command for the token");
}

static int make_authorization(struct endpoint *endpoint, struct fault *fault)
{
	const struct weir_source *options = &endpoint->options;
	const char *text = options->basic ? options->basic : options->bearer;
	const char *what = options->basic ? "what --basic-file or --basic-env names"
					  : "what --bearer-file or --bearer-env names";
	CLEANUP(secret_done) struct secret secret = {0};
	char why[SECRET_TEXT_SIZE];
	int r;

	if (!text)
		return 0;
	r = secret_from_bytes(text, strlen(text), &secret);
	if (r < 0)
		return note(r, fault, what, secret_error_text(r, why));
	if (options->basic)
		r = authorization_basic(&secret, &endpoint->authorization);
	else
		r = authorization_bearer(&secret, &endpoint->authorization);
	return note(r, fault, what,
		    options->basic ? "is not USER:PASSWORD on one line"
				   : "is no token: that is printable ASCII without blanks");
}

/* What the handshake asks for. */
static int make_request(struct endpoint *endpoint, struct fault *fault)
{
	const struct weir_source *options = &endpoint->options;
	size_t count = options->header_count;
	int r = make_authorization(endpoint, fault);

	if (r < 0)
		return r;
	endpoint->headers = calloc(count + 1, sizeof(*endpoint->headers));
	if (!endpoint->headers)
		return -ENOMEM;
	if (count > 0)
		memcpy(endpoint->headers, options->headers, count * sizeof(*endpoint->headers));
	if (endpoint->authorization.text)
		endpoint->headers[count++] = endpoint->authorization.text;
	endpoint->compression.client_max_window_bits = EXTENSION_WINDOW_MAX;
	endpoint->request = (struct handshake_request_options){
		.headers = endpoint->headers,
		.header_count = count,
		.subprotocols = options->subprotocols,
		.subprotocol_count = options->subprotocol_count,
		.user_agent = options->user_agent,
		.origin = options->origin,
	};
	return 0;
}

static int fill_script(struct endpoint *endpoint, struct script_error *error,
		       const char **ret_where)
{
	const struct weir_source *options = &endpoint->options;
	int r = options->script ? script_add_file(endpoint->script, options->script, error) : 0;

	*ret_where = r < 0 ? "--script:" : "--send:";
	for (size_t i = 0; r >= 0 && i < options->send_count; i++)
		r = script_add_send(endpoint->script, options->sends[i], error);
	return r;
}

/* What is said first. */
static int make_script(struct endpoint *endpoint, struct fault *fault)
{
	struct script_error error = {0};
	char line[64];
	const char *where;
	int r;

	if (!endpoint->options.script && endpoint->options.send_count == 0)
		return 0;
	r = script_new(&endpoint->script);
	if (r < 0)
		return r;
	r = fill_script(endpoint, &error, &where);
	if (error.line > 0) {
		snprintf(line, sizeof(line), "line %zu of the --script:", error.line);
		where = line;
	}
	return note(r, fault, where, error.text);
}

int endpoint_init(struct endpoint *endpoint, const struct weir_source *options, struct fault *fault)
{
	int r;

	*endpoint = (struct endpoint){.options = with_defaults(options)};
	if (!options->url) {
		fault_set(fault, WEIR_USAGE, "there is no URL");
		return 0;
	}
	check_request(options, fault);
	check_times(options, fault);
	check_credentials(options, fault);
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
	r = route_set(&endpoint->route, &endpoint->options, &endpoint->url, fault);
	if (r >= 0)
		r = make_request(endpoint, fault);
	return r < 0 ? r : make_script(endpoint, fault);
}

void endpoint_done(struct endpoint *endpoint)
{
	script_free(endpoint->script);
	free(endpoint->headers);
	secret_done(&endpoint->authorization);
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
				.request = &endpoint->request,
				.compression = from->no_compression ? NULL : &endpoint->compression,
				.script = endpoint->script,
				.connect_timeout_ns = from->connect_timeout_ns,
				.message_max = from->message_max,
				.fragments_max = from->fragments_max,
				.ratio_max = from->ratio_max,
				.liveness =
					{
						.ping_interval_ns = from->ping_interval_ns,
						.pong_timeout_ns = from->pong_timeout_ns,
						.idle_timeout_ns = from->idle_timeout_ns,
						.beat_interval_ns = from->beat_interval_ns,
					},
				.beat = from->beat,
			},
		.prepare = from->token_command != NULL,
		.follow_redirects = from->follow_redirects,
		.tls_proxy = endpoint->route.tls_proxy,
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
