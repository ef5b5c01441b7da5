/* A JSON pointer (RFC 6901), and what it points to in one message after the other.
 *
 * JSON is what json-c takes for it, strictly: the whole message, one value, nested up to
 * POINTER_DEPTH deep. Where an object has a name twice, the last one counts. A value of null is as
 * good as none. json-c holds integers from −2^63 to 2^64 − 1, and takes what is beyond for the
 * nearest of them: since two that differ must not be taken for one, these two count as none as
 * well. */
#ifndef WEIR_PIPELINE_POINTER_H
#define WEIR_PIPELINE_POINTER_H

#include "base/macro.h"

#include <stddef.h>
#include <stdint.h>

struct pointer;

#define POINTER_DEPTH 64
/* A document takes up to 40 times as much memory as its text. What is larger is not looked at. */
#define POINTER_MESSAGE_MAX MIB(1)

/* Errors: −EINVAL (it is not empty and does not begin with a slash, or has a tilde without 0 or 1
 * behind it), −E2BIG (it goes deeper than POINTER_DEPTH), −ENOMEM. */
int pointer_parse(const char *text, struct pointer **ret_pointer);
void pointer_free(struct pointer *pointer);

enum pointer_miss {
	POINTER_NOT_JSON = 1,
	POINTER_TOO_LARGE,   /* the message; or a number, where it would be found */
	POINTER_MISSING,     /* there is nothing */
	POINTER_NOT_INTEGER, /* there is something else */
};

/* The value as JSON, without white space and with its strings escaped in one way only: so "1" and 1
 * are different keys, and 1.0 and 1 are too. It stays until the next call for this pointer. 0, one
 * of enum pointer_miss, or −ENOMEM. */
int pointer_find_key(struct pointer *pointer, const void *data, size_t size, const char **ret_key,
		     size_t *ret_size);

/* The value as an integer; a negative one as 2^64 less its amount. 0, one of enum pointer_miss, or
 * −ENOMEM. */
int pointer_find_integer(struct pointer *pointer, const void *data, size_t size,
			 uint64_t *ret_integer);

#endif
