/* The way to the server: TLS, proxy, Unix socket, from the options and the environment. */
#ifndef WEIR_PIPELINE_ROUTE_H
#define WEIR_PIPELINE_ROUTE_H

#include "pipeline/fault.h"
#include "websocket/transport.h"

struct route {
	struct transport_options transport;
	struct proxy proxy;
	const struct proxy *tls_proxy; /* where redirects lead from ws to wss; NULL: none */
	struct proxy other_proxy;      /* for that, when the environment has another one for it */
};

/* What cannot be right is noted as a fault with WEIR_USAGE. `options` and `url` must outlive the
 * route. Errors: −ENOMEM. */
int route_set(struct route *route, const struct weir_source *options, const struct url *url,
	      struct fault *fault);
void route_done(struct route *route);

#endif
