/* Where redirects lead, and whether to go there: RFC 9110, section 15.4. Nothing in here does any
 * I/O. */
#ifndef WEIR_WEBSOCKET_REDIRECT_H
#define WEIR_WEBSOCKET_REDIRECT_H

#include "websocket/handshake.h"
#include "websocket/url.h"

#define REDIRECTS_MAX 10

/* Why a redirect is not followed. */
enum redirect_error {
	REDIRECT_TARGET = 1, /* it names no place, several, or one that cannot be read */
	REDIRECT_MALFORMED,
	REDIRECT_SCHEME, /* to something else than ws, wss, http and https */
	REDIRECT_USER,
	REDIRECT_FRAGMENT,
	REDIRECT_DOWNGRADE, /* from wss to ws */
	REDIRECT_LEAVES,    /* to another origin, and that is not wanted */
	REDIRECT_SECRETS,   /* to another origin, which would be told secrets of ours */
	REDIRECT_LOOP,	    /* to where we were before */
	REDIRECT_MANY,	    /* after REDIRECTS_MAX others */
	REDIRECT_ERROR_END, /* one more than the last */
};

/* The way of one attempt to connect. */
struct redirect {
	const struct url *first;   /* as the user gave it; lives longer */
	enum redirect_error bound; /* what it is to go to another origin; 0: it is fine */
	struct url hops[REDIRECTS_MAX];
	size_t count;
	bool away; /* one of them is of another origin than the first: no secret goes there, nor
		      anywhere from there */
};

void redirect_init(struct redirect *redirect, const struct url *first, enum redirect_error bound);
void redirect_done(struct redirect *redirect);

/* Where the way leads so far. */
const struct url *redirect_url(const struct redirect *redirect);

/* Whether a status says to go elsewhere with the same request. */
bool redirect_is(int status);

/* Takes the answer of redirect_url(), which redirect_is(). 0, one of enum redirect_error, or
 * −ENOMEM; unless it is 0, all is as before. */
int redirect_follow(struct redirect *redirect, const struct handshake_response *response);

/* In plain English, to stand behind "the redirect …". */
const char *redirect_error_text(enum redirect_error error);

static inline void redirect_donep(struct redirect *redirect)
{
	redirect_done(redirect);
}

#endif
