/* Lets libcurl make a connection inside the event loop. */
#ifndef WEIR_WEBSOCKET_DIAL_H
#define WEIR_WEBSOCKET_DIAL_H

#include "base/loop.h"

#include <curl/curl.h>

struct dial;

/* Called once, when libcurl is done. May free the dial. */
typedef int dial_ended(void *data, CURLcode code);

/* Begins to connect as `easy` says. Errors: −ENOMEM. */
int dial_new(struct loop *loop, CURL *easy, dial_ended *ended, void *data, struct dial **ret_dial);

/* Closes the connection; `easy` (may be NULL) is freed with it: it must not outlive its multi
 * handle with a connection in it, nor be freed before. */
void dial_free(struct dial *dial, CURL *easy);

#endif
