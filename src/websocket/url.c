/*
 * libcurl's URL parser does the work. What is added here is what RFC 6455 says of ws:// and wss://
 * URLs, and the three strings that the rest needs.
 */
#include "websocket/url.h"

#include "websocket/curl_url.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 255 /* a name in the DNS */

const char *url_error_text(enum url_error error)
{
	switch (error) {
	case URL_SCHEME:
		return "does not begin with ws:// or wss://";
	case URL_FRAGMENT:
		return "has a #fragment, which a WebSocket URL may not have";
	case URL_USER:
		return "holds a user name or password, which everybody could read; --basic-file and "
		       "--basic-env take them";
	case URL_MALFORMED:
		break;
	}
	return "is malformed: expected ws[s]://HOST[:PORT][/PATH][?QUERY]";
}

/* Whether the text is printable ASCII throughout: anything else must come percent-encoded. */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int check_scheme(const char *text, bool *ret_tls)
{
	bool tls = strncasecmp(text, "wss://", 6) == 0;
	const char *host;

	if (!tls && strncasecmp(text, "ws://", 5) != 0)
		return URL_SCHEME;
	if (strchr(text, '#'))
		return URL_FRAGMENT;
	host = text + (tls ? 6 : 5);
	/* libcurl would read ws:///x as the host "x". */
	if (*host == '/' || *host == '\0' || !is_printable(text))
		return URL_MALFORMED;
	*ret_tls = tls;
	return 0;
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

/* What is dialled. The zone of an IPv6 address matters here alone: in the Host header it would tell
 * the server something of this machine (RFC 6874). */
static char *format_dial(const struct url *url, const char *host, const char *zone)
{
	size_t size = strlen(host) - (zone ? 1 : 0); /* without the "]" */
	char *dial;

	if (asprintf(&dial, "%s://%.*s%s%s%s:%u/", url->tls ? "https" : "http", (int)size, host,
		     zone ? "%25" : "", zone ? zone : "", zone ? "]" : "", url->port) < 0)
		return NULL;
	return dial;
}

static int format_host(CURLU *parts, struct url *url)
{
	CURL_TEXT host = NULL;
	CURL_TEXT zone = NULL;
	CURL_TEXT port = NULL;
	unsigned default_port = url->tls ? 443 : 80;

	if (get(parts, CURLUPART_HOST, &host) < 0 || get(parts, CURLUPART_ZONEID, &zone) < 0 ||
	    get(parts, CURLUPART_PORT, &port) < 0)
		return -ENOMEM;
	url->port = (uint16_t)(port ? strtoul(port, NULL, 10) : default_port);
	if (!host || !is_printable(host) || strlen(host) > HOST_MAX || url->port == 0)
		return URL_MALFORMED;
	if (url->port == default_port)
		url->host_header = strdup(host);
	else if (asprintf(&url->host_header, "%s:%u", host, url->port) < 0)
		url->host_header = NULL;
	url->dial = format_dial(url, host, zone);
	return url->host_header && url->dial ? 0 : -ENOMEM;
}

static int format_target(CURLU *parts, struct url *url)
{
	CURL_TEXT path = NULL;
	CURL_TEXT query = NULL;

	if (get(parts, CURLUPART_PATH, &path) < 0 || get(parts, CURLUPART_QUERY, &query) < 0)
		return -ENOMEM;
	if (!path)
		return URL_MALFORMED;
	if (asprintf(&url->target, "%s%s%s", path, query ? "?" : "", query ? query : "") < 0)
		url->target = NULL;
	return url->target ? 0 : -ENOMEM;
}

int url_parse(const char *text, struct url *ret_url)
{
	CLEANUP(free_curl_url) CURLU *parts = curl_url();
	CLEANUP(url_done) struct url url = {0};
	CURLUcode code;
	int r = check_scheme(text, &url.tls);

	if (r != 0)
		return r;
	if (!parts)
		return -ENOMEM;
	code = curl_url_set(parts, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (code != CURLUE_OK)
		return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : URL_MALFORMED;
	r = check_parts(parts);
	if (r == 0)
		r = format_host(parts, &url);
	if (r == 0)
		r = format_target(parts, &url);
	if (r != 0)
		return r;
	*ret_url = url;
	url = (struct url){0};
	return 0;
}

char *url_format_shown(const struct url *url)
{
	char *shown;

	if (asprintf(&shown, "%s://%s%.*s", url->tls ? "wss" : "ws", url->host_header,
		     (int)strcspn(url->target, "?"), url->target) < 0)
		return NULL;
	return shown;
}

void url_done(struct url *url)
{
	free(url->host_header);
	free(url->target);
	free(url->dial);
	*url = (struct url){0};
}
