/*
 * libcurl's URL parser does the work. What is added here is what RFC 6455 says of ws:// URLs, and
 * the three strings that the rest needs.
 */
#include "websocket/url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static void free_curl_urlp(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void free_curl_textp(char **text)
{
	curl_free(*text);
}

#define CURL_TEXT CLEANUP(free_curl_text) char *

const char *url_error_text(enum url_error error)
{
	switch (error) {
	case URL_SCHEME:
		return "does not begin with ws://";
	case URL_TLS:
		return "begins with wss://, and encrypted connections are not supported yet";
	case URL_FRAGMENT:
		return "has a #fragment, which a WebSocket URL may not have";
	case URL_USER:
		return "holds a user name or password, which belong into a header";
	case URL_MALFORMED:
		break;
	}
	return "is malformed: expected ws://HOST[:PORT][/PATH][?QUERY]";
}

/* Whether the text is printable ASCII throughout: anything else must come percent-encoded. */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int check_scheme(const char *text)
{
	if (strncasecmp(text, "wss://", 6) == 0)
		return URL_TLS;
	if (strncasecmp(text, "ws://", 5) != 0)
		return URL_SCHEME;
	if (strchr(text, '#'))
		return URL_FRAGMENT;
	/* libcurl would read ws:///x as the host "x". */
	return text[5] == '/' || text[5] == '\0' || !is_printable(text) ? URL_MALFORMED : 0;
}

/* A part, or NULL when there is none. Errors: −ENOMEM. */
static int get(CURLU *url, CURLUPart part, char **ret_text)
{
	return curl_url_get(url, part, ret_text, 0) == CURLUE_OUT_OF_MEMORY ? -ENOMEM : 0;
}

static int check_parts(CURLU *url)
{
	CURL_TEXT user = NULL;
	CURL_TEXT password = NULL;

	if (get(url, CURLUPART_USER, &user) < 0 || get(url, CURLUPART_PASSWORD, &password) < 0)
		return -ENOMEM;
	return user || password ? URL_USER : 0;
}

static int format_parts(CURLU *parts, struct url *url)
{
	CURL_TEXT host = NULL;
	CURL_TEXT port = NULL;
	CURL_TEXT path = NULL;
	CURL_TEXT query = NULL;
	bool default_port;

	if (get(parts, CURLUPART_HOST, &host) < 0 || get(parts, CURLUPART_PORT, &port) < 0 ||
	    get(parts, CURLUPART_PATH, &path) < 0 || get(parts, CURLUPART_QUERY, &query) < 0)
		return -ENOMEM;
	default_port = !port || strcmp(port, "80") == 0;
	if (!host || !path || !is_printable(host) || (port && strcmp(port, "0") == 0))
		return URL_MALFORMED;
	if (asprintf(&url->host_header, "%s%s%s", host, default_port ? "" : ":",
		     default_port ? "" : port) < 0)
		url->host_header = NULL;
	if (asprintf(&url->target, "%s%s%s", path, query ? "?" : "", query ? query : "") < 0)
		url->target = NULL;
	if (asprintf(&url->dial, "http://%s:%s/", host, port ? port : "80") < 0)
		url->dial = NULL;
	return url->host_header && url->target && url->dial ? 0 : -ENOMEM;
}

int url_parse(const char *text, struct url *ret_url)
{
	CLEANUP(free_curl_url) CURLU *parts = curl_url();
	CLEANUP(url_done) struct url url = {0};
	CURLUcode code;
	int r = check_scheme(text);

	if (r != 0)
		return r;
	if (!parts)
		return -ENOMEM;
	code = curl_url_set(parts, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (code != CURLUE_OK)
		return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : URL_MALFORMED;
	r = check_parts(parts);
	if (r == 0)
		r = format_parts(parts, &url);
	if (r != 0)
		return r;
	*ret_url = url;
	url = (struct url){0};
	return 0;
}

void url_done(struct url *url)
{
	free(url->host_header);
	free(url->target);
	free(url->dial);
	*url = (struct url){0};
}
