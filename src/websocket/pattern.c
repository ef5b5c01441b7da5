/*
 * The expression is the user's, but what it is run on is the server's, and a backtracking matcher
 * can be kept busy for minutes by a few kilobytes. PCRE2's own match limit does not bound that,
 * because it begins anew at each place of the message. So PCRE2 is made to call us before each item
 * of the expression (PCRE2_AUTO_CALLOUT), and we count for all places together: the calls, and how
 * far the matcher went between two of them. When that is too much, it is told to give up.
 */
#include "websocket/pattern.h"

#include <errno.h>
#include <stdint.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define WORK_MAX 4000000     /* calls, some 0.1 s */
#define BYTES_PER_CALL 16    /* as expensive as one call */
#define DEPTH_MAX 100000     /* of backtracking */
#define MEMORY_MAX_KIB 20000 /* for it */

struct pattern {
	pcre2_code *code;
	pcre2_match_context *context;
	pcre2_match_data *match;
	const uint8_t *names; /* entries of name_size: a number of two bytes, and the name */
	uint32_t name_count;
	uint32_t name_size;
	size_t at; /* where the matcher was seen last */
	uint64_t calls;
	uint64_t bytes;
};

static int count_work(pcre2_callout_block *block, void *data)
{
	struct pattern *pattern = data;
	size_t at = block->current_position;

	pattern->calls++;
	pattern->bytes += at > pattern->at ? at - pattern->at : pattern->at - at;
	pattern->at = at;
	return pattern->calls + pattern->bytes / BYTES_PER_CALL > WORK_MAX ? PCRE2_ERROR_CALLOUT
									   : 0;
}

static int compile(struct pattern *pattern, const char *text, size_t size,
		   char error[PATTERN_ERROR_SIZE])
{
	PCRE2_UCHAR reason[PATTERN_ERROR_SIZE - 40];
	PCRE2_SIZE offset;
	int code;

	pattern->code = pcre2_compile((PCRE2_SPTR)text, size,
				      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_AUTO_CALLOUT,
				      &code, &offset, NULL);
	if (pattern->code)
		return 0;
	if (code == PCRE2_ERROR_HEAP_FAILED)
		return -ENOMEM;
	pcre2_get_error_message(code, reason, sizeof(reason));
	snprintf(error, PATTERN_ERROR_SIZE, "%s, at its byte %zu", (const char *)reason,
		 (size_t)offset);
	return -EINVAL;
}

static int prepare(struct pattern *pattern)
{
	pattern->context = pcre2_match_context_create(NULL);
	pattern->match = pcre2_match_data_create_from_pattern(pattern->code, NULL);
	if (!pattern->context || !pattern->match)
		return -ENOMEM;
	pcre2_set_callout(pattern->context, count_work, pattern);
	pcre2_set_match_limit(pattern->context, WORK_MAX);
	pcre2_set_depth_limit(pattern->context, DEPTH_MAX);
	pcre2_set_heap_limit(pattern->context, MEMORY_MAX_KIB);
	pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMECOUNT, &pattern->name_count);
	pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMEENTRYSIZE, &pattern->name_size);
	pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMETABLE, &pattern->names);
	return 0;
}

int pattern_new(const char *text, size_t size, struct pattern **ret_pattern,
		char error[PATTERN_ERROR_SIZE])
{
	CLEANUP(pattern_free) struct pattern *pattern = NULL;
	int r;

	if (size > PATTERN_SIZE_MAX) {
		snprintf(error, PATTERN_ERROR_SIZE, "it is longer than 4 KiB");
		return -EINVAL;
	}
	pattern = calloc(1, sizeof(*pattern));
	r = pattern ? compile(pattern, text, size, error) : -ENOMEM;
	if (r == 0)
		r = prepare(pattern);
	if (r == 0)
		*ret_pattern = TAKE_PTR(pattern);
	return r;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_match_data_free(pattern->match);
	pcre2_match_context_free(pattern->context);
	pcre2_code_free(pattern->code);
	free(pattern);
}

int pattern_match(struct pattern *pattern, const char *data, size_t size)
{
	int r;

	pattern->at = 0;
	pattern->calls = pattern->bytes = 0;
	r = pcre2_match(pattern->code, (PCRE2_SPTR)data, size, 0, 0, pattern->match,
			pattern->context);
	if (r > 0)
		return 1;
	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	return r == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -E2BIG;
}

size_t pattern_group_count(const struct pattern *pattern)
{
	return pattern->name_count;
}

static const uint8_t *entry(const struct pattern *pattern, size_t i)
{
	return pattern->names + i * pattern->name_size;
}

const char *pattern_group_name(const struct pattern *pattern, size_t i)
{
	return (const char *)entry(pattern, i) + 2;
}

const char *pattern_group(const struct pattern *pattern, size_t i, const char *data,
			  size_t *ret_size)
{
	const PCRE2_SIZE *spans = pcre2_get_ovector_pointer(pattern->match);
	const uint8_t *number = entry(pattern, i);
	const PCRE2_SIZE *span = spans + 2 * ((size_t)number[0] << 8 | number[1]);

	if (span[0] == PCRE2_UNSET)
		return NULL;
	*ret_size = span[1] - span[0];
	return data + span[0];
}
