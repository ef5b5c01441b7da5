/* Which proxy a connection is made through: what its URL says, and what the environment says. */
#ifndef WEIR_WEBSOCKET_PROXY_H
#define WEIR_WEBSOCKET_PROXY_H

#include "base/macro.h"

#include <stdbool.h>

struct proxy {
	char *url;	/* scheme://host:port, without user and password */
	char *name;	/* host:port, to be shown */
	char *user;	/* NULL: none */
	char *password; /* NULL: none */
	bool tls;	/* it is spoken to encrypted: https:// */
};

enum proxy_error {
	PROXY_MALFORMED = 1,
	PROXY_SCHEME, /* none of those that libcurl knows */
};

/* Reads [scheme://][user:password@]host[:port], as libcurl does: without a scheme it is http,
 * without a port 1080, or 443 for https. 0, one of enum proxy_error, or −ENOMEM. */
int proxy_parse(const char *text, struct proxy *ret_proxy);
void proxy_done(struct proxy *proxy); /* wipes the password */

/* Takes over "user:password". 0, PROXY_MALFORMED (no colon, or a character that cannot be in one),
 * or −ENOMEM. */
int proxy_set_user(struct proxy *proxy, const char *user_and_password);

/* The variable of the environment that names a proxy for ws:// or wss://, as libcurl chooses it for
 * http:// and https://; NULL: none does. HTTP_PROXY, in capitals, is not looked at: in a CGI
 * program it is a header that the client sent. */
const char *proxy_variable(bool tls);

static inline void proxy_donep(struct proxy *proxy)
{
	proxy_done(proxy);
}

#endif
