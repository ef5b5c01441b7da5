/* What the command says on standard error. */
#ifndef WEIR_CLI_SAY_H
#define WEIR_CLI_SAY_H

/* "weir: …" */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "      …", below an error. */
void say_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that takes the place of the last such line, and is wiped off before anything else is said.
 * "" wipes it off. */
void say_live(const char *line);

#endif
