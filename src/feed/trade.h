/* Made-up trades, as an exchange would send them: JSON text of about 200 bytes. */
#ifndef WEIR_FEED_TRADE_H
#define WEIR_FEED_TRADE_H

#include <stddef.h>
#include <stdint.h>

#define TRADE_SIZE_MAX 256
#define TRADE_SYMBOLS 8

struct trade_feed {
	uint64_t random;
	uint64_t id;
	uint64_t time_ms;
	uint64_t prices[TRADE_SYMBOLS]; /* in hundredths */
};

/* The same seed gives the same trades, for ever. */
void trade_init(struct trade_feed *feed, uint64_t seed);

/* Writes the next trade and returns its size. */
size_t trade_next(struct trade_feed *feed, char to[TRADE_SIZE_MAX]);

#endif
