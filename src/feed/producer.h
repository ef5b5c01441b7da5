/* A stream of frames, ready for the socket: what one connection of a feed is sent. */
#ifndef WEIR_FEED_PRODUCER_H
#define WEIR_FEED_PRODUCER_H

#include "feed/trade.h"

#include <stdbool.h>

#define PRODUCER_ROOM_MIN ((size_t)TRADE_SIZE_MAX + 32)

struct producer_options {
	uint64_t seed;
	uint64_t messages_max; /* 0: no limit */
	uint64_t bytes_max;    /* of payload: ends with the message that passes it; 0: no limit */
	uint64_t size;	       /* of each message, filled with letters; 0: trades */
	bool binary;	       /* bytes of every value instead of letters */
};

struct producer {
	struct producer_options options;
	struct trade_feed trades;
	uint64_t messages; /* begun so far */
	uint64_t bytes;
	uint64_t left; /* payload of the current message still to come */
	bool closed;   /* the Close frame was produced */
};

void producer_init(struct producer *producer, const struct producer_options *options);

/* Fills up to `size` bytes, at least PRODUCER_ROOM_MIN, with frames; begins no message beyond
 * number `messages_now`. Behind the last message stands a Close frame. Returns the count; 0: no
 * more for now, or at all. */
size_t producer_fill(struct producer *producer, uint8_t *to, size_t size, uint64_t messages_now);

/* Writes the Close frame now, between two messages, and produces nothing more. Returns its size. */
size_t producer_close(struct producer *producer, uint8_t *to);

#endif
