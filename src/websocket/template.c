/*
 * What is known when a text is parsed (its own bytes, and secrets) becomes one run of bytes; what
 * is not becomes a gap in it, to be filled each time anew.
 *
 * A value goes in as it is unless |json is asked for. What an expression cuts out of a JSON string
 * is escaped already, and escaping it once more would change it; a plain secret is not, and wants
 * |json.
 */
#include "websocket/template.h"

#include "base/secret.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define JSON "|json"
#define FROM_ENV "env:"
#define FROM_FILE "file:"

struct template_gap {
	size_t at; /* in the fixed bytes */
	size_t value;
	bool json;
};

/* What is left to be parsed, and what came of the rest. */
struct parse {
	const struct template_source *source;
	const char *at;
	const char *end;
	struct template *template;
	char *error;
};

/* What stands between ${ and }. */
struct reference {
	const char *text;
	size_t size;
	bool json;
};

int names_find(const struct names *names, const char *name, size_t size)
{
	for (size_t i = 0; i < names->count; i++)
		if (strlen(names->name[i]) == size && memcmp(names->name[i], name, size) == 0)
			return (int)i;
	return -1;
}

static int append_json(struct buffer *to, const char *data, size_t size)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < size; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c < ' ')
			r = buffer_appendf(to, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			r = buffer_append(to, (char[]){'\\', (char)c}, 2);
		else
			r = buffer_append(to, data + i, 1);
	}
	return r;
}

static int append(struct buffer *to, const char *data, size_t size, bool json)
{
	return json ? append_json(to, data, size) : buffer_append(to, data, size);
}

