/*
 * The command's environment is ours, with the variables of the segment in place of any of these
 * names that were there. Arguments are replaced as whole strings and never seen by a shell.
 */
#include "process/environment.h"

#include <inttypes.h>
#include <string.h>

#define PLACEHOLDER "{}"

size_t strings_count(char *const *strings)
{
	size_t n = 0;

	while (strings[n])
		n++;
	return n;
}

void strings_free(char **strings)
{
	if (!strings)
		return;
	for (char **at = strings; *at; at++)
		free(*at);
	free(strings);
}

/* The variables that are set here, each at its place; the last one not always. */
enum own {
	SEGMENT,
	INDEX,
	FIRST_SEQ,
	LAST_SEQ,
	MESSAGES,
	BYTES,
	FIRST_TIME,
	LAST_TIME,
	SPOOL,
	OWN_COUNT,
};

static const char *const own_names[OWN_COUNT] = {
	[SPOOL] = "WEIR_SPOOL",		[SEGMENT] = "WEIR_SEGMENT",
	[INDEX] = "WEIR_INDEX",		[FIRST_SEQ] = "WEIR_FIRST_SEQ",
	[LAST_SEQ] = "WEIR_LAST_SEQ",	[MESSAGES] = "WEIR_MESSAGES",
	[BYTES] = "WEIR_BYTES",		[FIRST_TIME] = "WEIR_FIRST_TIME",
	[LAST_TIME] = "WEIR_LAST_TIME",
};

static bool add_text(char **to, enum own which, const char *value)
{
	if (asprintf(&to[which], "%s=%s", own_names[which], value) >= 0)
		return true;
	to[which] = NULL;
	return false;
}

static bool add_number(char **to, enum own which, uint64_t value)
{
	if (asprintf(&to[which], "%s=%" PRIu64, own_names[which], value) >= 0)
		return true;
	to[which] = NULL;
	return false;
}

/* In the order of their places, so that a list that ends early is one that can be freed. */
static bool add_own(char **to, const struct weir_segment *segment)
{
	return add_text(to, SEGMENT, segment->data) && add_text(to, INDEX, segment->index) &&
	       add_number(to, FIRST_SEQ, segment->first_seq) &&
	       add_number(to, LAST_SEQ, segment->last_seq) &&
	       add_number(to, MESSAGES, segment->messages) &&
	       add_number(to, BYTES, segment->bytes) &&
	       add_number(to, FIRST_TIME, segment->first_time_ns) &&
	       add_number(to, LAST_TIME, segment->last_time_ns) &&
	       (!segment->spool || add_text(to, SPOOL, segment->spool));
}

/* Whether this is one of them. */
static bool is_own(const char *variable)
{
	for (size_t i = 0; i < OWN_COUNT; i++) {
		size_t length = strlen(own_names[i]);

		if (strncmp(variable, own_names[i], length) == 0 && variable[length] == '=')
			return true;
	}
	return false;
}

char **environment_new(const struct weir_segment *segment)
{
	CLEANUP(strings_free)
	char **strings = calloc(strings_count(environ) + OWN_COUNT + 1, sizeof(char *));
	size_t n = 0;

	if (!strings)
		return NULL;
	for (char **at = environ; *at; at++) {
		if (is_own(*at))
			continue;
		strings[n] = strdup(*at);
		if (!strings[n++])
			return NULL;
	}
	return add_own(strings + n, segment) ? TAKE_PTR(strings) : NULL;
}

/* `text` with every placeholder replaced. */
static char *replace(const char *text, const char *path)
{
	size_t places = 0, length = strlen(PLACEHOLDER);
	char *result, *to;

	for (const char *at = text; (at = strstr(at, PLACEHOLDER)); at += length)
		places++;
	result = to = malloc(strlen(text) + places * strlen(path) + 1);
	if (!result)
		return NULL;
	for (const char *at; (at = strstr(text, PLACEHOLDER)); text = at + length) {
		to = mempcpy(to, text, (size_t)(at - text));
		to = stpcpy(to, path);
	}
	memcpy(to, text, strlen(text) + 1);
	return result;
}

char **arguments_new(char *const *template, const char *path)
{
	CLEANUP(strings_free) char **strings = calloc(strings_count(template) + 1, sizeof(char *));

	if (!strings)
		return NULL;
	for (size_t i = 0; template[i]; i++) {
		strings[i] = replace(template[i], path);
		if (!strings[i])
			return NULL;
	}
	return TAKE_PTR(strings);
}

bool arguments_take_path(char *const *template)
{
	for (; *template; template ++)
		if (strstr(*template, PLACEHOLDER))
			return true;
	return false;
}
