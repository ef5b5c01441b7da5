/* Why libcurl made no connection. */
#ifndef WEIR_WEBSOCKET_DIAL_ERROR_H
#define WEIR_WEBSOCKET_DIAL_ERROR_H

#include "websocket/transport.h"

#include <curl/curl.h>

/* What is noted while it dials. */
struct dial_trace {
	unsigned port; /* the last that was tried */
	char words[CURL_ERROR_SIZE];
};

struct dial_error {
	enum transport_error error;
	char detail[CURL_ERROR_SIZE + 320];
};

struct dial_error dial_error_classify(CURL *easy, CURLcode code,
				      const struct transport_options *options,
				      const struct dial_trace *trace);

#endif