static int add(struct parse *parse, const char *data, size_t size, bool json)
{
	int r = append(&parse->template->fixed, data, size, json);

	if (r != -ENOBUFS)
		return r;
	snprintf(parse->error, TEMPLATE_ERROR_SIZE, "the text is longer than 1 MiB");
	return -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int add_hex(struct parse *parse)
{
	bool there = parse->end - parse->at >= 4;
	int high = there ? hex_digit(parse->at[2]) : -1, low = there ? hex_digit(parse->at[3]) : -1;

	if (high < 0 || low < 0) {
		snprintf(parse->error, TEMPLATE_ERROR_SIZE,
			 "\\x is not followed by two hexadecimal digits");
		return -EINVAL;
	}
	parse->at += 4;
	return add(parse, (char[]){(char)(high << 4 | low)}, 1, false);
}

static int add_escape(struct parse *parse)
{
	static const char from[] = "\"\\nrt", to[] = "\"\\\n\r\t";
	const char *found;

	if (parse->end - parse->at >= 2 && parse->at[1] == 'x')
		return add_hex(parse);
	found = parse->end - parse->at >= 2 ? memchr(from, parse->at[1], sizeof(from) - 1) : NULL;
	if (!found) {
		snprintf(parse->error, TEMPLATE_ERROR_SIZE,
			 "a backslash is followed by none of \\ \" n r t x; for a backslash, "
			 "write \\\\");
		return -EINVAL;
	}
	parse->at += 2;
	return add(parse, to + (found - from), 1, false);
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int add_secret(struct parse *parse, const char *name, const struct reference *reference)
{
	CLEANUP(secret_done) struct secret secret = {0};
	char why[SECRET_TEXT_SIZE];
	int r;

	if (begins_with(name, FROM_ENV))
		r = secret_read_env(name + strlen(FROM_ENV), &secret);
	else
		r = secret_read_file(parse->source->dir_fd, name + strlen(FROM_FILE), &secret);
	if (r == 0) {
		parse->template->secret = true;
		return add(parse, secret.text, secret.size, reference->json);
	}
	if (r == -ENOMEM)
		return r;
	snprintf(parse->error, TEMPLATE_ERROR_SIZE, "${%.100s} %s", name,
		 secret_error_text(r, why));
	return -EINVAL;
}

static int add_gap(struct parse *parse, const struct reference *reference)
{
	struct template *template = parse->template;
	int value = names_find(parse->source->names, reference->text, reference->size);
	struct template_gap *gaps;

	if (value < 0 || template->gap_count == TEMPLATE_GAPS_MAX) {
		snprintf(parse->error, TEMPLATE_ERROR_SIZE,
			 value < 0 ? "${%.*s}: no step before this one captures such a value"
				   : "${%.*s}: there are more than 256 values in one text",
			 (int)MIN(reference->size, (size_t)100), reference->text);
		return -EINVAL;
	}
	gaps = reallocarray(template->gaps, template->gap_count + 1, sizeof(*gaps));
	if (!gaps)
		return -ENOMEM;
	template->gaps = gaps;
	gaps[template->gap_count++] = (struct template_gap){
		.at = template->fixed.size, .value = (size_t)value, .json = reference->json};
	return 0;
}

static int add_reference(struct parse *parse)
{
	const char *text = parse->at + 2;
	const char *brace = memchr(text, '}', (size_t)(parse->end - text));
	struct reference reference = {.text = text};
	CLEANUP_FREE char *name = NULL;

	if (!brace) {
		snprintf(parse->error, TEMPLATE_ERROR_SIZE,
			 "${ has no } behind it; for the characters ${, write $${");
		return -EINVAL;
	}
	parse->at = brace + 1;
	reference.size = (size_t)(brace - text);
	if (reference.size >= strlen(JSON) &&
	    memcmp(brace - strlen(JSON), JSON, strlen(JSON)) == 0) {
		reference.json = true;
		reference.size -= strlen(JSON);
	}
	name = strndup(text, reference.size);
	if (!name)
		return -ENOMEM;
	if (strchr(name, '|') && !begins_with(name, FROM_FILE)) {
		snprintf(parse->error, TEMPLATE_ERROR_SIZE,
			 "${%.100s}: behind a | there may only be json, once", name);
		return -EINVAL;
	}
	if (begins_with(name, FROM_ENV) || begins_with(name, FROM_FILE))
		return add_secret(parse, name, &reference);
	return add_gap(parse, &reference);
}

/* Bytes that stand for themselves: up to the next that may not. */
static int add_plain(struct parse *parse)
{
	const char *from = parse->at;

	do
		parse->at++;
	while (parse->at < parse->end && *parse->at != '$' && *parse->at != '\\');
	return add(parse, from, (size_t)(parse->at - from), false);
}

static int add_next(struct parse *parse)
{
	char following = parse->end - parse->at >= 2 ? parse->at[1] : '\0';

	if (*parse->at == '\\' && parse->source->quoted)
		return add_escape(parse);
	if (*parse->at == '$' && following == '{')
		return add_reference(parse);
	if (*parse->at == '$' && following == '$') {
		parse->at += 2;
		return add(parse, "$", 1, false);
	}
	return add_plain(parse);
}

int template_parse(const struct template_source *source, struct template *ret_template,
		   char error[TEMPLATE_ERROR_SIZE])
{
	CLEANUP(template_done) struct template template = {0};
	struct parse parse = {
		.source = source,
		.at = source->text,
		.end = source->text + source->size,
		.template = &template,
		.error = error,
	};
	int r = 0;

	buffer_init_secret(&template.fixed, TEMPLATE_SIZE_MAX);
	while (r == 0 && parse.at < parse.end)
		r = add_next(&parse);
	if (r < 0)
		return r;
	*ret_template = template;
	template = (struct template){0};
	return 0;
}

int template_from_bytes(const void *data, size_t size, struct template *ret_template)
{
	struct template template = {0};
	int r;

	buffer_init_secret(&template.fixed, TEMPLATE_SIZE_MAX);
	r = buffer_append(&template.fixed, data, size);
	if (r == 0)
		*ret_template = template;
	return r;
}

void template_done(struct template *template)
{
	buffer_done(&template->fixed);
	free(template->gaps);
	*template = (struct template){0};
}

bool template_is_fixed(const struct template *template)
{
	return template->gap_count == 0;
}

/* Appends what is known, up to the place `until`. */
static int fill_fixed(const struct template *template, size_t *from, size_t until,
		      struct buffer *to)
{
	size_t size = until - *from;
	const char *data = size > 0 ? template->fixed.data + *from : NULL;

	*from = until;
	return buffer_append(to, data, size);
}

int template_fill(const struct template *template, const struct buffer *values, struct buffer *to)
{
	size_t from = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < template->gap_count; i++) {
		const struct template_gap *gap = &template->gaps[i];
		const struct buffer *value = &values[gap->value];

		r = fill_fixed(template, &from, gap->at, to);
		if (r == 0)
			r = append(to, value->data, value->size, gap->json);
	}
	return r < 0 ? r : fill_fixed(template, &from, template->fixed.size, to);
}
