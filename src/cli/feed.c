/* weir feed: a source to try things with, when no real one is at hand. */
#include "base/macro.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "feed/server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <weir.h>

struct feed_run {
	const char *listen;
	struct server_options server;
	char *host; /* what the server's options point into */
};

static void feed_run_donep(struct feed_run *run)
{
	free(run->host);
}

/* Cuts HOST:PORT in two; the host may be [IPv6]. */
static int split_address(struct feed_run *run)
{
	uint64_t port;
	char *colon;

	run->host = strdup(run->listen);
	if (!run->host)
		return -ENOMEM;
	colon = strrchr(run->host, ':');
	if (!colon || colon == run->host)
		return -EINVAL;
	if (units_parse_count(colon + 1, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	*colon = '\0';
	run->server.host = run->host;
	run->server.port = colon + 1;
	if (run->host[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		run->server.host++;
	}
	if (strcmp(run->server.host, "localhost") == 0)
		run->server.host = "127.0.0.1"; /* whatever the resolver has for it */
	return 0;
}

static int on_signal(void *data)
{
	loop_stop(data);
	return 0;
}

static int watch_signals(struct loop *loop, struct loop_source *source)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	*source = (struct loop_source){.callback = on_signal, .data = loop, .fd = -1};
	return fd < 0 ? -errno : loop_add(loop, source, fd, EPOLLIN);
}

static int serve(struct feed_run *run)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	CLEANUP(server_free) struct server *server = NULL;
	struct loop_source signals;
	int r = loop_new(&loop);

	if (r >= 0)
		r = watch_signals(loop, &signals);
	if (r >= 0)
		r = server_new(loop, &run->server, &server);
	if (r < 0) {
		say_error("cannot listen at %s: %s", run->listen,
			  r == -EINVAL ? "HOST:PORT takes a numeric address" : strerror(-r));
		return WEIR_NOT_CONNECTED;
	}
	if (printf("%s\n", server_url(server)) < 0 || fflush(stdout) < 0)
		return 0; /* nobody knows where it is: that is said at the end */
	r = loop_run(loop);
	if (r < 0)
		say_error("stopped serving: %s", strerror(-r));
	return r < 0 ? WEIR_BROKEN : 0;
}

static int parse(struct feed_run *run, int argc, char **argv, int *ret_rest)
{
	struct producer_options *stream = &run->server.stream;
	const struct argument arguments[] = {
		{"listen", ARGUMENT_TEXT, &run->listen, "HOST:PORT",
		 "serve there (127.0.0.1:0; port 0: any free one)"},
		{"seed", ARGUMENT_COUNT, &stream->seed, "N", "make other trades (1)"},
		{"messages", ARGUMENT_COUNT, &stream->messages_max, "N", "close after N messages"},
		{"bytes", ARGUMENT_SIZE, &stream->bytes_max, "SIZE",
		 "close after the message that reaches SIZE"},
		{"rate", ARGUMENT_COUNT, &run->server.rate, "N",
		 "send N messages per second (0: as fast as they are taken)"},
		{"size", ARGUMENT_SIZE, &stream->size, "SIZE",
		 "send messages of this size instead of trades"},
		{"binary", ARGUMENT_FLAG, &stream->binary, NULL, "with --size: binary ones"},
		{"once", ARGUMENT_FLAG, &run->server.once, NULL,
		 "end when the first client has gone"},
	};
	const struct usage usage = {
		.command = "weir feed",
		.synopsis = "[OPTIONS]",
		.summary =
			"Serves a WebSocket stream of made-up trades, JSON text of about 200 bytes each.\n"
			"Every client gets the same stream from its beginning. The first line on standard\n"
			"output is the URL.",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
	};

	return arguments_parse(&usage, argc, argv, ret_rest);
}

int command_feed(int argc, char **argv)
{
	CLEANUP(feed_run_done)
	struct feed_run run = {
		.listen = "127.0.0.1:0",
		.server = {.stream = {.seed = 1}},
	};
	int rest, code;

	code = parse(&run, argc, argv, &rest);
	if (code != ARGUMENTS_OK)
		return code;
	if (rest < argc) {
		say_error("\"%s\" is more than weir feed takes", argv[rest]);
		return WEIR_USAGE;
	}
	if (run.server.stream.binary && run.server.stream.size == 0) {
		say_error("--binary goes with --size: trades are text");
		return WEIR_USAGE;
	}
	if (split_address(&run) < 0) {
		say_error("--listen takes HOST:PORT, not \"%s\"", run.listen);
		return WEIR_USAGE;
	}
	return serve(&run);
}
