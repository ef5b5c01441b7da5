/* The Authorization header, from a secret. */
#ifndef WEIR_WEBSOCKET_AUTHORIZATION_H
#define WEIR_WEBSOCKET_AUTHORIZATION_H

#include "base/secret.h"

/* "Authorization: Basic …" from USER:PASSWORD, RFC 7617. −EINVAL: no colon in it, or a control
 * character; −ENOMEM. */
int authorization_basic(const struct secret *credentials, struct secret *ret_line);

/* "Authorization: Bearer …", RFC 6750. −EINVAL: the token is more than printable ASCII without
 * blanks; −ENOMEM. */
int authorization_bearer(const struct secret *token, struct secret *ret_line);

#endif
