/*
 * weir capture: options in, libweir runs, words out. The library does the work; here are the
 * terminal, the signals and the exit code.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/program.h"
#include "cli/say.h"
#include "cli/secret.h"
#include "monitor/status.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <tempfile.h>
#include <weir.h>

#define TICK_NS 250000000u
#define SEGMENT_AGE_NS UINT64_C(10000000000)
#define COLUMNS_MAX 400
#define ECHO_NS (20 * NS_PER_MS)

enum status_kind {
	STATUS_NONE,
	STATUS_LIVE,
	STATUS_SUMMARY,
	STATUS_JSON,
};

/* What is on the command line, and what is needed while it runs. */
struct run {
	struct weir_source source; /* what all sources have in common */
	struct weir_source *sources;
	struct weir_capture_options options;
	struct argument_list headers, sends;
	const char *status, *key_password_file, *key_password_env, *proxy_user_file;
	char *key_password, *proxy_user;
	bool keep, ipv4, ipv6;
	enum status_kind kind;
	struct status_mark mark;
	struct weir_capture *capture;
};

/* Signals interrupt anything, so they only leave a note with the library. */
static struct weir_capture *volatile stopping;
static volatile sig_atomic_t last_signal;

/* timeout(1) sends its signal to the command, and at once to the whole group; others send two
 * different ones, and a terminal that is closed sends SIGHUP more than once. Each of these is one
 * wish, not two. No other handler of ours interrupts this one. */
static void on_signal(int number)
{
	static uint64_t last_ns;
	uint64_t now = clock_monotonic_ns();

	if (last_signal && (number == SIGHUP || now - last_ns < ECHO_NS))
		return;
	last_ns = now;
	last_signal = number;
	if (stopping)
		weir_capture_stop(stopping);
}

/* What was ignored when we were started, as nohup(1) has it, stays so. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;

	sigfillset(&stop.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would keep from us how COMMAND ended */
}

static size_t terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 2)
		return 80;
	return MIN((size_t)size.ws_col - 1, (size_t)COLUMNS_MAX);
}

static void on_tick(const struct weir_stats *stats, void *data)
{
	struct run *run = data;
	struct tempfile_usage disk = {0};
	char line[COLUMNS_MAX + 1];

	tempfile_disk_usage(weir_capture_spool(run->capture), &disk);
	say_live(status_line(line, terminal_columns(), stats, &run->mark, disk.free));
	run->mark = (struct status_mark){
		.elapsed_ns = stats->elapsed_ns,
		.messages = stats->messages,
		.bytes = stats->bytes,
	};
}

static void on_kept(const struct weir_segment *segment, int status, void *data)
{
	const struct run *run = data;
	const char *program = run->options.command ? run->options.command[0] : "the command";
	char why[96];

	if (status == -EBADMSG) {
		say_error("%s is damaged: it is kept, and not processed", segment->data);
		return;
	}
	if (status == -ECHILD)
		snprintf(why, sizeof(why), "ended in a way that somebody else was told");
	else if (status < 0)
		snprintf(why, sizeof(why), "cannot be run: %s", strerror(-status));
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "ended with exit code %d", WEXITSTATUS(status));
	say_error("%s %s for %s (%" PRIu64 " messages, which are kept)", program, why,
		  segment->data, segment->messages);
}

static int choose_status(struct run *run)
{
	static const char *const names[] = {"none", "live", "summary", "json"};

	run->kind = isatty(STDERR_FILENO) ? STATUS_LIVE : STATUS_SUMMARY;
	if (!run->status || strcmp(run->status, "auto") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(run->status, names[i]) == 0) {
			run->kind = (enum status_kind)i;
			return 0;
		}
	}
	say_error("--status takes auto, live, summary, json or none, not \"%s\"", run->status);
	return WEIR_USAGE;
}

static int choose_destination(struct run *run, char **command)
{
	struct weir_capture_options *options = &run->options;

	if (command && run->keep) {
		say_error("--keep leaves everything in the spool: it does not go with a COMMAND");
		return WEIR_USAGE;
	}
	if (command && !*command) {
		say_error("there is no COMMAND behind --");
		return WEIR_USAGE;
	}
	options->stream_fd = STDOUT_FILENO;
	if (command)
		options->to = WEIR_TO_COMMAND;
	else if (!run->keep && !isatty(STDOUT_FILENO))
		options->to = WEIR_TO_STREAM;
	options->command = command;
	return command ? program_check(*command, "; nothing was captured") : 0;
}

static const char *const end_names[] = {
	[WEIR_END_NONE] = "",	      [WEIR_END_LIMIT] = "limit",   [WEIR_END_STOP] = "signal",
	[WEIR_END_SERVER] = "closed", [WEIR_END_READER] = "reader", [WEIR_END_FAILURE] = "failed",
};

