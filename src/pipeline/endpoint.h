/* A source as its user describes it, made into what the client below needs. */
#ifndef WEIR_PIPELINE_ENDPOINT_H
#define WEIR_PIPELINE_ENDPOINT_H

#include "base/secret.h"
#include "pipeline/fault.h"
#include "pipeline/route.h"
#include "websocket/source.h"

struct endpoint {
	struct weir_source options; /* with all defaults filled in; 0: none, where that can be */
	struct url url;
	char *shown_url; /* without its query, which may hold secrets */
	struct route route;
	struct secret authorization; /* a header line, or {0} */
	const char **headers;	     /* with that one, if there is one */
	struct handshake_request_options request;
	struct extension_offer compression;
	struct script *script; /* NULL: nothing is said first */
};

/* What cannot be right is noted as a fault with WEIR_USAGE. What the options point to must outlive
 * the endpoint; so must the endpoint what is made of it. Errors: −ENOMEM. */
int endpoint_init(struct endpoint *endpoint, const struct weir_source *options,
		  struct fault *fault);
void endpoint_done(struct endpoint *endpoint);

/* All that is known here of how to connect. It points into the endpoint. */
struct source_options endpoint_source_options(const struct endpoint *endpoint);

#endif
