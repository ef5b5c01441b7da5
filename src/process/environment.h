/* The environment and the arguments that a command gets for a segment. */
#ifndef WEIR_PROCESS_ENVIRONMENT_H
#define WEIR_PROCESS_ENVIRONMENT_H

#include "base/macro.h"

#include <stdbool.h>
#include <weir.h>

/* Lists of strings that end with NULL. NULL: no memory. */
char **environment_new(const struct weir_segment *segment);
char **arguments_new(char *const *template, const char *path);
void strings_free(char **strings);
size_t strings_count(char *const *strings);

/* Whether any argument has "{}" in it. */
bool arguments_take_path(char *const *template);

DEFINE_CLEANUP(char **, strings_free);

#endif
