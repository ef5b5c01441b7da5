/*
 * A state machine whose whole transition table for one byte is one 64-bit word: the state is the
 * number of bits by which that word is shifted, and what comes out is the next state. A step costs
 * one load, which does not depend on the state, and one shift. ASCII is skipped in large
 * stretches.
 */
#include "base/utf8.h"

#include "base/ascii.h"

/* Every state is a multiple of six, so that nine of them fit into a word. */
enum {
	INVALID = 0,
	WHOLE = 6,
	NEED_1 = 12,   /* one more byte 80–BF */
	NEED_2 = 18,   /* two more */
	NEED_3 = 24,   /* three more */
	AFTER_E0 = 30, /* A0–BF and one more: shorter forms exist below */
	AFTER_ED = 36, /* 80–9F and one more: surrogates begin above */
	AFTER_F0 = 42, /* 90–BF and two more: shorter forms exist below */
	AFTER_F4 = 48, /* 80–8F and two more: Unicode ends above */
};

#define FROM(state, next) ((uint64_t)(next) << (state))
#define TAIL (FROM(NEED_1, WHOLE) | FROM(NEED_2, NEED_1) | FROM(NEED_3, NEED_2))

static const uint64_t rows[256] = {
	[0x00 ... 0x7f] = FROM(WHOLE, WHOLE),
	[0x80 ... 0x8f] = TAIL | FROM(AFTER_ED, NEED_1) | FROM(AFTER_F4, NEED_2),
	[0x90 ... 0x9f] = TAIL | FROM(AFTER_ED, NEED_1) | FROM(AFTER_F0, NEED_2),
	[0xa0 ... 0xbf] = TAIL | FROM(AFTER_E0, NEED_1) | FROM(AFTER_F0, NEED_2),
	[0xc2 ... 0xdf] = FROM(WHOLE, NEED_1),
	[0xe0] = FROM(WHOLE, AFTER_E0),
	[0xe1 ... 0xec] = FROM(WHOLE, NEED_2),
	[0xed] = FROM(WHOLE, AFTER_ED),
	[0xee ... 0xef] = FROM(WHOLE, NEED_2),
	[0xf0] = FROM(WHOLE, AFTER_F0),
	[0xf1 ... 0xf3] = FROM(WHOLE, NEED_3),
	[0xf4] = FROM(WHOLE, AFTER_F4),
};

#define STRETCH_MAX ((size_t)512) /* how much is looked at before it is known not to be ASCII */

static inline uint64_t step(uint64_t state, const uint8_t *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		state = rows[text[i]] >> (state & 63);
	return state & 63;
}

utf8_state utf8_validate(utf8_state start, const uint8_t *text, size_t size)
{
	uint64_t state = start;

	while (size > 0) {
		size_t part = size < STRETCH_MAX ? size : STRETCH_MAX;

		if (state != WHOLE || !ascii_only(text, part))
			state = step(state, text, part);
		text += part;
		size -= part;
	}
	return (utf8_state)state;
}

size_t utf8_character(const uint8_t *text, size_t size)
{
	utf8_state state = UTF8_WHOLE;

	for (size_t i = 0; i < size; i++) {
		state = utf8_validate(state, text + i, 1);
		if (state == UTF8_WHOLE)
			return i + 1;
		if (state == UTF8_INVALID)
			return 0;
	}
	return 0;
}
