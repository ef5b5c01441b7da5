/*
 * The crc32 instruction takes three cycles, but one can start in every cycle: a single chain of
 * them leaves two thirds of the unit idle. Here three chains run side by side, each over a third of
 * the block, and two carry-less multiplications join them again. A block may be any multiple of 24
 * bytes, so that a message of 200 bytes is done at full speed as well.
 *
 * There is time left in that loop to look at each word that it loads, and to store it: whether the
 * bytes are ASCII, and a copy of them, come for free.
 */
#include "base/scan_narrow.h"

#include "base/crc32c_shift.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define WITH_CRC __attribute__((target("sse4.2,pclmul")))
#define INLINE_WITH_CRC WITH_CRC __attribute__((always_inline)) static inline
#define WORD sizeof(uint64_t)
#define HALF sizeof(uint32_t)
#define THIRD_MAX_WORDS ((size_t)CRC32C_SHIFT_MAX / 2)
#define BLOCK_MIN 96 /* below that, joining the chains costs more than they save */

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* All that is carried from one word to the next. */
struct state {
	uint64_t crc;
	uint64_t seen; /* all words, or-ed together */
};

/* In all of these, `to` is NULL where nothing is copied; that is known when they are compiled.
 * First: a word is looked at, copied, and added to a checksum. */
INLINE_WITH_CRC uint64_t add_word(uint64_t crc, struct state *state, uint8_t *to,
				  const uint8_t *from, size_t at)
{
	uint64_t word;

	memcpy(&word, from + at, WORD);
	if (to)
		memcpy(to + at, &word, WORD);
	state->seen |= word;
	return _mm_crc32_u64(crc, word);
}

/* The product of a checksum and a shift constant, not reduced yet: 64 bits. */
INLINE_WITH_CRC uint64_t shift(uint64_t crc, size_t words)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
					       _mm_cvtsi32_si128((int)crc32c_shift[words]), 0);

	return (uint64_t)_mm_cvtsi128_si64(product);
}

/* One block of three times `words` words. */
INLINE_WITH_CRC void add_block(struct state *state, uint8_t *to, const uint8_t *from, size_t words)
{
	size_t second = words * WORD, third = 2 * second;
	uint64_t crc = state->crc, crc2 = 0, crc3 = 0;

#pragma GCC unroll 2
	for (size_t at = 0; at < second; at += WORD) {
		crc = add_word(crc, state, to, from, at);
		crc2 = add_word(crc2, state, to, from, second + at);
		crc3 = add_word(crc3, state, to, from, third + at);
	}
	state->crc = _mm_crc32_u64(0, shift(crc, 2 * words) ^ shift(crc2, words)) ^ crc3;
}

/* What is less than a word. */
INLINE_WITH_CRC void add_rest(struct state *state, uint8_t *to, const uint8_t *from, size_t size)
{
	uint32_t half;

	if (size >= HALF) {
		memcpy(&half, from, HALF);
		if (to) {
			memcpy(to, &half, HALF);
			to += HALF;
		}
		state->seen |= half;
		state->crc = _mm_crc32_u32((uint32_t)state->crc, half);
		from += HALF;
		size -= HALF;
	}
	for (size_t at = 0; at < size; at++) {
		state->seen |= from[at];
		state->crc = _mm_crc32_u8((uint32_t)state->crc, from[at]);
		if (to)
			to[at] = from[at];
	}
}

INLINE_WITH_CRC struct scan scan(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	struct state state = {.crc = (uint32_t)~crc};
	size_t at = 0;

	while (size - at >= BLOCK_MIN) {
		size_t words = (size - at) / (3 * WORD);

		if (words > THIRD_MAX_WORDS)
			words = THIRD_MAX_WORDS;
		add_block(&state, to ? to + at : NULL, from + at, words);
		at += words * 3 * WORD;
	}
	for (; size - at >= WORD; at += WORD)
		state.crc = add_word(state.crc, &state, to, from, at);
	if (at < size)
		add_rest(&state, to ? to + at : NULL, from + at, size - at);
	return (struct scan){.crc = ~(uint32_t)state.crc, .ascii = (state.seen & HIGH_BITS) == 0};
}

WITH_CRC struct scan scan_narrow_bytes(uint32_t crc, const uint8_t *data, size_t size)
{
	return scan(crc, NULL, data, size);
}

WITH_CRC struct scan scan_narrow_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	return scan(crc, to, from, size);
}

WITH_CRC uint32_t scan_narrow_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d)
{
	uint64_t state = ~crc;

	state = _mm_crc32_u64(state, a);
	state = _mm_crc32_u64(state, b);
	state = _mm_crc32_u64(state, c);
	return ~_mm_crc32_u32((uint32_t)state, d);
}
