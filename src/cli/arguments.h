/* Options of a subcommand: one table says what there is, how it is parsed and what --help prints.
 */
#ifndef WEIR_CLI_ARGUMENTS_H
#define WEIR_CLI_ARGUMENTS_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

enum argument_kind {
	ARGUMENT_FLAG,	  /* bool */
	ARGUMENT_TEXT,	  /* const char * */
	ARGUMENT_PATH,	  /* the same, but not empty */
	ARGUMENT_LIST,	  /* struct argument_list: may be given more than once */
	ARGUMENT_SIZE,	  /* uint64_t, bytes */
	ARGUMENT_TIME,	  /* uint64_t, nanoseconds */
	ARGUMENT_COUNT,	  /* uint64_t */
	ARGUMENT_SECTION, /* no option: `help` stands above the next ones in --help */
};

struct argument_list {
	const char **items;
	size_t count;
};

struct argument {
	const char *name; /* without the dashes */
	enum argument_kind kind;
	void *value;	     /* of the type that belongs to the kind */
	const char *metavar; /* what --help calls the value; NULL for a flag */
	const char *help;
};

/* A subcommand's texts. */
struct usage {
	const char *command; /* "weir capture" */
	const char *synopsis;
	const char *summary;
	const struct argument *arguments;
	size_t count;
	const char *more; /* below the options; may be NULL */
};

#define ARGUMENTS_OK (-1)

/* Parses argv[1] and on, up to "--" or the end; options may stand before, between and behind what
 * is none. Those are moved to the end: argv[*ret_rest] is the first. Returns ARGUMENTS_OK, or the
 * exit code to end with: help was printed, or a message. */
int arguments_parse(const struct usage *usage, int argc, char **argv, int *ret_rest);

/* Where argv is cut in two: at "--", behind which a command stands; else its end. */
int arguments_separator(int argc, char *const *argv);

static inline void argument_list_donep(struct argument_list *list)
{
	free(list->items);
}

#endif
