/*
 * Prices walk at random, symbols come up as often as they trade, numbers are written by hand: a
 * source that is slower than what it feeds would measure itself.
 */
#include "feed/trade.h"

#include "base/macro.h"

#include <string.h>

#define START_MS UINT64_C(1735689600000) /* 2025-01-01 */
#define PRICE_MIN 100

static const struct {
	const char *name;
	uint64_t price;
} symbols[TRADE_SYMBOLS] = {
	{"BTC-USD", 9341250}, {"ETH-USD", 333125}, {"SOL-USD", 18942}, {"XRP-USD", 21475},
	{"ADA-USD", 8462},    {"AVAX-USD", 3571},  {"LINK-USD", 2003}, {"LTC-USD", 10318},
};

/* splitmix64, by Sebastiano Vigna: public domain, and good enough for prices. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void trade_init(struct trade_feed *feed, uint64_t seed)
{
	*feed = (struct trade_feed){.random = seed, .id = 1000000000, .time_ms = START_MS};
	for (size_t i = 0; i < TRADE_SYMBOLS; i++)
		feed->prices[i] = symbols[i].price;
}

static inline char *put_text(char *to, const char *text)
{
	return stpcpy(to, text);
}

static inline char *put_number(char *to, uint64_t number)
{
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count > 0)
		*to++ = digits[--count];
	return to;
}

/* A number of so many decimals. */
static inline char *put_decimal(char *to, uint64_t number, uint64_t one, int decimals)
{
	uint64_t fraction = number % one;

	to = put_number(to, number / one);
	*to++ = '.';
	for (int i = decimals - 1; i >= 0; i--, fraction /= 10)
		to[i] = (char)('0' + fraction % 10);
	return to + decimals;
}

size_t trade_next(struct trade_feed *feed, char to[TRADE_SIZE_MAX])
{
	uint64_t random = next_random(&feed->random);
	/* The smaller of two throws: the first symbols trade most. */
	size_t symbol = MIN(random & 7, random >> 3 & 7);
	uint64_t *price = &feed->prices[symbol];
	uint64_t step = random >> 6 & 31, size = 1 + (random >> 11 & 0xfffff);
	char *at = to;

	*price = MAX(*price + step, (uint64_t)PRICE_MIN + 15) - 15;
	feed->time_ms += (random >> 31 & 7) == 0;
	feed->id++;
	at = put_text(at, "{\"type\":\"trade\",\"symbol\":\"");
	at = put_text(at, symbols[symbol].name);
	at = put_text(at, "\",\"id\":");
	at = put_number(at, feed->id);
	at = put_text(at, ",\"price\":");
	at = put_decimal(at, *price, 100, 2);
	at = put_text(at, ",\"size\":");
	at = put_decimal(at, size, 10000, 4);
	at = put_text(at, random >> 34 & 1 ? ",\"side\":\"buy\"" : ",\"side\":\"sell\"");
	at = put_text(at, ",\"maker\":\"");
	at = put_number(at, 1000000 + (random >> 35 & 0xfffff));
	at = put_text(at, "\",\"taker\":\"");
	at = put_number(at, 1000000 + (random >> 44 & 0xfffff));
	at = put_text(at, "\",\"time\":");
	at = put_number(at, feed->time_ms);
	at = put_text(at, ",\"venue\":\"weir\",\"currency\":\"USD\",\"sequence\":");
	at = put_number(at, feed->id - 1000000000);
	*at++ = '}';
	return (size_t)(at - to);
}
