/*
 * The crc32 instruction takes three cycles, but one can start in every cycle: a single chain of
 * them leaves two thirds of the unit idle. Here three chains run side by side, each over a third of
 * the block, and two carry-less multiplications join them again. A block may be any multiple of 24
 * bytes, so that a message of 200 bytes is done at full speed as well.
 *
 * There is time left in that loop to store each word that it loads: a copy comes for free.
 */
#include "base/crc32c.h"
#include "base/crc32c_portable.h"
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

/* In all of these `copy` is known when they are compiled: the code exists once with and once
 * without it. First: a word is added to a state. */
INLINE_WITH_CRC uint64_t add_word(uint64_t state, uint8_t *to, const uint8_t *from, size_t at,
				  bool copy)
{
	uint64_t word;

	memcpy(&word, from + at, WORD);
	if (copy)
		memcpy(to + at, &word, WORD);
	return _mm_crc32_u64(state, word);
}

/* The product of a state and a shift constant, not reduced yet: 64 bits. */
INLINE_WITH_CRC uint64_t shift(uint64_t state, size_t words)
{
	__m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)state),
					       _mm_cvtsi32_si128((int)crc32c_shift[words]), 0);

	return (uint64_t)_mm_cvtsi128_si64(product);
}

/* One block of three times `words` words. */
INLINE_WITH_CRC uint64_t add_block(uint64_t state, uint8_t *to, const uint8_t *from, size_t words,
				   bool copy)
{
	size_t second = words * WORD, third = 2 * second;
	uint64_t state2 = 0, state3 = 0;

#pragma GCC unroll 2
	for (size_t at = 0; at < second; at += WORD) {
		state = add_word(state, to, from, at, copy);
		state2 = add_word(state2, to, from, second + at, copy);
		state3 = add_word(state3, to, from, third + at, copy);
	}
	return _mm_crc32_u64(0, shift(state, 2 * words) ^ shift(state2, words)) ^ state3;
}

/* What is less than a word. */
INLINE_WITH_CRC uint64_t add_rest(uint64_t state, uint8_t *to, const uint8_t *from, size_t size,
				  bool copy)
{
	uint32_t half;

	if (size >= HALF) {
		memcpy(&half, from, HALF);
		if (copy) {
			memcpy(to, &half, HALF);
			to += HALF;
		}
		state = _mm_crc32_u32((uint32_t)state, half);
		from += HALF;
		size -= HALF;
	}
	for (size_t at = 0; at < size; at++) {
		state = _mm_crc32_u8((uint32_t)state, from[at]);
		if (copy)
			to[at] = from[at];
	}
	return state;
}

INLINE_WITH_CRC uint32_t add(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size, bool copy)
{
	uint64_t state = ~crc;
	size_t at = 0;

	while (size - at >= BLOCK_MIN) {
		size_t words = (size - at) / (3 * WORD);

		if (words > THIRD_MAX_WORDS)
			words = THIRD_MAX_WORDS;
		state = add_block(state, copy ? to + at : NULL, from + at, words, copy);
		at += words * 3 * WORD;
	}
	for (; size - at >= WORD; at += WORD)
		state = add_word(state, to, from, at, copy);
	if (at < size)
		state = add_rest(state, copy ? to + at : NULL, from + at, size - at, copy);
	return ~(uint32_t)state;
}

WITH_CRC static uint32_t add_only(uint32_t crc, const uint8_t *from, size_t size)
{
	return add(crc, NULL, from, size, false);
}

WITH_CRC static uint32_t add_and_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	return add(crc, to, from, size, true);
}

WITH_CRC static uint32_t add_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d)
{
	uint64_t state = ~crc;

	state = _mm_crc32_u64(state, a);
	state = _mm_crc32_u64(state, b);
	state = _mm_crc32_u64(state, c);
	return ~_mm_crc32_u32((uint32_t)state, d);
}

static inline bool has_instructions(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	if (has_instructions())
		return add_only(crc, data, size);
	return crc32c_portable(crc, data, size);
}

uint32_t crc32c_copy(uint32_t crc, void *to, const void *from, size_t size)
{
	if (has_instructions())
		return add_and_copy(crc, to, from, size);
	memcpy(to, from, size);
	return crc32c_portable(crc, to, size);
}

uint32_t crc32c_fields(uint32_t crc, uint64_t a, uint64_t b, uint64_t c, uint32_t d)
{
	if (has_instructions())
		return add_fields(crc, a, b, c, d);
	return crc32c_portable_fields(crc, a, b, c, d);
}
