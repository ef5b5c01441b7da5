/* Text with ${…} in it. */
#ifndef WEIR_WEBSOCKET_TEMPLATE_H
#define WEIR_WEBSOCKET_TEMPLATE_H

#include "base/buffer.h"
#include "base/macro.h"

#include <stdbool.h>

#define TEMPLATE_SIZE_MAX MIB(1) /* filled */
#define TEMPLATE_GAPS_MAX 256
#define TEMPLATE_ERROR_SIZE 256

/* The names of values that become known later. */
#define NAMES_MAX 64
#define NAME_SIZE 33 /* of a group in a regular expression; newer PCRE2 knows longer ones */

struct names {
	size_t count;
	char name[NAMES_MAX][NAME_SIZE];
};

/* Which one it is, or −1. */
int names_find(const struct names *names, const char *name, size_t size);

struct template_source {
	const char *text; /* ends where `size` says; need not have a NUL */
	size_t size;
	bool quoted; /* the backslash is special, too */
	int dir_fd;  /* where ${file:…} begins */
	const struct names *names;
};

struct template_gap; /* where a value goes */

struct template
{
	struct buffer fixed; /* what is known, without the gaps */
	struct template_gap *gaps;
	size_t gap_count;
	bool secret; /* there is one in it */
};

/*
 *   ${NAME}         a value by its name
 *   ${env:NAME}     an environment variable, a secret (see base/secret.h), read now
 *   ${file:PATH}    the line in a file, likewise
 *   ${…|json}       any of them, escaped to stand inside a string of JSON
 *   $$              one $; any other $ is one, too
 *
 * and when it is quoted:
 *
 *   \" \\ \n \r \t \xHH
 *
 * −EINVAL: `error` says what is wrong with it, without a secret; −ENOMEM.
 */
int template_parse(const struct template_source *source, struct template *ret_template,
		   char error[TEMPLATE_ERROR_SIZE]);

/* As if it had been parsed from a text without any ${…}. Errors: −ENOBUFS, −ENOMEM. */
int template_from_bytes(const void *data, size_t size, struct template *ret_template);

void template_done(struct template *template);

/* Whether what it will be filled to is known already. */
bool template_is_fixed(const struct template *template);

/* Appends it to `to`, with the values in it. Errors as buffer_append(). */
int template_fill(const struct template *template, const struct buffer *values, struct buffer *to);

static inline void template_donep(struct template *template)
{
	template_done(template);
}

#endif
