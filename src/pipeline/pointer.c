/*
 * json-c reads the message into a tree, and the names of the pointer, which were cut apart once,
 * lead down in it. json_pointer_get() would cut them apart for every message.
 */
#include "pipeline/pointer.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#define KEY_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct pointer {
	struct json_tokener *tokener;
	struct json_object *document; /* of the last message */
	size_t depth;
	char *names[POINTER_DEPTH]; /* in text */
	char text[];
};

DEFINE_CLEANUP(struct pointer *, pointer_free);

/* Undoes ~0 and ~1, in place. Returns the end of the name, or NULL. */
static char *unescape(char *name)
{
	char *to = name;

	for (; *name && *name != '/'; name++, to++) {
		*to = *name;
		if (*name != '~')
			continue;
		if (*++name != '0' && *name != '1')
			return NULL;
		*to = *name == '0' ? '~' : '/';
	}
	if (to != name)
		memset(to, '\0', (size_t)(name - to));
	return name;
}

static int cut_apart(struct pointer *pointer)
{
	char *at = pointer->text;

	while (*at) {
		if (*at != '/')
			return -EINVAL;
		if (pointer->depth == POINTER_DEPTH)
			return -E2BIG;
		*at++ = '\0';
		pointer->names[pointer->depth++] = at;
		at = unescape(at);
		if (!at)
			return -EINVAL;
	}
	return 0;
}

int pointer_parse(const char *text, struct pointer **ret_pointer)
{
	size_t size = strlen(text) + 1;
	CLEANUP(pointer_free) struct pointer *pointer = calloc(1, sizeof(*pointer) + size);
	int r;

	if (!pointer)
		return -ENOMEM;
	memcpy(pointer->text, text, size);
	r = cut_apart(pointer);
	if (r < 0)
		return r;
	pointer->tokener = json_tokener_new_ex(POINTER_DEPTH);
	if (!pointer->tokener)
		return -ENOMEM;
	json_tokener_set_flags(pointer->tokener, JSON_TOKENER_STRICT);
	*ret_pointer = TAKE_PTR(pointer);
	return 0;
}

void pointer_free(struct pointer *pointer)
{
	if (!pointer)
		return;
	json_object_put(pointer->document);
	if (pointer->tokener)
		json_tokener_free(pointer->tokener);
	free(pointer);
}

/* Reads the document. A number at its end could go on, for all that json-c knows: the space tells
 * it that it does not. It stops at a NUL and finds nothing wrong, hence the look at where it is. */
static int read_document(struct pointer *pointer, const void *data, size_t size)
{
	struct json_tokener *tokener = pointer->tokener;
	size_t end;

	json_object_put(pointer->document);
	json_tokener_reset(tokener);
	errno = 0;
	pointer->document = json_tokener_parse_ex(tokener, data, (int)size);
	end = json_tokener_get_parse_end(tokener);
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		pointer->document = json_tokener_parse_ex(tokener, " ", 1);
	if (json_tokener_get_error(tokener) == json_tokener_success && end == size)
		return 0;
	return errno == ENOMEM ? -ENOMEM : POINTER_NOT_JSON;
}

/* "0", or digits of which the first is not 0. */
static bool is_index(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && digits < 10 && !name[digits] && (name[0] != '0' || digits == 1);
}

static struct json_object *step(struct json_object *from, const char *name)
{
	struct json_object *to = NULL;

	if (json_object_is_type(from, json_type_object))
		json_object_object_get_ex(from, name, &to);
	else if (json_object_is_type(from, json_type_array) && is_index(name))
		to = json_object_array_get_idx(from, strtoul(name, NULL, 10));
	return to;
}

static int find(struct pointer *pointer, const void *data, size_t size,
		struct json_object **ret_found)
{
	struct json_object *found;
	int r;

	if (size > POINTER_MESSAGE_MAX)
		return POINTER_TOO_LARGE;
	r = read_document(pointer, data, size);
	if (r != 0)
		return r;
	found = pointer->document;
	for (size_t i = 0; i < pointer->depth && found; i++)
		found = step(found, pointer->names[i]);
	if (!found)
		return POINTER_MISSING;
	*ret_found = found;
	return 0;
}

/* Whether an integer that may have been too large is in the text. */
static bool has_limit(const char *text, size_t size)
{
	static const char highest[] = "18446744073709551615", lowest[] = "-9223372036854775808";

	return memmem(text, size, highest, sizeof(highest) - 1) ||
	       memmem(text, size, lowest, sizeof(lowest) - 1);
}

int pointer_find_key(struct pointer *pointer, const void *data, size_t size, const char **ret_key,
		     size_t *ret_size)
{
	struct json_object *found;
	size_t key_size;
	const char *key;
	int r = find(pointer, data, size, &found);

	if (r != 0)
		return r;
	key = json_object_to_json_string_length(found, KEY_FLAGS, &key_size);
	if (!key)
		return -ENOMEM;
	if (!json_object_is_type(found, json_type_string) && has_limit(key, key_size))
		return POINTER_TOO_LARGE;
	*ret_key = key;
	*ret_size = key_size;
	return 0;
}

int pointer_find_integer(struct pointer *pointer, const void *data, size_t size,
			 uint64_t *ret_integer)
{
	struct json_object *found;
	int64_t negative;
	uint64_t integer;
	int r = find(pointer, data, size, &found);

	if (r != 0)
		return r;
	if (!json_object_is_type(found, json_type_int))
		return POINTER_NOT_INTEGER;
	negative = json_object_get_int64(found);
	integer = negative < 0 ? (uint64_t)negative : json_object_get_uint64(found);
	if (negative == INT64_MIN || (negative > 0 && integer == UINT64_MAX))
		return POINTER_TOO_LARGE;
	*ret_integer = integer;
	return 0;
}
