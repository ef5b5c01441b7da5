/* What libcurl's URL parser gives is freed at the end of a scope: `CURL_TEXT text = NULL;` and
 * `CLEANUP(free_curl_url) CURLU *url = …`. */
#ifndef WEIR_WEBSOCKET_CURL_URL_H
#define WEIR_WEBSOCKET_CURL_URL_H

#include "base/macro.h"

#include <curl/curl.h>

static inline void free_curl_urlp(CURLU **url)
{
	curl_url_cleanup(*url);
}

static inline void free_curl_textp(char **text)
{
	curl_free(*text);
}

#define CURL_TEXT CLEANUP(free_curl_text) char *

#endif