/* A temporary spool that stays must be named, or nobody would ever find it. */
static void report_spool(const struct run *run, const char *spool)
{
	if (run->kind != STATUS_NONE)
		fprintf(stderr, "spool      %s (weir cat prints it)\n", spool);
	else if (!run->options.spool && !strstr(weir_capture_message(run->capture), spool))
		say_error("what was captured is in %s", spool);
}

static void report(struct run *run, enum weir_outcome outcome)
{
	struct weir_stats stats = weir_capture_stats(run->capture);
	bool exists = weir_capture_spool_exists(run->capture);
	struct status_names names = {
		.url = weir_capture_url(run->capture, 0),
		.spool = exists ? weir_capture_spool(run->capture) : "",
		.end = end_names[stats.end],
	};

	say_live("");
	if (outcome != WEIR_DONE)
		say_error("%s", weir_capture_message(run->capture));
	if (run->kind == STATUS_JSON)
		return status_json(stderr, &stats, &names);
	if (outcome == WEIR_NOT_CONNECTED && stats.acked + stats.kept == 0)
		run->kind = STATUS_NONE; /* nothing to sum up */
	if (run->kind != STATUS_NONE && stats.elapsed_ns > 0)
		status_summary(stderr, &stats);
	if (exists && stats.disk_bytes > 0 && stats.elapsed_ns > 0)
		report_spool(run, names.spool);
}

static void say_insecure(const char *url)
{
	if (strncmp(url, "wss:", 4) == 0)
		say_error(
			"--insecure: whose certificate %s has is not checked, so anybody in between "
			"can read and change everything",
			url);
}

/* Runs a capture whose options are complete. Returns the exit code. */
static int capture(struct run *run)
{
	enum weir_outcome outcome = weir_capture_new(&run->options, &run->capture);

	if (!run->capture) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	if (outcome == WEIR_DONE) {
		if (run->source.insecure)
			say_insecure(weir_capture_url(run->capture, 0));
		stopping = run->capture;
		catch_signals();
		outcome = weir_capture_run(run->capture);
	}
	report(run, outcome);
	stopping = NULL;
	weir_capture_free(run->capture);
	return outcome == WEIR_ABORTED ? EXIT_SIGNAL + last_signal : (int)outcome;
}

/* One source for each URL, all reached in the same way. */
static int set_urls(struct run *run, int count, char *const *urls)
{
	if (count == 0) {
		say_error("which URL? At least one is to be named: ws[s]://HOST[:PORT][/PATH]");
		say_hint("see weir capture --help");
		return WEIR_USAGE;
	}
	run->sources = calloc((size_t)count, sizeof(*run->sources));
	if (!run->sources) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	for (int i = 0; i < count; i++) {
		run->sources[i] = run->source;
		run->sources[i].url = urls[i];
	}
	run->options.sources = run->sources;
	run->options.source_count = (size_t)count;
	return 0;
}

