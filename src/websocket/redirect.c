/*
 * The server may send us anywhere, but not with anything that was meant for it. A Location is read
 * as strictly as a URL of the user's; libcurl resolves those that are relative to where we are.
 *
 * An origin is a scheme, a host and a port (RFC 6454): what struct url has as `dial`.
 */
#include "websocket/redirect.h"

#include "websocket/curl_url.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define SCHEME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."

void redirect_init(struct redirect *redirect, const struct url *first, enum redirect_error bound)
{
	*redirect = (struct redirect){.first = first, .bound = bound};
}

void redirect_done(struct redirect *redirect)
{
	for (size_t i = 0; i < redirect->count; i++)
		url_done(&redirect->hops[i]);
	*redirect = (struct redirect){0};
}

const struct url *redirect_url(const struct redirect *redirect)
{
	return redirect->count > 0 ? &redirect->hops[redirect->count - 1] : redirect->first;
}

bool redirect_is(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_same_origin(const struct url *a, const struct url *b)
{
	return strcasecmp(a->dial, b->dial) == 0;
}

/* How long the scheme is that a reference begins with; 0: it is a relative one. */
static size_t scheme_size(const char *reference)
{
	size_t size = strspn(reference, SCHEME_CHARACTERS);

	return isalpha((unsigned char)*reference) && reference[size] == ':' ? size : 0;
}

/* A server that redirects a request made by HTTP may well say so in terms of HTTP. */
static const char *find_scheme(const char *name, size_t size)
{
	static const char *const schemes[][2] = {
		{"ws", "ws"}, {"wss", "wss"}, {"http", "ws"}, {"https", "wss"}};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i][0]) == size && strncasecmp(schemes[i][0], name, size) == 0)
			return schemes[i][1];
	return NULL;
}

static int parse(const char *text, struct url *ret_url)
{
	int r = url_parse(text, ret_url);

	switch (r) {
	case URL_FRAGMENT:
		return REDIRECT_FRAGMENT;
	case URL_USER:
		return REDIRECT_USER;
	default:
		return r > 0 ? REDIRECT_MALFORMED : r;
	}
}

/* `rest` is what follows on the scheme: "://host…". */
static int parse_with_scheme(const char *scheme, const char *rest, struct url *ret_url)
{
	CLEANUP_FREE char *text = NULL;

	if (asprintf(&text, "%s%s", scheme, rest) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return parse(text, ret_url);
}

static int parse_absolute(const char *reference, size_t size, struct url *ret_url)
{
	const char *scheme = find_scheme(reference, size);

	if (!scheme)
		return REDIRECT_SCHEME;
	return parse_with_scheme(scheme, reference + size, ret_url);
}

/* `base` as libcurl knows it, "http[s]://…", with the reference resolved against it. */
static int resolve(const struct url *base, const char *reference, char **ret_text)
{
	CLEANUP(free_curl_url) CURLU *parts = curl_url();
	CLEANUP_FREE char *from = NULL;
	CURLUcode code;

	if (asprintf(&from, "%.*s%s", (int)strlen(base->dial) - 1, base->dial, base->target) < 0) {
		from = NULL;
		return -ENOMEM;
	}
	if (!parts)
		return -ENOMEM;
	code = curl_url_set(parts, CURLUPART_URL, from, 0);
	if (code == CURLUE_OK)
		code = curl_url_set(parts, CURLUPART_URL, reference, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_URL, ret_text, 0);
	if (code == CURLUE_OK)
		return 0;
	return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : REDIRECT_MALFORMED;
}

/* A path, a query, or both: it stays on the origin, whatever is made of it. */
static int parse_relative(const struct url *base, const char *reference, struct url *ret_url)
{
	CURL_TEXT text = NULL;
	CLEANUP(url_done) struct url url = {0};
	int r = resolve(base, reference, &text);

	if (r != 0)
		return r;
	r = parse_with_scheme("ws", text + strlen("http"), &url);
	if (r != 0)
		return r;
	if (!is_same_origin(base, &url))
		return REDIRECT_MALFORMED;
	*ret_url = url;
	url = (struct url){0};
	return 0;
}

/* What is a "/" to some and a character to others leads to two places. */
static int parse_reference(const struct url *base, const char *reference, struct url *ret_url)
{
	size_t size = scheme_size(reference);

	if (!*reference)
		return REDIRECT_TARGET;
	if (strchr(reference, '\\'))
		return REDIRECT_MALFORMED;
	if (strchr(reference, '#'))
		return REDIRECT_FRAGMENT;
	if (size > 0)
		return parse_absolute(reference, size, ret_url);
	if (strncmp(reference, "//", 2) != 0)
		return parse_relative(base, reference, ret_url);
	return parse_with_scheme(base->tls ? "wss:" : "ws:", reference, ret_url);
}

static bool is_same(const struct url *a, const struct url *b)
{
	return is_same_origin(a, b) && strcmp(a->target, b->target) == 0;
}

static bool was_there(const struct redirect *redirect, const struct url *url)
{
	for (size_t i = 0; i < redirect->count; i++)
		if (is_same(&redirect->hops[i], url))
			return true;
	return is_same(redirect->first, url);
}

/* Whether to go to `url`: 0, or why not. */
static int judge(const struct redirect *redirect, const struct url *url)
{
	if (redirect_url(redirect)->tls && !url->tls)
		return REDIRECT_DOWNGRADE;
	if (redirect->bound && !is_same_origin(redirect->first, url))
		return (int)redirect->bound;
	if (was_there(redirect, url))
		return REDIRECT_LOOP;
	return redirect->count == REDIRECTS_MAX ? REDIRECT_MANY : 0;
}

int redirect_follow(struct redirect *redirect, const struct handshake_response *response)
{
	CLEANUP(url_done) struct url url = {0};
	int r = parse_reference(redirect_url(redirect), response->target, &url);

	if (r == 0)
		r = judge(redirect, &url);
	if (r != 0)
		return r;
	redirect->away |= !is_same_origin(redirect->first, &url);
	redirect->hops[redirect->count++] = url;
	url = (struct url){0};
	return 0;
}

const char *redirect_error_text(enum redirect_error error)
{
	static const char *const texts[] = {
		[REDIRECT_TARGET] = "names no place to go to, several, or one that is no URL",
		[REDIRECT_MALFORMED] = "goes to a malformed URL",
		[REDIRECT_SCHEME] = "goes to something that is no WebSocket",
		[REDIRECT_USER] = "holds a user name or password, which is no server's to give",
		[REDIRECT_FRAGMENT] = "has a #fragment, which a WebSocket URL may not have",
		[REDIRECT_DOWNGRADE] = "goes from an encrypted connection to one that is not",
		[REDIRECT_LEAVES] = "goes to another server than that of --unix-socket",
		[REDIRECT_SECRETS] =
			"goes to another server, which the secrets in --script and --send are not "
			"meant for",
		[REDIRECT_LOOP] = "goes round in a circle",
		[REDIRECT_MANY] = "comes after 10 others, and there may be no more",
	};

	return texts[error];
}
