/*
 * Three tables say what there is. Where a value goes stands beside its name, so that nothing is
 * said twice.
 */
#include "cli/capture_arguments.h"

#include "base/macro.h"

#include <assert.h>
#include <string.h>

#define TABLE_MAX 80

/* The arguments of all tables, one behind the other. */
struct table {
	struct argument arguments[TABLE_MAX];
	size_t count;
};

static void add(struct table *table, const struct argument *arguments, size_t count)
{
	assert(table->count + count <= TABLE_MAX);
	memcpy(table->arguments + table->count, arguments, count * sizeof(*arguments));
	table->count += count;
}

static void add_spool(struct table *table, struct capture_options *options)
{
	struct weir_capture_options *c = &options->capture;
	const struct argument arguments[] = {
		{"dir", ARGUMENT_PATH, &c->dir, "DIR", "make the temporary spool in DIR"},
		{"prefix", ARGUMENT_TEXT, &c->prefix, "TEXT", "begin its name with TEXT (weir-)"},
		{"suffix", ARGUMENT_TEXT, &c->suffix, "TEXT", "end its name with TEXT"},
		{"spool", ARGUMENT_PATH, &c->spool, "DIR",
		 "use the spool DIR, made when missing and kept; what is in it comes first"},
		{"ephemeral", ARGUMENT_FLAG, &c->ephemeral, NULL,
		 "files without names: nothing is left behind, whatever happens"},
		{"keep", ARGUMENT_FLAG, &options->keep, NULL,
		 "hand nothing on: leave all in the spool"},
		{"segment-size", ARGUMENT_SIZE, &c->segment_bytes, "SIZE",
		 "seal a segment at this size (64MiB)"},
		{"segment-age", ARGUMENT_TIME, &c->segment_age_ns, "TIME",
		 "or at this age (10s; 0: never)"},
		{"segment-messages", ARGUMENT_COUNT, &c->segment_messages, "N",
		 "or with so many messages (0: no limit)"},
		{"disk-max", ARGUMENT_SIZE, &c->disk_max, "SIZE",
		 "stop reading while the spool holds this much (0: no limit)"},
		{"min-free", ARGUMENT_SIZE, &c->min_free, "SIZE",
		 "or while no more than this is free on the disk (0)"},
		{"on-full", ARGUMENT_TEXT, &options->on_full_name, "WHAT",
		 "at it, or on a full disk: block, drop-oldest, drop-newest, stop (block)"},
		{"compress", ARGUMENT_TEXT, &options->compress_text, "HOW",
		 "compress segments that wait: zstd or zstd=LEVEL, from 1 to 19 (3)"},
		{"sync", ARGUMENT_TEXT, &options->sync_text, "WHEN",
		 "make it safe from power cuts: none, interval[=TIME], bytes=SIZE, seal, every"},
		{"messages", ARGUMENT_COUNT, &c->messages_max, "N", "end after N messages"},
		{"bytes", ARGUMENT_SIZE, &c->bytes_max, "SIZE",
		 "end with the message that reaches SIZE"},
		{"duration", ARGUMENT_TIME, &c->duration_ns, "TIME", "end after TIME"},
		{"unique", ARGUMENT_FLAG, &c->unique, NULL,
		 "drop messages that another URL has brought already"},
		{"unique-key", ARGUMENT_TEXT, &c->unique_key, "POINTER",
		 "the same, by their JSON value at POINTER, as /data/id"},
		{"sequence", ARGUMENT_TEXT, &c->sequence, "POINTER",
		 "put holes in the numbers at POINTER on record"},
		{"status", ARGUMENT_TEXT, &options->status_name, "WHAT",
		 "auto, live, summary, json or none, on standard error"},
	};

	add(table, arguments, ARRAY_SIZE(arguments));
}

static void add_talk(struct table *table, struct capture_options *options)
{
	struct weir_source *s = &options->source;
	const struct argument arguments[] = {
		{"", ARGUMENT_SECTION, NULL, NULL, "What is said to the server"},
		{"header", ARGUMENT_LIST, &options->headers, "LINE",
		 "add a header, \"Name: value\"; may be repeated"},
		{"subprotocol", ARGUMENT_LIST, &options->subprotocols, "NAME",
		 "offer this subprotocol; may be repeated"},
		{"user-agent", ARGUMENT_TEXT, &s->user_agent, "TEXT", "be called TEXT (weir)"},
		{"origin", ARGUMENT_TEXT, &s->origin, "ORIGIN",
		 "come from there, as a browser does"},
		{"basic-file", ARGUMENT_PATH, &options->basic.file, "FILE",
		 "log in with what FILE holds, one line USER:PASSWORD"},
		{"basic-env", ARGUMENT_PATH, &options->basic.env, "NAME",
		 "the same from the environment variable NAME"},
		{"bearer-file", ARGUMENT_PATH, &options->bearer.file, "FILE",
		 "log in with the token that FILE holds"},
		{"bearer-env", ARGUMENT_PATH, &options->bearer.env, "NAME",
		 "the same from the environment variable NAME"},
		{"token-command", ARGUMENT_PATH, &options->token_command, "COMMAND",
		 "or with the token that this prints (/bin/sh), run before each connect"},
		{"send", ARGUMENT_LIST, &options->sends, "TEXT|@FILE",
		 "send TEXT, or what FILE holds, after each connect; may be repeated"},
		{"script", ARGUMENT_PATH, &s->script, "FILE",
		 "before that, go through the steps of FILE: send, expect, wait"},
		{"heartbeat", ARGUMENT_TEXT, &s->beat, "TEXT", "send TEXT again and again,"},
		{"heartbeat-interval", ARGUMENT_TIME, &s->beat_interval_ns, "TIME", "every TIME"},
		{"no-compression", ARGUMENT_FLAG, &s->no_compression, NULL,
		 "do not offer permessage-deflate"},
		{"message-max", ARGUMENT_SIZE, &s->message_max, "SIZE",
		 "end the connection at a larger message (4GiB; 0: no limit)"},
		{"fragments-max", ARGUMENT_COUNT, &s->fragments_max, "N",
		 "or at one in more frames (16777216; 0: no limit)"},
		{"ratio-max", ARGUMENT_COUNT, &s->ratio_max, "N",
		 "or at one compressed to less than 1/N (0: no limit)"},
	};

	add(table, arguments, ARRAY_SIZE(arguments));
}

