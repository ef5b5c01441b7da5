/*
 * The checksum by folding: a register of 64 bytes is the remainder so far, unreduced. To add the
 * next 64 bytes, it is multiplied by x^512 modulo the polynomial, which for each of its four lanes
 * takes two carry-less multiplications by constants, and the bytes are added to the product. A
 * multiplication takes eight cycles or so, so that long stretches are folded in four registers side
 * by side. At the end the lanes are folded together, and two crc32 instructions reduce what is
 * left.
 *
 * Sizes need not be multiples of 64. The odd bytes are taken first, at the upper end of a register
 * whose lower end is zero: zeros in front of everything change no remainder. So nothing is done
 * byte by byte, and a message of 200 bytes is four rounds.
 *
 * The constants are in crc32c_shift: a lane of 16 bytes that moves by n words has its lower half,
 * which stands a word further ahead, multiplied by number n + 1, and its upper half by number n.
 */
#include "base/scan_wide.h"

#include "base/crc32c_shift.h"
#include "base/macro.h"

#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512vbmi2,vpclmulqdq,pclmul,sse4.2")))
#define INLINE_WIDE WIDE __attribute__((always_inline)) static inline
#define BLOCK sizeof(__m512i)
#define STRETCH (4 * BLOCK)
#define STRETCHES_MIN 4 /* fewer are not worth four registers */
#define XOR_OF_THREE 0x96
#define OR_OF_THREE 0xfe

/* All that is carried from one block to the next. */
struct state {
	__m512i remainder;
	__m512i seen; /* all bytes, or-ed together */
};

/* The two constants that move every lane by `words` words. */
INLINE_WIDE __m512i mover(size_t words)
{
	return _mm512_broadcast_i32x4(_mm_set_epi64x(crc32c_shift[words], crc32c_shift[words + 1]));
}

/* Moves the lanes of a remainder, and adds a block to it. */
INLINE_WIDE __m512i fold(__m512i remainder, __m512i by, __m512i block)
{
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(remainder, by, 0x00),
					 _mm512_clmulepi64_epi128(remainder, by, 0x11), block,
					 XOR_OF_THREE);
}

/* In all of these, `to` is NULL where nothing is copied; that is known when they are compiled. */
INLINE_WIDE __m512i take_block(uint8_t *to, const uint8_t *from, size_t at)
{
	__m512i block = _mm512_loadu_si512(from + at);

	if (to)
		_mm512_storeu_si512(to + at, block);
	return block;
}

/* The first 1 to 64 bytes. The state is added to the four bytes that come first of all; those of it
 * that find no place here are returned, for the beginning of the next block. */
INLINE_WIDE uint32_t take_odd_bytes(struct state *state, uint32_t crc, uint8_t *to,
				    const uint8_t *from, size_t odd)
{
	__mmask64 upper = ~UINT64_C(0) << (BLOCK - odd);
	__m512i block = _mm512_maskz_loadu_epi8(upper, from + odd - BLOCK);
	__m512i before = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc));

	if (to)
		_mm512_mask_storeu_epi8(to + odd - BLOCK, upper, block);
	state->seen = block;
	before = _mm512_maskz_expand_epi8(UINT64_C(0xf) << (BLOCK - odd), before);
	state->remainder = _mm512_xor_si512(block, before);
	return odd < sizeof(crc) ? ~crc >> (8 * odd) : 0;
}

/* One block, with what is left of the state in front of everything. Returns its size. */
INLINE_WIDE size_t take_one(struct state *state, uint32_t rest, uint8_t *to, const uint8_t *from,
			    size_t at)
{
	__m512i block = take_block(to, from, at);
	__m512i before = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)rest));

	state->seen = _mm512_or_si512(state->seen, block);
	state->remainder =
		fold(state->remainder, mover(BLOCK / 8), _mm512_xor_si512(block, before));
	return BLOCK;
}

/* As many stretches as there are, in four registers. Returns how many bytes that were. */
INLINE_WIDE size_t take_stretches(struct state *state, uint8_t *to, const uint8_t *from,
				  size_t size)
{
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = state->remainder, seen = state->seen;
	const __m512i far = mover(STRETCH / 8), near = mover(BLOCK / 8);
	size_t at = 0;

	for (; size - at >= STRETCH; at += STRETCH) {
		__m512i first = take_block(to, from, at);
		__m512i second = take_block(to, from, at + BLOCK);
		__m512i third = take_block(to, from, at + 2 * BLOCK);
		__m512i fourth = take_block(to, from, at + 3 * BLOCK);

		seen = _mm512_ternarylogic_epi64(seen, first, second, OR_OF_THREE);
		seen = _mm512_ternarylogic_epi64(seen, third, fourth, OR_OF_THREE);
		a = fold(a, far, first);
		b = fold(b, far, second);
		c = fold(c, far, third);
		d = fold(d, far, fourth);
	}
	state->seen = seen;
	state->remainder = fold(fold(fold(a, near, b), near, c), near, d);
	return at;
}

/* The remainder of 64 bytes, reduced to the 4 that a checksum has. */
INLINE_WIDE uint32_t reduce(__m512i remainder)
{
	const __m512i by = _mm512_set_epi64(0, 0, crc32c_shift[2], crc32c_shift[3], crc32c_shift[4],
					    crc32c_shift[5], crc32c_shift[6], crc32c_shift[7]);
	__m512i moved = _mm512_xor_si512(_mm512_clmulepi64_epi128(remainder, by, 0x00),
					 _mm512_clmulepi64_epi128(remainder, by, 0x11));
	__m256i half;
	__m128i lane;
	uint64_t crc;

	moved = _mm512_mask_mov_epi64(moved, 0xc0, remainder); /* the last lane is in its place */
	half = _mm256_xor_si256(_mm512_castsi512_si256(moved), _mm512_extracti64x4_epi64(moved, 1));
	lane = _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
	crc = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(lane));
	return (uint32_t)_mm_crc32_u64(crc, (uint64_t)_mm_extract_epi64(lane, 1));
}

INLINE_WIDE struct scan scan(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	size_t at = (size - 1) % BLOCK + 1;
	struct state state;
	uint32_t rest = take_odd_bytes(&state, crc, to, from, at);

	if (rest != 0)
		at += take_one(&state, rest, to, from, at);
	if (size - at >= STRETCHES_MIN * STRETCH)
		at += take_stretches(&state, to ? to + at : NULL, from + at, size - at);
	while (at < size)
		at += take_one(&state, 0, to, from, at);
	return (struct scan){
		.crc = ~reduce(state.remainder),
		.ascii = _mm512_movepi8_mask(state.seen) == 0,
	};
}

WIDE struct scan scan_wide_bytes(uint32_t crc, const uint8_t *data, size_t size)
{
	return scan(crc, NULL, data, size);
}

WIDE struct scan scan_wide_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	return scan(crc, to, from, size);
}
