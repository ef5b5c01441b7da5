/*
 * The command's environment is ours, with the variables of the segment in place of any of these
 * names that were there. Arguments are replaced as whole strings and never seen by a shell.
 */
#include "process/environment.h"

#include <inttypes.h>
#include <string.h>

#define PLACEHOLDER "{}"
#define OWN_PREFIX "WEIR_"
#define OWN_MAX 9

static size_t count(char *const *strings)
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

static bool add_text(char **to, const char *name, const char *value)
{
	if (asprintf(to, OWN_PREFIX "%s=%s", name, value) >= 0)
		return true;
	*to = NULL;
	return false;
}

static bool add_number(char **to, const char *name, uint64_t value)
{
	if (asprintf(to, OWN_PREFIX "%s=%" PRIu64, name, value) >= 0)
		return true;
	*to = NULL;
	return false;
}

static bool add_own(char **to, const struct weir_segment *segment)
{
	return add_text(to++, "SPOOL", segment->spool) &&
	       add_text(to++, "SEGMENT", segment->data) &&
	       add_text(to++, "INDEX", segment->index) &&
	       add_number(to++, "FIRST_SEQ", segment->first_seq) &&
	       add_number(to++, "LAST_SEQ", segment->last_seq) &&
	       add_number(to++, "MESSAGES", segment->messages) &&
	       add_number(to++, "BYTES", segment->bytes) &&
	       add_number(to++, "FIRST_TIME", segment->first_time_ns) &&
	       add_number(to++, "LAST_TIME", segment->last_time_ns);
}

/* Whether this is one of the variables that are set here. */
static bool is_own(const char *variable)
{
	static const char *const names[OWN_MAX] = {
		"SPOOL=",    "SEGMENT=", "INDEX=",	"FIRST_SEQ=", "LAST_SEQ=",
		"MESSAGES=", "BYTES=",	 "FIRST_TIME=", "LAST_TIME="};

	if (strncmp(variable, OWN_PREFIX, strlen(OWN_PREFIX)) != 0)
		return false;
	variable += strlen(OWN_PREFIX);
	for (size_t i = 0; i < OWN_MAX; i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

char **environment_new(const struct weir_segment *segment)
{
	CLEANUP(strings_free) char **strings = calloc(count(environ) + OWN_MAX + 1, sizeof(char *));
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
	CLEANUP(strings_free) char **strings = calloc(count(template) + 1, sizeof(char *));

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
