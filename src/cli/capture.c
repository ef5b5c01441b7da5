/*
 * weir capture: options in, libweir runs, words out. The library does the work; here are the
 * terminal, the signals and the exit code.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "base/units.h"
#include "cli/capture_options.h"
#include "cli/commands.h"
#include "cli/live.h"
#include "cli/program.h"
#include "cli/say.h"
#include "monitor/status.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir.h>

#define TICK_NS 250000000u
#define URL_SHOWN_MAX 200
#define ECHO_NS (20 * NS_PER_MS)
#define HURRY_S 1	   /* in which a second signal is obeyed in good order, or else without */
#define GREETINGS_MAX 1000 /* messages that may be of another kind than those behind them */
#define DESCRIPTORS_MAX 65536 /* more would be slow to close for who closes them all */

struct run {
	struct capture_options options;
	struct live live;
	struct weir_capture *capture;
	bool told; /* why a source of several ended */
	bool told_no_key, told_no_number;
};

/* Signals interrupt anything, so they only leave a note with the library. */
static struct weir_capture *volatile stopping;
static const char *volatile spool_left; /* when it stops at once; NULL: nothing is */
static volatile sig_atomic_t last_signal;

/* timeout(1) sends its signal to the command, and at once to the whole group; others send two
 * different ones, and a terminal that is closed sends SIGHUP more than once. Each of these is one
 * wish, not two. No other handler of ours interrupts this one. */
static void on_signal(int number)
{
	static uint64_t last_ns;
	static unsigned wishes;
	uint64_t now = clock_monotonic_ns();

	if (last_signal && (number == SIGHUP || now - last_ns < ECHO_NS))
		return;
	if (++wishes == 2) /* those behind it must not put it off */
		alarm(HURRY_S);
	last_ns = now;
	last_signal = number;
	if (stopping)
		weir_capture_stop(stopping);
}

/* The disk does not answer, and whoever waits for it cannot be told. What is there stays as it is,
 * as after a kill. */
static void on_alarm(int number)
{
	const char *const parts[] = {
		"weir: stopped at once, since the disk does not answer",
		spool_left ? "; what was captured is left in the spool " : "",
		spool_left ? spool_left : "",
		"\n",
	};
	struct pollfd to = {.fd = STDERR_FILENO, .events = POLLOUT};

	(void)number;
	for (size_t i = 0; i < ARRAY_SIZE(parts) && poll(&to, 1, 0) > 0; i++)
		(void)!write(STDERR_FILENO, parts[i], strlen(parts[i]));
	_exit(EXIT_SIGNAL + last_signal);
}

/* What was ignored when we were started, as nohup(1) has it, stays so. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;

	sigfillset(&stop.sa_mask);
	signal(SIGALRM, on_alarm);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would keep from us how COMMAND ended */
	/* COMMAND inherits these two. It is not in the foreground of the terminal, and would be
	 * stopped, and waited for, where it asks somebody. */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
}

/* A pointer that never leads anywhere is a mistake, and somebody should hear of it while there is
 * something to be mended. Each is told once. */
static void say_pointless(struct run *run, const struct weir_stats *stats, uint64_t least)
{
	const struct weir_capture_options *options = &run->options.capture;
	char count[UNITS_TEXT_SIZE];

	if (run->options.status == CAPTURE_STATUS_NONE)
		return;
	if (!run->told_no_key && stats->keyed == 0 && stats->keyless >= least) {
		run->told_no_key = true;
		say_error("--unique-key %s: no message had a value there so far, of %s; "
			  "duplicates cannot be found",
			  options->unique_key, units_format_count(stats->keyless, count));
	}
	if (!run->told_no_number && stats->numbered == 0 && stats->numberless >= least) {
		run->told_no_number = true;
		say_error("--sequence %s: no message had a number there so far, of %s; gaps cannot "
			  "be found",
			  options->sequence, units_format_count(stats->numberless, count));
	}
}

static void on_tick(const struct weir_stats *stats, void *data)
{
	struct run *run = data;

	say_pointless(run, stats, GREETINGS_MAX);
	if (run->options.status == CAPTURE_STATUS_LIVE)
		live_tick(&run->live, run->capture, stats);
}

static void on_command(bool runs, void *data)
{
	struct run *run = data;

	live_command(&run->live, runs);
}