static void add_connection(struct table *table, struct capture_options *options)
{
	struct weir_source *s = &options->source;
	const struct argument arguments[] = {
		{"", ARGUMENT_SECTION, NULL, NULL, "The connection"},
		{"connect-timeout", ARGUMENT_TIME, &s->connect_timeout_ns, "TIME",
		 "give up connecting after TIME (30s)"},
		{"ping-interval", ARGUMENT_TIME, &s->ping_interval_ns, "TIME",
		 "ping after so much silence (30s; 0: never)"},
		{"pong-timeout", ARGUMENT_TIME, &s->pong_timeout_ns, "TIME",
		 "lost, if nothing follows on that for TIME (30s; 0: wait for ever)"},
		{"idle-timeout", ARGUMENT_TIME, &s->idle_timeout_ns, "TIME",
		 "lost, if no message comes for TIME (0: wait for ever)"},
		{"reconnect", ARGUMENT_FLAG, &s->reconnect, NULL,
		 "connect again whenever the connection ends or cannot be made"},
		{"retry-wait-max", ARGUMENT_TIME, &s->retry_max_ns, "TIME",
		 "wait at most so long before it (60s); the waits double up to this"},
		{"retry-attempts", ARGUMENT_COUNT, &s->retry_attempts, "N",
		 "give up when N attempts in a row have failed (0: never)"},
		{"retry-time", ARGUMENT_TIME, &s->retry_time_ns, "TIME",
		 "or after TIME without a message (0: never)"},
		{"max-connection-age", ARGUMENT_TIME, &s->connection_age_ns, "TIME",
		 "replace a connection at this age; the new one comes first (0: never)"},
		{"follow-redirects", ARGUMENT_FLAG, &s->follow_redirects, NULL,
		 "go where the server sends us; headers and credentials stay behind"},
		{"cacert", ARGUMENT_PATH, &s->cacert, "FILE",
		 "wss: trust the authorities in FILE, and no others"},
		{"cert", ARGUMENT_PATH, &s->cert, "FILE", "wss: our own certificate"},
		{"key", ARGUMENT_PATH, &s->key, "FILE", "its key, if not in the same file"},
		{"key-password-file", ARGUMENT_PATH, &options->key_password.file, "FILE",
		 "what the key is encrypted with, one line"},
		{"key-password-env", ARGUMENT_PATH, &options->key_password.env, "NAME",
		 "the same from the environment variable NAME"},
		{"insecure", ARGUMENT_FLAG, &s->insecure, NULL,
		 "wss: do not check whose certificate the server has"},
		{"proxy", ARGUMENT_TEXT, &s->proxy, "URL",
		 "go through this proxy (as the environment says; \"\": none)"},
		{"proxy-user-file", ARGUMENT_PATH, &options->proxy_user.file, "FILE",
		 "with what this file holds, one line USER:PASSWORD"},
		{"no-proxy", ARGUMENT_TEXT, &s->no_proxy, "HOSTS",
		 "but not to these hosts, separated by commas"},
		{"unix-socket", ARGUMENT_PATH, &s->unix_socket, "PATH",
		 "connect to this socket (@NAME: an abstract one)"},
		{"ipv4", ARGUMENT_FLAG, &options->ipv4, NULL, "use IPv4 addresses only"},
		{"ipv6", ARGUMENT_FLAG, &options->ipv6, NULL, "use IPv6 addresses only"},
	};

	add(table, arguments, ARRAY_SIZE(arguments));
}

int capture_arguments_parse(struct capture_options *options, int argc, char **argv, int *ret_rest)
{
	struct table table = {.count = 0};
	struct usage usage = {
		.command = "weir capture",
		.synopsis = "URL... [OPTIONS] [-- COMMAND [ARG...]]",
		.summary =
			"Captures the WebSocket streams at the URLs into segments, and runs COMMAND for\n"
			"each. {} in COMMAND stands for the path of the segment's data, which is on\n"
			"standard input otherwise. Exit code 0 of COMMAND deletes the segment. Without\n"
			"COMMAND, messages go to standard output unless that is a terminal.",
		.arguments = table.arguments,
		.more = "Exit codes: 0 done; 1 COMMAND failed, segments are kept; 2 usage; 3 no connection;\n"
			"4 connection lost or protocol broken; 5 storage; 126, 127 COMMAND cannot be run;\n"
			"128+N stopped at once by a second signal N.",
	};

	add_spool(&table, options);
	add_talk(&table, options);
	add_connection(&table, options);
	usage.count = table.count;
	return arguments_parse(&usage, argc, argv, ret_rest);
}
