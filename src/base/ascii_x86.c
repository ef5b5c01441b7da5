/*
 * Blocks of 64 bytes are or-ed together, and looked at once at the end: there is nothing to branch
 * on in between. The last block overlaps the one before it, so that there is no rest.
 */
#include "base/ascii_common.h"

#include <immintrin.h>

#define BLOCK 64
#define WITH_AVX2 __attribute__((target("avx2")))

WITH_AVX2 static bool with_avx2(const uint8_t *text, size_t size)
{
	const uint8_t *last = text + size - BLOCK;
	__m256i low = _mm256_loadu_si256((const __m256i_u *)last);
	__m256i high = _mm256_loadu_si256((const __m256i_u *)(last + BLOCK / 2));

	for (; text < last; text += BLOCK) {
		low = _mm256_or_si256(low, _mm256_loadu_si256((const __m256i_u *)text));
		high = _mm256_or_si256(high,
				       _mm256_loadu_si256((const __m256i_u *)(text + BLOCK / 2)));
	}
	return _mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0;
}

static bool with_sse2(const uint8_t *text, size_t size)
{
	const uint8_t *last = text + size - BLOCK;
	__m128i seen = _mm_setzero_si128();

	for (;; text += BLOCK) {
		const uint8_t *block = text < last ? text : last;

		for (size_t i = 0; i < BLOCK; i += sizeof(seen))
			seen = _mm_or_si128(seen, _mm_loadu_si128((const __m128i_u *)(block + i)));
		if (block == last)
			return _mm_movemask_epi8(seen) == 0;
	}
}

bool ascii_only(const uint8_t *text, size_t size)
{
	if (size < BLOCK)
		return ascii_short(text, size);
	return __builtin_cpu_supports("avx2") ? with_avx2(text, size) : with_sse2(text, size);
}
