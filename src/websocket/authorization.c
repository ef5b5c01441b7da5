/*
 * Basic and Bearer, which both carry a secret in a header line. The line is a secret then, too, and
 * is kept like one.
 */
#include "websocket/authorization.h"

#include <ctype.h>
#include <errno.h>
#include <nettle/base64.h>
#include <stdint.h>
#include <string.h>

#define BASIC "Authorization: Basic "
#define BEARER "Authorization: Bearer "

/* A line that begins with `prefix` and has room for `size` more bytes. */
static int make_line(const char *prefix, size_t size, struct secret *ret_line)
{
	size_t prefix_size = strlen(prefix);
	char *text = malloc(prefix_size + size + 1);

	if (!text)
		return -ENOMEM;
	memcpy(text, prefix, prefix_size);
	text[prefix_size + size] = '\0';
	*ret_line = (struct secret){.text = text, .size = prefix_size + size};
	return 0;
}

int authorization_basic(const struct secret *credentials, struct secret *ret_line)
{
	struct secret line;
	int r;

	if (!strchr(credentials->text, ':'))
		return -EINVAL;
	for (size_t i = 0; i < credentials->size; i++)
		if (iscntrl((unsigned char)credentials->text[i]))
			return -EINVAL;
	r = make_line(BASIC, BASE64_ENCODE_RAW_LENGTH(credentials->size), &line);
	if (r < 0)
		return r;
	base64_encode_raw(line.text + strlen(BASIC), credentials->size,
			  (const uint8_t *)credentials->text);
	*ret_line = line;
	return 0;
}

int authorization_bearer(const struct secret *token, struct secret *ret_line)
{
	struct secret line;
	int r;

	for (size_t i = 0; i < token->size; i++)
		if (token->text[i] <= ' ' || token->text[i] > '~')
			return -EINVAL;
	r = make_line(BEARER, token->size, &line);
	if (r < 0)
		return r;
	memcpy(line.text + strlen(BEARER), token->text, token->size);
	*ret_line = line;
	return 0;
}
