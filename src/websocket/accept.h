/* The server's side of the opening handshake, RFC 6455 section 4.2, without any I/O. */
#ifndef WEIR_WEBSOCKET_ACCEPT_H
#define WEIR_WEBSOCKET_ACCEPT_H

#include "base/buffer.h"

#include <sys/types.h>

/* Reads a request and appends the answer to `to`. Returns the size of the request's head when the
 * upgrade was accepted, 0 when more bytes are needed, −EBADMSG when it was refused (the answer says
 * so), or −ENOMEM. */
ssize_t accept_request(const char *data, size_t size, struct buffer *to);

#endif
