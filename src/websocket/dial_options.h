/* What libcurl is told before it dials. */
#ifndef WEIR_WEBSOCKET_DIAL_OPTIONS_H
#define WEIR_WEBSOCKET_DIAL_OPTIONS_H

#include "websocket/dial_error.h"
#include "websocket/transport.h"

#include <curl/curl.h>

/* Sets up `easy`, which notes in `trace` what dialling comes to; both must stay. Errors: −ENOMEM;
 * −ENOTSUP: libcurl was built without what is asked for. */
int dial_options_apply(const struct transport_options *options, CURL *easy,
		       struct dial_trace *trace);

#endif
