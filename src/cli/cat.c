/*
 * weir cat: the records of a spool that are wanted, in order. It takes no lock and changes nothing,
 * so that it can look at a spool that is in use, or was left by a process that was killed.
 */
#include "base/clock.h"
#include "base/macro.h"
#include "cli/cat_options.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "cli/say.h"
#include "pipeline/reader_words.h"
#include "spool/cursor.h"
#include "spool/owner.h"
#include "spool/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <weir.h>

#define BATCH 1024	 /* records */
#define FOLLOW_MS 200	 /* how often the owner is looked for when nothing happens */
#define PIPE_SIZE MIB(1) /* of a pipe behind standard output, so that both sides have time */

struct cat {
	const struct cat_options *options;
	int dir_fd;
	struct cursor *cursor;
	struct printer printer;
	uint64_t skipped; /* numbers */
	struct cursor_fault fault;
	int error; /* of the fault that is still to be told; 0: none */
	int code;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* The first one ends it between two records, the second at once. */
static void watch_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Says what is still to be said. */
static void say_fault(struct cat *cat)
{
	char words[READER_WORDS_SIZE];

	if (cat->error != 0)
		say_error("%s",
			  reader_words_fault(words, cat->options->spool, &cat->fault, cat->error));
	cat->error = 0;
}

/* Where a file is cut, a million records may be missing: those in a row are told in one line. */
static void note_fault(struct cat *cat, int error)
{
	const struct cursor_fault *fault = cursor_fault(cat->cursor);
	bool follows = cat->error == error && cat->fault.of_record && fault->of_record &&
		       cat->fault.first_seq == fault->first_seq &&
		       cat->fault.last_seq + 1 == fault->seq;

	cat->code = WEIR_STORAGE;
	if (follows) {
		cat->fault.last_seq = fault->seq;
		return;
	}
	say_fault(cat);
	cat->fault = *fault;
	cat->error = error;
}

static void say_half_printed(struct cat *cat, int error)
{
	say_error("%s: record %" PRIu64 " cannot be read any more, and is printed in part: %s",
		  cat->options->spool, cat->printer.next_seq - 1, reader_words(error));
	cat->code = WEIR_STORAGE;
}

/* Prints what there is. */
static void print_on(struct cat *cat)
{
	static struct record records[BATCH];
	struct printer *printer = &cat->printer;
	ssize_t n;

	while (!printer->done && !interrupted &&
	       (n = cursor_next_batch(cat->cursor, records, BATCH)) != 0) {
		int r;

		if (n < 0) {
			note_fault(cat, (int)n);
			continue;
		}
		say_fault(cat);
		cat->skipped += cursor_skipped(cat->cursor);
		r = printer_put(printer, cursor_reader(cat->cursor), records, (size_t)n);
		if (r < 0)
			say_half_printed(cat, r);
	}
	say_fault(cat);
}

/* Goes on until the spool has no owner any more. Whether it has is asked before it is read to its
 * end, so that nothing is missed. */
static void follow(struct cat *cat)
{
	CLEANUP_FD int watch_fd = watch_open(cat->dir_fd);
	struct owner owner = {.alive = true};

	watch_signals();
	while (!cat->printer.done && !interrupted) {
		if (owner_probe(cat->dir_fd, &owner) < 0)
			owner.alive = false;
		print_on(cat);
		output_flush(cat->printer.output);
		if (!owner.alive || cat->printer.output->error < 0 ||
		    output_is_gone(cat->printer.output))
			break;
		if (!cat->printer.done && !interrupted)
			watch_wait(watch_fd, FOLLOW_MS);
	}
	if (cat->skipped > 0)
		say_error("%" PRIu64
			  " records were processed and deleted before they could be read",
			  cat->skipped);
}

static int open_cursor(struct cat *cat)
{
	const struct selection *selection = &cat->options->selection;
	uint64_t since_ns = selection->since_ns;
	int r = cursor_open(cat->dir_fd, cat->options->follow, &cat->cursor);

	if (r < 0)
		return r;
	if (!cursor_is_spool(cat->cursor))
		return -EMEDIUMTYPE;
	if (since_ns > SELECTION_SLACK_NS)
		r = cursor_seek_time(cat->cursor, since_ns - SELECTION_SLACK_NS);
	if (r >= 0 && selection->from_seq > cursor_seq(cat->cursor))
		cursor_seek(cat->cursor, selection->from_seq);
	return r;
}

static int say_failure(const struct cat *cat, int error)
{
	char words[READER_WORDS_SIZE];

	say_error("%s", reader_words_spool(words, cat->options->spool, error));
	return WEIR_STORAGE;
}

/* A closed pipe ends it without a word, as SIGPIPE does where it is not ignored. */
static int end_output(struct cat *cat)
{
	struct output *output = cat->printer.output;

	output_flush(output);
	if (output->error == 0)
		return cat->code;
	if (output->error != -EPIPE)
		say_error("cannot write to standard output: %s", strerror(-output->error));
	return WEIR_STORAGE;
}

static int print_spool(struct cat *cat)
{
	int r;

	cat->dir_fd = open(cat->options->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = cat->dir_fd < 0 ? -errno : open_cursor(cat);
	if (r < 0)
		return say_failure(cat, r);
	fcntl(cat->printer.output->fd, F_SETPIPE_SZ, (int)PIPE_SIZE);
	if (cat->options->follow)
		follow(cat);
	else
		print_on(cat);
	return end_output(cat);
}

static void cat_done(struct cat *cat)
{
	cursor_free(cat->cursor);
	close_fdp(&cat->dir_fd);
	free(cat->printer.output);
}

int command_cat(int argc, char **argv)
{
	struct cat_options options;
	int code = cat_options_parse(&options, argc, argv);
	struct cat cat = {.options = &options, .dir_fd = -1};

	if (code != ARGUMENTS_OK)
		return code;
	cat.printer = (struct printer){
		.output = calloc(1, sizeof(*cat.printer.output)),
		.selection = options.selection,
		.form = options.form,
		.left = options.count,
		.done = options.count == 0,
	};
	if (!cat.printer.output) {
		say_error("out of memory");
		return WEIR_STORAGE;
	}
	cat.printer.output->fd = STDOUT_FILENO;
	code = print_spool(&cat);
	cat_done(&cat);
	return code;
}
