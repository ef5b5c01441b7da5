/* What is to be printed, and how: words and times become a selection and a form. */
#include "cli/cat_options.h"

#include "base/moment.h"
#include "base/units.h"
#include "cli/say.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <weir.h>

/* The options that are given as text. NULL: not given. */
struct texts {
	const char *from_seq, *to_seq, *since, *until, *source, *kind, *separator, *count;
};

static const struct {
	const char *name;
	unsigned kinds;
} kinds[] = {
	{"text", SELECTION_TEXT},    {"binary", SELECTION_BINARY}, {"message", SELECTION_MESSAGES},
	{"event", SELECTION_EVENTS}, {"all", SELECTION_ALL},
};

static const struct {
	const char *name;
	enum printer_form form;
} forms[] = {
	{"newline", PRINTER_NEWLINE},
	{"nul", PRINTER_NUL},
	{"length", PRINTER_LENGTH},
	{"json", PRINTER_JSON},
};

static int say_wrong(const char *option, const char *text, const char *expected)
{
	say_error("--%s takes %s, not \"%s\"", option, expected, text);
	say_hint("see weir cat --help");
	return WEIR_USAGE;
}

/* A number of up to 64 bits, which units_parse_count() does not take. */
static int parse_number(const char *option, const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;
	uint64_t number;

	if (!text)
		return ARGUMENTS_OK;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end)
		return say_wrong(option, text, "a whole number");
	if (errno == ERANGE || number > max) {
		say_error("--%s: \"%s\" is too large", option, text);
		return WEIR_USAGE;
	}
	*ret_number = number;
	return ARGUMENTS_OK;
}

static int parse_moment(const char *option, const char *text, uint64_t *ret_ns)
{
	int r = text ? moment_parse(text, clock_realtime_ns(), ret_ns) : 0;

	if (r == -ERANGE)
		return say_wrong(option, text, "a time from 1970 on");
	if (r < 0)
		return say_wrong(
			option, text,
			"a time, such as 2026-11-24T00:37:30Z, \"2026-11-24 00:37\" (local "
			"time), @1795480650, or 10m (ago)");
	return ARGUMENTS_OK;
}

static int parse_kind(const char *text, unsigned *ret_kinds)
{
	for (size_t i = 0; text && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			*ret_kinds = kinds[i].kinds;
			return ARGUMENTS_OK;
		}
	return text ? say_wrong("kind", text, "text, binary, message, event or all") : ARGUMENTS_OK;
}

static int parse_form(const char *text, enum printer_form *ret_form)
{
	for (size_t i = 0; text && i < ARRAY_SIZE(forms); i++)
		if (strcmp(text, forms[i].name) == 0) {
			*ret_form = forms[i].form;
			return ARGUMENTS_OK;
		}
	return text ? say_wrong("separator", text, "newline, nul, length or json") : ARGUMENTS_OK;
}

static int parse_source(const char *text, struct selection *selection)
{
	uint64_t source = 0;
	int code = parse_number("source", text, UINT16_MAX, &source);

	selection->source = (uint16_t)source;
	selection->of_source = text;
	return code;
}

static int take_texts(struct cat_options *options, const struct texts *texts)
{
	struct selection *selection = &options->selection;
	int code = parse_number("from-seq", texts->from_seq, UINT64_MAX, &selection->from_seq);

	if (code == ARGUMENTS_OK)
		code = parse_number("to-seq", texts->to_seq, UINT64_MAX, &selection->to_seq);
	if (code == ARGUMENTS_OK)
		code = parse_moment("since", texts->since, &selection->since_ns);
	if (code == ARGUMENTS_OK)
		code = parse_moment("until", texts->until, &selection->until_ns);
	if (code == ARGUMENTS_OK)
		code = parse_source(texts->source, selection);
	if (code == ARGUMENTS_OK)
		code = parse_kind(texts->kind, &selection->kinds);
	if (code == ARGUMENTS_OK)
		code = parse_form(texts->separator, &options->form);
	if (code == ARGUMENTS_OK)
		code = parse_number("count", texts->count, UINT64_MAX, &options->count);
	return code;
}

static int parse(struct cat_options *options, struct texts *texts, int argc, char **argv,
		 int *ret_rest)
{
	const struct argument arguments[] = {
		{"kind", ARGUMENT_TEXT, &texts->kind, "KIND",
		 "text, binary, message (both), event, or all (message)"},
		{"source", ARGUMENT_TEXT, &texts->source, "N",
		 "only of this source of the capture"},
		{"from-seq", ARGUMENT_TEXT, &texts->from_seq, "N", "from record N on"},
		{"to-seq", ARGUMENT_TEXT, &texts->to_seq, "N", "up to record N, and with it"},
		{"since", ARGUMENT_TEXT, &texts->since, "TIME", "of this time or later"},
		{"until", ARGUMENT_TEXT, &texts->until, "TIME", "earlier than this time"},
		{"count", ARGUMENT_TEXT, &texts->count, "N", "N records at most"},
		{"follow", ARGUMENT_FLAG, &options->follow, NULL,
		 "print what is captured from now on too, until the capture ends"},
		{"separator", ARGUMENT_TEXT, &texts->separator, "FORM",
		 "newline, nul, length (before it), or json"},
	};
	const struct usage usage = {
		.command = "weir cat",
		.synopsis = "SPOOL [OPTIONS]",
		.summary =
			"Prints the messages in the directory SPOOL to standard output, in order, each\n"
			"followed by a newline. The spool may be in use.",
		.arguments = arguments,
		.count = ARRAY_SIZE(arguments),
		.more = "TIME: 2026-11-24T00:37:30Z, \"2026-11-24 00:37\" (local time), @SECONDS since\n"
			"1970, or 10m, 2h, 1d (ago).\n\n"
			"Exit codes: 0 everything was printed; 2 usage; 5 something could not be read, or\n"
			"standard output not be written to.",
	};

	return arguments_parse(&usage, argc, argv, ret_rest);
}

int cat_options_parse(struct cat_options *options, int argc, char **argv)
{
	struct texts texts = {0};
	int rest, code;

	*options = (struct cat_options){.selection = SELECTION_DEFAULT, .count = UINT64_MAX};
	code = parse(options, &texts, argc, argv, &rest);
	if (code == ARGUMENTS_OK)
		code = take_texts(options, &texts);
	if (code != ARGUMENTS_OK)
		return code;
	if (argc - rest != 1) {
		say_error("which spool? One directory is to be named");
		say_hint("see weir cat --help");
		return WEIR_USAGE;
	}
	options->spool = argv[rest];
	return ARGUMENTS_OK;
}