static void on_kept(const struct weir_segment *segment, int status, void *data)
{
	const struct run *run = data;
	const char *program =
		run->options.capture.command ? run->options.capture.command[0] : "the command";
	char why[96];

	if (status == -EBADMSG || status == -ENOMSG) {
		say_error("%s is damaged: it is kept, and not processed", segment->data);
		return;
	}
	if (status == -EPROTO) {
		say_error("%s is of another version of weir: it is kept, and not processed",
			  segment->data);
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
	say_error("%s %s for %s (%" PRIu64 " messages, which are %s)", program, why, segment->data,
		  segment->messages,
		  run->options.capture.ephemeral ? "gone when weir ends" : "kept");
}

/* Somebody has to make room, or it goes on like this for ever. */
static void on_full_disk(const char *message, void *data)
{
	const struct run *run = data;

	if (run->options.status != CAPTURE_STATUS_NONE)
		say_error("%s", message);
}

static void on_recovered(const char *message, void *data)
{
	(void)data;
	say_error("%s", message);
}

static const char *const end_names[] = {
	[WEIR_END_NONE] = "",	      [WEIR_END_LIMIT] = "limit",   [WEIR_END_STOP] = "signal",
	[WEIR_END_SERVER] = "closed", [WEIR_END_READER] = "reader", [WEIR_END_FAILURE] = "failed",
};

/* A temporary spool that stays must be named, or nobody would ever find it. */
static void report_spool(const struct run *run, const char *spool)
{
	if (run->options.status != CAPTURE_STATUS_NONE)
		fprintf(stderr, "spool      %s (weir cat prints it)\n", spool);
	else if (!run->options.capture.spool && !strstr(weir_capture_message(run->capture), spool))
		say_error("what was captured is in %s", spool);
}

static bool is_of_connections(enum weir_outcome outcome)
{
	return outcome == WEIR_NOT_CONNECTED || outcome == WEIR_BROKEN;
}

static void report_json(const struct run *run, const struct weir_stats *stats,
			struct status_names *names)
{
	size_t count = run->options.capture.source_count;
	CLEANUP_FREE struct weir_source_stats *sources = calloc(count, sizeof(*sources));

	for (size_t i = 0; sources && i < count; i++)
		sources[i] = weir_capture_source_stats(run->capture, i);
	names->sources = sources;
	names->source_count = sources ? count : 0;
	status_json(stderr, stats, names);
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
	say_pointless(run, &stats, 1);
	if (outcome != WEIR_DONE && !(run->told && is_of_connections(outcome)))
		say_error("%s", weir_capture_message(run->capture));
	if (run->options.status == CAPTURE_STATUS_JSON)
		return report_json(run, &stats, &names);
	if (outcome == WEIR_NOT_CONNECTED && stats.messages + stats.acked + stats.kept == 0)
		run->options.status = CAPTURE_STATUS_NONE; /* nothing to sum up */
	if (run->options.status != CAPTURE_STATUS_NONE && stats.elapsed_ns > 0)
		status_summary(stderr, &stats);
	if (exists && stats.disk_bytes > 0 && stats.elapsed_ns > 0)
		report_spool(run, names.spool);
}

static void say_insecure(const struct run *run)
{
	for (size_t i = 0; i < run->options.capture.source_count; i++) {
		const char *url = weir_capture_url(run->capture, i);

		if (strncmp(url, "wss:", 4) == 0)
			say_error("--insecure: whose certificate %s has is not checked, so anybody "
				  "in between can read and change everything",
				  url);
		else if (run->options.source.follow_redirects)
			say_error("--insecure: where %s redirects to wss://, whose certificate it "
				  "is is not checked, so anybody in between can read and change "
				  "everything",
				  url);
	}
}

/* Runs a capture whose options are complete. Returns the exit code. */
static int capture(struct run *run)
{
	enum weir_outcome outcome = weir_capture_new(&run->options.capture, &run->capture);

	if (!run->capture) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	if (outcome == WEIR_DONE) {
		if (run->options.source.insecure)
			say_insecure(run);
		stopping = run->capture;
		if (!run->options.capture.ephemeral)
			spool_left = weir_capture_spool(run->capture);
		catch_signals();
		outcome = weir_capture_run(run->capture);
	}
	report(run, outcome);
	if (outcome == WEIR_ABORTED) /* to free it is to wait for a sync that may never end */
		_exit(EXIT_SIGNAL + last_signal);
	stopping = NULL;
	spool_left = NULL;
	weir_capture_free(run->capture);
	return (int)outcome;
}

/* A connection is open elsewhere, or ended, and the capture goes on: with the next attempt, or with
 * other sources. Who wants --reconnect is told as well why there is none. */
static void on_connection(const struct weir_connection *connection, void *data)
{
	struct run *run = data;
	bool goes_on = connection->retries || run->options.source.reconnect ||
		       run->options.capture.source_count > 1;
	char why[URL_SHOWN_MAX + 32], wait[UNITS_TEXT_SIZE];

	if (run->options.status == CAPTURE_STATUS_NONE)
		return;
	if (connection->connected && *connection->redirected_to)
		say_error("%s was redirected to %s", connection->url, connection->redirected_to);
	if (connection->connected || connection->wanted || !goes_on)
		return;
	snprintf(why, sizeof(why), "%.*s closed the connection", URL_SHOWN_MAX, connection->url);
	say_error("%s; %s%s", *connection->message ? connection->message : why,
		  connection->retries ? "the next attempt comes in " : "it is not tried again",
		  connection->retries ? units_format_time(connection->next_in_ns, wait) : "");
	run->told |= !connection->retries && *connection->message;
}

/* A backlog of files without names takes two descriptors for each segment of it. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_MAX)
		return;
	limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)DESCRIPTORS_MAX);
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void run_donep(struct run *run)
{
	capture_options_done(&run->options);
}

int command_capture(int argc, char **argv)
{
	CLEANUP(run_done) struct run run = {0};
	int code = capture_options_parse(&run.options, argc, argv);

	if (code != ARGUMENTS_OK)
		return code;
	if (run.options.capture.ephemeral)
		raise_descriptor_limit();
	run.options.capture.on_kept = on_kept;
	run.options.capture.on_recovered = on_recovered;
	run.options.capture.on_connection = on_connection;
	run.options.capture.on_full_disk = on_full_disk;
	if (run.options.status == CAPTURE_STATUS_LIVE || run.options.capture.unique_key ||
	    run.options.capture.sequence)
		run.options.capture.on_tick = on_tick;
	run.options.capture.tick_ns = TICK_NS;
	run.live.sources = run.options.capture.source_count;
	if (run.options.status == CAPTURE_STATUS_LIVE)
		run.options.capture.on_command = on_command;
	run.options.capture.data = &run;
	return capture(&run);
}
