/* The options of weir capture, as they are written and as --help lists them. */
#ifndef WEIR_CLI_CAPTURE_ARGUMENTS_H
#define WEIR_CLI_CAPTURE_ARGUMENTS_H

#include "cli/capture_options.h"

/* Puts what was given where it belongs; `argv[*ret_rest]` is the first that is no option. Returns
 * what arguments_parse() does. */
int capture_arguments_parse(struct capture_options *options, int argc, char **argv, int *ret_rest);

#endif
