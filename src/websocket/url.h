/* ws:// and wss:// URLs, RFC 6455 section 3. */
#ifndef WEIR_WEBSOCKET_URL_H
#define WEIR_WEBSOCKET_URL_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

struct url {
	char *host_header; /* as the Host header wants it: with the port unless it is the default */
	char *target;	   /* path and query, for the request line */
	char *dial;	   /* what libcurl is told to connect to: http[s]://host:port/ */
	bool tls;	   /* wss:// */
	uint16_t port;
};

enum url_error {
	URL_MALFORMED = 1,
	URL_SCHEME,   /* neither ws:// nor wss:// */
	URL_FRAGMENT, /* "#…", which section 3 forbids */
	URL_USER,     /* a user name or password: those belong into no URL */
};

/* 0, one of enum url_error, or −ENOMEM. */
int url_parse(const char *text, struct url *ret_url);
void url_done(struct url *url);

/* The URL as far as it may be shown: without its query, which may hold secrets. NULL: no memory. */
char *url_format_shown(const struct url *url);

/* What is wrong, in plain English, to stand behind "the URL …". */
const char *url_error_text(enum url_error error);

static inline void url_donep(struct url *url)
{
	url_done(url);
}

#endif
