/*
 * What was given is made into what the library takes: names into numbers, files into secrets, and
 * what excludes each other is refused. What is wrong with a value by itself is found by the
 * library.
 */
#include "cli/capture_options.h"

#include "base/clock.h"
#include "base/units.h"
#include "cli/capture_arguments.h"
#include "cli/program.h"
#include "cli/say.h"

#include <fcntl.h>
#include <string.h>

#define SEGMENT_AGE_NS (10 * NS_PER_S)
#define PING_NS (30 * NS_PER_S)

static int choose_status(struct capture_options *options)
{
	static const char *const names[] = {"none", "live", "summary", "json"};
	const char *name = options->status_name;

	options->status = isatty(STDERR_FILENO) ? CAPTURE_STATUS_LIVE : CAPTURE_STATUS_SUMMARY;
	if (!name || strcmp(name, "auto") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			options->status = (enum capture_status)i;
			return 0;
		}
	}
	say_error("--status takes auto, live, summary, json or none, not \"%s\"", name);
	return WEIR_USAGE;
}

static const struct {
	const char *name;
	enum weir_sync sync;
} syncs[] = {
	{"none", WEIR_SYNC_NONE}, {"interval", WEIR_SYNC_INTERVAL}, {"bytes", WEIR_SYNC_BYTES},
	{"seal", WEIR_SYNC_SEAL}, {"every", WEIR_SYNC_EVERY},
};

/* The value behind "=" of interval and bytes. Neither can be 0; bytes has no default. */
static bool set_sync_value(struct weir_capture_options *capture, const char *value)
{
	if (capture->sync == WEIR_SYNC_INTERVAL)
		return !value || (units_parse_time(value, &capture->sync_interval_ns) >= 0 &&
				  capture->sync_interval_ns > 0);
	if (capture->sync == WEIR_SYNC_BYTES)
		return value && units_parse_size(value, &capture->sync_bytes) >= 0 &&
		       capture->sync_bytes > 0;
	return !value;
}

static int choose_sync(struct capture_options *options)
{
	const char *text = options->sync_text ? options->sync_text : "none";
	const char *value = strchr(text, '=');
	size_t size = value ? (size_t)(value - text) : strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(syncs); i++) {
		if (strlen(syncs[i].name) != size || strncmp(syncs[i].name, text, size) != 0)
			continue;
		options->capture.sync = syncs[i].sync;
		if (set_sync_value(&options->capture, value ? value + 1 : NULL))
			return 0;
	}
	say_error("--sync takes none, interval, interval=TIME, bytes=SIZE, seal or every, not "
		  "\"%s\"",
		  text);
	return WEIR_USAGE;
}

static int choose_on_full(struct capture_options *options)
{
	static const char *const names[] = {
		[WEIR_FULL_BLOCK] = "block",
		[WEIR_FULL_DROP_OLDEST] = "drop-oldest",
		[WEIR_FULL_DROP_NEWEST] = "drop-newest",
		[WEIR_FULL_STOP] = "stop",
	};
	const char *name = options->on_full_name;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!name || strcmp(name, names[i]) == 0) {
			options->capture.on_full = (enum weir_on_full)i;
			return 0;
		}
	}
	say_error("--on-full takes block, drop-oldest, drop-newest or stop, not \"%s\"", name);
	return WEIR_USAGE;
}

static int choose_compression(struct capture_options *options)
{
	static const char name[] = "zstd";
	const char *text = options->compress_text;
	uint64_t level = 3;

	if (!text)
		return 0;
	if (strncmp(text, name, strlen(name)) == 0) {
		const char *value = text + strlen(name);

		if (!*value || (*value == '=' && units_parse_count(value + 1, &level) >= 0 &&
				level > 0 && level < 100)) {
			options->capture.compress_level = (unsigned)level;
			return 0;
		}
	}
	say_error("--compress takes zstd or zstd=LEVEL, not \"%s\"", text);
	return WEIR_USAGE;
}

static int choose_destination(struct capture_options *options, char **command)
{
	struct weir_capture_options *capture = &options->capture;

	if (command && options->keep) {
		say_error("--keep leaves everything in the spool: it does not go with a COMMAND");
		return WEIR_USAGE;
	}
	if (command && !*command) {
		say_error("there is no COMMAND behind --");
		return WEIR_USAGE;
	}
	capture->stream_fd = STDOUT_FILENO;
	if (command)
		capture->to = WEIR_TO_COMMAND;
	else if (!options->keep && !isatty(STDOUT_FILENO))
		capture->to = WEIR_TO_STREAM;
	capture->command = command;
	return command ? program_check(*command, "; nothing was captured") : 0;
}

/* Reads a secret from where --NAME-file or --NAME-env says. */
static int read_secret(const char *name, struct capture_secret *from, const char **ret_text)
{
	char why[SECRET_TEXT_SIZE];
	int r;

	if (!from->file && !from->env)
		return 0;
	if (from->file && from->env) {
		say_error("--%s-file and --%s-env: one of them is enough", name, name);
		return WEIR_USAGE;
	}
	r = from->file ? secret_read_file(AT_FDCWD, from->file, &from->secret)
		       : secret_read_env(from->env, &from->secret);
	if (r < 0) {
		say_error("--%s-%s: %s %s", name, from->file ? "file" : "env",
			  from->file ? from->file : from->env, secret_error_text(r, why));
		return WEIR_USAGE;
	}
	*ret_text = from->secret.text;
	return 0;
}