static int parse(struct run *run, int argc, char **argv, int *ret_rest)
{
	struct weir_capture_options *o = &run->options;
	struct weir_source *s = &run->source;
	const struct argument arguments[] = {
		{"dir", ARGUMENT_PATH, &o->dir, "DIR", "make the temporary spool in DIR"},
		{"prefix", ARGUMENT_TEXT, &o->prefix, "TEXT", "begin its name with TEXT (weir-)"},
		{"suffix", ARGUMENT_TEXT, &o->suffix, "TEXT", "end its name with TEXT"},
		{"spool", ARGUMENT_PATH, &o->spool, "DIR",
		 "use the spool DIR, made when missing and kept; what is in it comes first"},
		{"keep", ARGUMENT_FLAG, &run->keep, NULL,
		 "hand nothing on: leave all in the spool"},
		{"segment-size", ARGUMENT_SIZE, &o->segment_bytes, "SIZE",
		 "seal a segment at this size (64MiB)"},
		{"segment-age", ARGUMENT_TIME, &o->segment_age_ns, "TIME",
		 "or at this age (10s; 0: never)"},
		{"segment-messages", ARGUMENT_COUNT, &o->segment_messages, "N",
		 "or with so many messages (0: no limit)"},
		{"disk-max", ARGUMENT_SIZE, &o->disk_max, "SIZE",
		 "stop reading while the spool holds this much (0: no limit)"},
		{"messages", ARGUMENT_COUNT, &o->messages_max, "N", "end after N messages"},
		{"bytes", ARGUMENT_SIZE, &o->bytes_max, "SIZE",
		 "end with the message that reaches SIZE"},
		{"duration", ARGUMENT_TIME, &o->duration_ns, "TIME", "end after TIME"},
		{"send", ARGUMENT_LIST, &run->sends, "TEXT",
		 "send TEXT once connected; may be repeated"},
		{"header", ARGUMENT_LIST, &run->headers, "LINE",
		 "add a header, \"Name: value\"; may be repeated"},
		{"connect-timeout", ARGUMENT_TIME, &s->connect_timeout_ns, "TIME",
		 "give up connecting after TIME (30s)"},
		{"cacert", ARGUMENT_PATH, &s->cacert, "FILE",
		 "wss: trust the authorities in FILE, and no others"},
		{"cert", ARGUMENT_PATH, &s->cert, "FILE", "wss: our own certificate"},
		{"key", ARGUMENT_PATH, &s->key, "FILE", "its key, if not in the same file"},
		{"key-password-file", ARGUMENT_PATH, &run->key_password_file, "FILE",
		 "what the key is encrypted with, one line"},
		{"key-password-env", ARGUMENT_PATH, &run->key_password_env, "NAME",
		 "the same from the environment variable NAME"},
		{"insecure", ARGUMENT_FLAG, &s->insecure, NULL,
		 "wss: do not check whose certificate the server has"},
		{"proxy", ARGUMENT_TEXT, &s->proxy, "URL",
		 "go through this proxy (as the environment says; \"\": none)"},
		{"proxy-user-file", ARGUMENT_PATH, &run->proxy_user_file, "FILE",
		 "with what this file holds, one line USER:PASSWORD"},
		{"no-proxy", ARGUMENT_TEXT, &s->no_proxy, "HOSTS",
		 "but not to these hosts, separated by commas"},
		{"unix-socket", ARGUMENT_PATH, &s->unix_socket, "PATH",
		 "connect to this socket (@NAME: an abstract one)"},
		{"ipv4", ARGUMENT_FLAG, &run->ipv4, NULL, "use IPv4 addresses only"},
		{"ipv6", ARGUMENT_FLAG, &run->ipv6, NULL, "use IPv6 addresses only"},
		{"status", ARGUMENT_TEXT, &run->status, "WHAT",
		 "auto, live, summary, json or none, on standard error"},
	};
	const struct usage usage = {
		.command = "weir capture",
		.synopsis = "URL... [OPTIONS] [-- COMMAND [ARG...]]",
		.summary =
			"Captures the WebSocket stream at URL into segments, and runs COMMAND for each.\n"
			"{} in COMMAND stands for the path of the segment's data, which is on standard\n"
			"input otherwise. Exit code 0 of COMMAND deletes the segment. Without COMMAND,\n"
			"messages go to standard output unless that is a terminal.",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
		.more = "Exit codes: 0 done; 1 COMMAND failed, segments are kept; 2 usage; 3 no connection;\n"
			"4 connection lost or protocol broken; 5 storage; 126, 127 COMMAND cannot be run;\n"
			"128+N stopped at once by a second signal N.",
	};

	return arguments_parse(&usage, argc, argv, ret_rest);
}

static void run_donep(struct run *run)
{
	secret_free(run->key_password);
	secret_free(run->proxy_user);
	argument_list_donep(&run->headers);
	argument_list_donep(&run->sends);
	free(run->sources);
}

static int choose_connection(struct run *run)
{
	struct weir_source *source = &run->source;

	if (run->ipv4 && run->ipv6) {
		say_error("--ipv4 and --ipv6 exclude each other; without them, both are tried");
		return WEIR_USAGE;
	}
	source->family = run->ipv4 ? WEIR_IPV4 : run->ipv6 ? WEIR_IPV6 : WEIR_ANY_FAMILY;
	if (run->key_password_file && run->key_password_env) {
		say_error("--key-password-file and --key-password-env: one of them is enough");
		return WEIR_USAGE;
	}
	if (run->key_password_file)
		run->key_password = secret_read("--key-password-file", run->key_password_file);
	else if (run->key_password_env)
		run->key_password = secret_take("--key-password-env", run->key_password_env);
	if (run->proxy_user_file)
		run->proxy_user = secret_read("--proxy-user-file", run->proxy_user_file);
	source->key_password = run->key_password;
	source->proxy_user = run->proxy_user;
	if ((run->key_password_file || run->key_password_env) && !run->key_password)
		return WEIR_USAGE;
	return run->proxy_user_file && !run->proxy_user ? WEIR_USAGE : 0;
}

int command_capture(int argc, char **argv)
{
	int separator = arguments_separator(argc, argv), rest, code;
	CLEANUP(run_done)
	struct run run = {
		.options = {.segment_age_ns = SEGMENT_AGE_NS,
			    .on_kept = on_kept,
			    .tick_ns = TICK_NS},
	};

	code = parse(&run, separator, argv, &rest);
	if (code != ARGUMENTS_OK)
		return code;
	code = choose_status(&run);
	if (code == 0)
		code = choose_connection(&run);
	if (code == 0)
		code = choose_destination(&run, separator < argc ? argv + separator + 1 : NULL);
	if (code != 0)
		return code;
	run.source.headers = run.headers.items;
	run.source.header_count = run.headers.count;
	run.source.sends = run.sends.items;
	run.source.send_count = run.sends.count;
	code = set_urls(&run, separator - rest, argv + rest);
	if (code != 0)
		return code;
	run.options.on_tick = run.kind == STATUS_LIVE ? on_tick : NULL;
	run.options.data = &run;
	return capture(&run);
}
