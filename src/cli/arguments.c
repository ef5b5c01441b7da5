/* getopt_long(3) finds the options; here the values get their types, and errors their words. */
#include "cli/arguments.h"

#include "base/units.h"
#include "cli/say.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <weir.h>

#define HELP_VALUE 1000
#define FIRST_VALUE 1001
#define HELP_COLUMN 26

static int add_to_list(struct argument_list *list, const char *text)
{
	const char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	list->items[list->count++] = text;
	return 0;
}

static int set(const struct argument *argument, const char *text)
{
	switch (argument->kind) {
	case ARGUMENT_FLAG:
		*(bool *)argument->value = true;
		return 0;
	case ARGUMENT_PATH:
		if (!*text)
			return -EINVAL;
		*(const char **)argument->value = text;
		return 0;
	case ARGUMENT_TEXT:
		*(const char **)argument->value = text;
		return 0;
	case ARGUMENT_LIST:
		return add_to_list(argument->value, text);
	case ARGUMENT_SIZE:
		return units_parse_size(text, argument->value);
	case ARGUMENT_TIME:
		return units_parse_time(text, argument->value);
	case ARGUMENT_COUNT:
		return units_parse_count(text, argument->value);
	case ARGUMENT_SECTION:
		break;
	}
	return -EINVAL;
}

static const char *expected(enum argument_kind kind)
{
	switch (kind) {
	case ARGUMENT_SIZE:
		return "a size, such as 64MiB, 1.5GB or 100k";
	case ARGUMENT_TIME:
		return "a time, such as 500ms, 10s or 2h";
	case ARGUMENT_COUNT:
		return "a whole number";
	default:
		return "a value";
	}
}

static int say_no_memory(void)
{
	say_error("out of memory");
	return WEIR_STORAGE;
}

static int set_or_say(const struct usage *usage, const struct argument *argument, const char *text)
{
	int r = set(argument, text);

	if (r >= 0)
		return ARGUMENTS_OK;
	if (r == -ENOMEM)
		return say_no_memory();
	if (r == -ERANGE)
		say_error("--%s: \"%s\" is too large", argument->name, text);
	else if (argument->kind == ARGUMENT_PATH)
		say_error("--%s: its value, %s, is empty", argument->name, argument->metavar);
	else
		say_error("--%s takes %s, not \"%s\"", argument->name, expected(argument->kind),
			  text);
	say_hint("see %s --help", usage->command);
	return WEIR_USAGE;
}

static void print_help(const struct usage *usage)
{
	printf("Usage: %s %s\n\n%s\n\nOptions:\n", usage->command, usage->synopsis, usage->summary);
	for (size_t i = 0; i < usage->count; i++) {
		const struct argument *argument = &usage->arguments[i];
		int width;

		if (argument->kind == ARGUMENT_SECTION) {
			printf("\n%s:\n", argument->help);
			continue;
		}
		width = printf("  --%s%s%s", argument->name, argument->metavar ? " " : "",
			       argument->metavar ? argument->metavar : "");
		printf("%*s%s\n", MAX(HELP_COLUMN - width, 2), "", argument->help);
	}
	printf("  --help%*sprint this\n", HELP_COLUMN - 8, "");
	if (usage->more)
		printf("\n%s\n", usage->more);
}

static struct option *make_options(const struct usage *usage)
{
	struct option *options = calloc(usage->count + 2, sizeof(*options));
	size_t count = 0;

	if (!options)
		return NULL;
	for (size_t i = 0; i < usage->count; i++) {
		enum argument_kind kind = usage->arguments[i].kind;

		if (kind != ARGUMENT_SECTION)
			options[count++] = (struct option){
				.name = usage->arguments[i].name,
				.has_arg = kind == ARGUMENT_FLAG ? no_argument : required_argument,
				.val = FIRST_VALUE + (int)i,
			};
	}
	options[count] = (struct option){.name = "help", .val = HELP_VALUE};
	return options;
}

static int say_unknown(const struct usage *usage, int found, char *const *argv)
{
	if (found == ':')
		say_error("%s needs a value", argv[optind - 1]);
	else if (optopt >= FIRST_VALUE && optopt < FIRST_VALUE + (int)usage->count)
		say_error("--%s takes no value", usage->arguments[optopt - FIRST_VALUE].name);
	else if (optopt > 0 && optopt < 256)
		say_error("there is no option -%c", optopt);
	else
		say_error("there is no option %s", argv[optind - 1]);
	say_hint("see %s --help", usage->command);
	return WEIR_USAGE;
}

/* An option that holds one value and is given two is a mistake, and either could be meant. */
static int check_repeated(const struct usage *usage, bool *given, const struct argument *argument)
{
	if (!*given || argument->kind == ARGUMENT_FLAG || argument->kind == ARGUMENT_LIST) {
		*given = true;
		return ARGUMENTS_OK;
	}
	say_error("--%s was given twice", argument->name);
	say_hint("see %s --help", usage->command);
	return WEIR_USAGE;
}

int arguments_parse(const struct usage *usage, int argc, char **argv, int *ret_rest)
{
	CLEANUP_FREE struct option *options = make_options(usage);
	CLEANUP_FREE bool *given = calloc(usage->count + 1, sizeof(*given));
	int result = ARGUMENTS_OK, found;

	if (!options || !given)
		return say_no_memory();
	opterr = 0;
	optind = 0; /* so that GNU getopt begins anew */
	while (result == ARGUMENTS_OK &&
	       (found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (found == HELP_VALUE || found == 'h') {
			print_help(usage);
			return 0;
		}
		if (found < FIRST_VALUE)
			return say_unknown(usage, found, argv);
		found -= FIRST_VALUE;
		result = check_repeated(usage, &given[found], &usage->arguments[found]);
		if (result == ARGUMENTS_OK)
			result = set_or_say(usage, &usage->arguments[found], optarg);
	}
	*ret_rest = optind;
	return result;
}

int arguments_separator(int argc, char *const *argv)
{
	int i = 1;

	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	return i;
}
