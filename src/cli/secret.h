/* Secrets, which come from files and the environment and never stand in an argument. */
#ifndef WEIR_CLI_SECRET_H
#define WEIR_CLI_SECRET_H

#include <stdbool.h>

/* The one line that the file holds, without its line break; no other one may follow. Freed by
 * secret_free(). Returns NULL when that cannot be: a message that begins with `option` was printed
 * then. */
char *secret_read(const char *option, const char *path);

/* The same from a variable of the environment. */
char *secret_take(const char *option, const char *name);

void secret_free(char *secret); /* wipes it */

static inline void secret_freep(char **secret)
{
	secret_free(*secret);
}

#endif
