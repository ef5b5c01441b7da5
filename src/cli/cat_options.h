/* The options of weir cat. */
#ifndef WEIR_CLI_CAT_OPTIONS_H
#define WEIR_CLI_CAT_OPTIONS_H

#include "cli/arguments.h"
#include "cli/printer.h"

struct cat_options {
	const char *spool;
	struct selection selection;
	enum printer_form form;
	uint64_t count; /* how many to print at most */
	bool follow;
};

/* ARGUMENTS_OK, or the exit code to end with. */
int cat_options_parse(struct cat_options *options, int argc, char **argv);

#endif
