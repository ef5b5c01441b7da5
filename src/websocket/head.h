/* The grammar that HTTP/1.1 requests and responses share: a first line and header lines. */
#ifndef WEIR_WEBSOCKET_HEAD_H
#define WEIR_WEBSOCKET_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct head_field {
	const char *name;
	size_t name_size;
	const char *value; /* without the blanks around it */
	size_t value_size;
};

/* The size of the head with its empty line, if it is there as a whole; else 0. */
size_t head_size(const char *data, size_t size);

/* Cuts the next line off `*at`, which ends at `end`; lines end in CR LF, and hold neither alone. */
bool head_next_line(const char **at, const char *end, const char **ret_line, size_t *ret_size);

/* Cuts the next header field off. 1: there was one. 0: the empty line. −EBADMSG: neither. */
int head_next_field(const char **at, const char *end, struct head_field *ret_field);

bool head_is_token(const char *text, size_t size); /* RFC 7230 section 3.2.6 */
bool head_name_is(const struct head_field *field, const char *name);
bool head_value_is(const struct head_field *field, const char *value); /* whatever its case */

/* Whether a comma-separated value has this token in it, whatever its case. */
bool head_value_has(const struct head_field *field, const char *token);

#endif
