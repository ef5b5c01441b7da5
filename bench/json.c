/*
 * An update of an order book: a head, as many prices and amounts as there is space for, and the
 * rest as a string of digits, so that a message can have any size.
 */
#include "json.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LEVEL_MAX 40 /* bytes of one price and amount */

uint64_t json_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static size_t add_head(char *text, size_t room, uint64_t *state)
{
	static const char *const symbols[] = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"};
	static uint64_t number = 48213377190;
	uint64_t random = json_random(state);

	number += 1 + random % 7;
	return (size_t)snprintf(
		text, room,
		"{\"e\":\"depthUpdate\",\"E\":%" PRIu64 ",\"s\":\"%s\",\"u\":%" PRIu64 ",\"b\":[",
		UINT64_C(1767225600000) + number % 100000000, symbols[random / 7 % 4], number);
}

static size_t add_level(char *text, size_t room, uint64_t *state, bool first)
{
	uint64_t random = json_random(state);

	return (size_t)snprintf(text, room,
				"%s[\"%" PRIu64 ".%02" PRIu64 "\",\"%" PRIu64 ".%05" PRIu64 "\"]",
				first ? "" : ",", 43000 + random % 500, random / 500 % 100,
				random / 50000 % 4, random / 200000 % 100000);
}

void json_fill(char *text, size_t size, uint64_t *state)
{
	static const char tail[] = "],\"a\":\"", end[] = "\"}";
	size_t rest = strlen(tail) + strlen(end);
	size_t at = add_head(text, size, state);
	bool first = true;

	while (at + LEVEL_MAX + rest < size) {
		at += add_level(text + at, size - at, state, first);
		first = false;
	}
	memcpy(text + at, tail, strlen(tail));
	for (at += strlen(tail); at < size - strlen(end); at++)
		text[at] = (char)('0' + json_random(state) % 10);
	memcpy(text + at, end, strlen(end));
}
