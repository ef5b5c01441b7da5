/*
 * The text is taken apart here, and not by libcurl alone, for three reasons: user and password are
 * kept out of every message, whether the proxy is spoken to encrypted must be known, and an error
 * can say which proxy it was.
 */
#include "websocket/proxy.h"

#include "websocket/curl_url.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const char *const schemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* A part, or NULL when there is none. PROXY_MALFORMED: it cannot be decoded. Errors: −ENOMEM. */
static int get(CURLU *url, CURLUPart part, unsigned flags, char **ret_text)
{
	CURLUcode code = curl_url_get(url, part, ret_text, flags);

	if (code == CURLUE_URLDECODE)
		return PROXY_MALFORMED;
	return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : 0;
}

static int set_address(CURLU *parts, struct proxy *proxy)
{
	CURL_TEXT scheme = NULL;
	CURL_TEXT host = NULL;
	CURL_TEXT port = NULL;
	size_t known = 0;

	if (get(parts, CURLUPART_SCHEME, 0, &scheme) < 0 ||
	    get(parts, CURLUPART_HOST, 0, &host) < 0 || get(parts, CURLUPART_PORT, 0, &port) < 0)
		return -ENOMEM;
	if (!scheme || !host)
		return PROXY_MALFORMED;
	while (known < ARRAY_SIZE(schemes) && strcasecmp(schemes[known], scheme) != 0)
		known++;
	if (known == ARRAY_SIZE(schemes))
		return PROXY_SCHEME;
	proxy->tls = strcmp(schemes[known], "https") == 0;
	if (asprintf(&proxy->name, "%s:%s", host, port ? port : proxy->tls ? "443" : "1080") < 0)
		proxy->name = NULL;
	if (!proxy->name || asprintf(&proxy->url, "%s://%s", schemes[known], proxy->name) < 0)
		proxy->url = NULL;
	return proxy->url ? 0 : -ENOMEM;
}

static int set_credentials(CURLU *parts, struct proxy *proxy)
{
	CURL_TEXT user = NULL;
	CURL_TEXT password = NULL;
	int r = get(parts, CURLUPART_USER, CURLU_URLDECODE, &user);

	if (r == 0)
		r = get(parts, CURLUPART_PASSWORD, CURLU_URLDECODE, &password);
	if (r != 0)
		return r;
	if (!user && !password)
		return 0;
	proxy->user = strdup(user ? user : "");
	proxy->password = strdup(password ? password : "");
	if (password)
		explicit_bzero(password, strlen(password));
	if (!proxy->user || !proxy->password)
		return -ENOMEM;
	return is_plain(proxy->user) && is_plain(proxy->password) ? 0 : PROXY_MALFORMED;
}

int proxy_parse(const char *text, struct proxy *ret_proxy)
{
	CLEANUP(free_curl_url) CURLU *parts = curl_url();
	CLEANUP(proxy_done) struct proxy proxy = {0};
	CLEANUP_FREE char *whole = NULL;
	CURLUcode code;
	int r;

	if (!is_plain(text))
		return PROXY_MALFORMED;
	if (!parts || asprintf(&whole, "%s%s", strstr(text, "://") ? "" : "http://", text) < 0)
		return -ENOMEM;
	code = curl_url_set(parts, CURLUPART_URL, whole, CURLU_NON_SUPPORT_SCHEME);
	explicit_bzero(whole, strlen(whole));
	if (code != CURLUE_OK)
		return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : PROXY_MALFORMED;
	r = set_address(parts, &proxy);
	if (r == 0)
		r = set_credentials(parts, &proxy);
	if (r != 0)
		return r;
	*ret_proxy = proxy;
	proxy = (struct proxy){0};
	return 0;
}

static void forget_credentials(struct proxy *proxy)
{
	if (proxy->password)
		explicit_bzero(proxy->password, strlen(proxy->password));
	free(proxy->password);
	free(proxy->user);
	proxy->user = proxy->password = NULL;
}

int proxy_set_user(struct proxy *proxy, const char *user_and_password)
{
	const char *colon = strchr(user_and_password, ':');

	if (!colon || !is_plain(user_and_password))
		return PROXY_MALFORMED;
	forget_credentials(proxy);
	proxy->user = strndup(user_and_password, (size_t)(colon - user_and_password));
	proxy->password = strdup(colon + 1);
	return proxy->user && proxy->password ? 0 : -ENOMEM;
}

void proxy_done(struct proxy *proxy)
{
	forget_credentials(proxy);
	free(proxy->url);
	free(proxy->name);
	*proxy = (struct proxy){0};
}

const char *proxy_variable(bool tls)
{
	static const char *const names[][4] = {
		{"http_proxy", "all_proxy", "ALL_PROXY", NULL},
		{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names[0]) && names[tls][i]; i++) {
		const char *value = getenv(names[tls][i]);

		if (value && *value)
			return names[tls][i];
	}
	return NULL;
}
