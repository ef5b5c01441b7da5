/* A regular expression (PCRE2) that messages are compared with, at a bounded price. */
#ifndef WEIR_WEBSOCKET_PATTERN_H
#define WEIR_WEBSOCKET_PATTERN_H

#include "base/macro.h"

#define PATTERN_SIZE_MAX KIB(4)
#define PATTERN_ERROR_SIZE 128

struct pattern;

/* UTF-8 throughout; where a message is not, nothing matches. −EINVAL: it is no regular expression,
 * and `error` says why; −ENOMEM. */
int pattern_new(const char *text, size_t size, struct pattern **ret_pattern,
		char error[PATTERN_ERROR_SIZE]);
void pattern_free(struct pattern *pattern);

/* 1: it matches somewhere. 0: nowhere. −E2BIG: to find out would take too long. −ENOMEM. */
int pattern_match(struct pattern *pattern, const char *data, size_t size);

/* The named groups, in no order that means anything; one name may be there more than once. */
size_t pattern_group_count(const struct pattern *pattern);
const char *pattern_group_name(const struct pattern *pattern, size_t i);

/* Where group `i` was in the data of the last match. NULL: it took no part. */
const char *pattern_group(const struct pattern *pattern, size_t i, const char *data,
			  size_t *ret_size);

DEFINE_CLEANUP(struct pattern *, pattern_free);

#endif