static int choose_family(struct capture_options *options)
{
	if (options->ipv4 && options->ipv6) {
		say_error("--ipv4 and --ipv6 exclude each other; without them, both are tried");
		return WEIR_USAGE;
	}
	if (options->ipv4 || options->ipv6)
		options->source.family = options->ipv4 ? WEIR_IPV4 : WEIR_IPV6;
	return 0;
}

/* It is a text of the user's, in which nothing is put: the shell takes it as it is written. */
static int set_token_command(struct capture_options *options)
{
	static char shell[] = "/bin/sh", option[] = "-c";

	if (!options->token_command)
		return 0;
	options->token_arguments[0] = shell;
	options->token_arguments[1] = option;
	options->token_arguments[2] = strdup(options->token_command);
	if (!options->token_arguments[2]) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	options->source.token_command = options->token_arguments;
	return 0;
}

/* Somebody who limits the attempts takes it that there are some. */
static int check_retries(const struct weir_source *source)
{
	bool limited = source->retry_max_ns || source->retry_attempts || source->retry_time_ns;

	if (!limited || source->reconnect || source->connection_age_ns)
		return 0;
	say_error("--retry-wait-max, --retry-attempts and --retry-time are for --reconnect, which "
		  "is missing");
	return WEIR_USAGE;
}

static int choose_source(struct capture_options *options)
{
	struct weir_source *source = &options->source;
	int code = choose_family(options);

	if (code == 0)
		code = check_retries(source);
	if (code == 0)
		code = read_secret("key-password", &options->key_password, &source->key_password);
	if (code == 0)
		code = read_secret("proxy-user", &options->proxy_user, &source->proxy_user);
	if (code == 0)
		code = read_secret("basic", &options->basic, &source->basic);
	if (code == 0)
		code = read_secret("bearer", &options->bearer, &source->bearer);
	if (code == 0)
		code = set_token_command(options);
	source->headers = options->headers.items;
	source->header_count = options->headers.count;
	source->subprotocols = options->subprotocols.items;
	source->subprotocol_count = options->subprotocols.count;
	source->sends = options->sends.items;
	source->send_count = options->sends.count;
	return code;
}

/* 0 was given, and does not mean the default here. */
static void set_unlimited(struct weir_source *source)
{
	uint64_t *const values[] = {&source->ping_interval_ns, &source->pong_timeout_ns,
				    &source->message_max, &source->fragments_max};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (*values[i] == 0)
			*values[i] = WEIR_UNLIMITED;
}

static bool is_url(const char *text)
{
	return strstr(text, "://") != NULL;
}

/* What has an @ in it may hold a password. */
static int refuse_word(const char *word)
{
	say_error("\"%s\" is no URL, which begins with ws:// or wss://; a COMMAND stands behind --",
		  strchr(word, '@') ? "…@…" : word);
	say_hint("see weir capture --help");
	return WEIR_USAGE;
}

/* One source for each URL, all reached in the same way. */
static int set_urls(struct capture_options *options, int count, char *const *urls)
{
	if (count <= 0) {
		say_error("which URL? At least one is to be named: ws[s]://HOST[:PORT][/PATH]");
		say_hint("see weir capture --help");
		return WEIR_USAGE;
	}
	for (int i = 0; i < count; i++)
		if (!is_url(urls[i]))
			return refuse_word(urls[i]);
	options->sources = calloc((size_t)count, sizeof(*options->sources));
	if (!options->sources) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	for (int i = 0; i < count; i++) {
		options->sources[i] = options->source;
		options->sources[i].url = urls[i];
	}
	options->capture.sources = options->sources;
	options->capture.source_count = (size_t)count;
	return 0;
}

/* A word behind a URL that is neither an option nor another one: the -- was left out. */
static int check_separator(int count, char *const *words)
{
	for (int i = 1; i < count; i++)
		if (is_url(words[i - 1]) && !is_url(words[i]) && words[i][0] != '-')
			return refuse_word(words[i]);
	return 0;
}

int capture_options_parse(struct capture_options *options, int argc, char **argv)
{
	int separator = arguments_separator(argc, argv), rest;
	int code = check_separator(separator, argv);

	if (code != 0)
		return code;
	options->capture.segment_age_ns = SEGMENT_AGE_NS;
	options->source.ping_interval_ns = options->source.pong_timeout_ns = PING_NS;
	options->source.message_max = (uint64_t)4 << 30;
	options->source.fragments_max = (uint64_t)16 << 20;
	code = capture_arguments_parse(options, separator, argv, &rest);
	if (code != ARGUMENTS_OK)
		return code;
	set_unlimited(&options->source);
	code = choose_status(options);
	if (code == 0)
		code = choose_sync(options);
	if (code == 0)
		code = choose_on_full(options);
	if (code == 0)
		code = choose_compression(options);
	if (code == 0)
		code = choose_source(options);
	if (code == 0)
		code = choose_destination(options, separator < argc ? argv + separator + 1 : NULL);
	if (code == 0)
		code = set_urls(options, separator - rest, argv + rest);
	return code == 0 ? ARGUMENTS_OK : code;
}

void capture_options_done(struct capture_options *options)
{
	secret_done(&options->key_password.secret);
	secret_done(&options->proxy_user.secret);
	secret_done(&options->basic.secret);
	secret_done(&options->bearer.secret);
	argument_list_donep(&options->headers);
	argument_list_donep(&options->subprotocols);
	argument_list_donep(&options->sends);
	free(options->token_arguments[2]);
	free(options->sources);
}
