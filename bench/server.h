/* The server's part of a WebSocket, as far as a benchmark needs it. */
#ifndef WEIR_BENCH_SERVER_H
#define WEIR_BENCH_SERVER_H

#include "channel.h"

#include <stdbool.h>
#include <stdint.h>

/* Listens on a free port of the loopback interface. Returns a descriptor or −errno. */
int server_listen(uint16_t *ret_port);

/* Waits for the next connection. Reading from it has a time-out. Returns a descriptor or −errno. */
int server_accept(int listener);

/* Answers the upgrade request. `compressed`: agrees to permessage-deflate, without asking whether
 * it was offered. `ret_raw`: whether the request was for /raw. */
int server_upgrade(struct channel *channel, bool compressed, bool *ret_raw);

/* Sends Close 1000, and waits for the peer's Close or, when `raw`, for the end of the connection.
 */
int server_end(struct channel *channel, bool raw);

#endif
