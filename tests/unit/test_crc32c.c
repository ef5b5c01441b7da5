/* CRC32C against RFC 3720, against a checksum made bit by bit, and the constants of the fast way
 * against the polynomial that they come from.
 * --wrap: none. */
#include "test_support.h"

#include "base/crc32c.h"
#include "base/crc32c_portable.h"
#include "base/crc32c_shift.h"

#define POLYNOMIAL 0x82f63b78u /* reflected */
#define SIZE_MAX_TESTED 4000
#define OFFSETS 16

static uint32_t bitwise(uint32_t crc, const uint8_t *data, size_t size)
{
	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}

typedef uint32_t checksum(uint32_t crc, const void *data, size_t size);

static checksum *const checksums[] = {crc32c, crc32c_portable};

/* RFC 3720 appendix B.4, and the check value of the catalogues. */
static void test_known_answers(void **state)
{
	static const uint8_t scsi_read[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
		0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
		0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0,
	};
	uint8_t zeros[32], ones[32], up[32], down[32];
	const struct {
		const void *data;
		size_t size;
		uint32_t crc;
	} answers[] = {
		{"", 0, 0},
		{"123456789", 9, 0xe3069283},
		{zeros, 32, 0x8a9136aa},
		{ones, 32, 0x62a8ab43},
		{up, 32, 0x46dd794e},
		{down, 32, 0x113fdb5c},
		{scsi_read, 48, 0xd9963a56},
	};

	(void)state;
	memset(zeros, 0, sizeof(zeros));
	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = (uint8_t)(31 - i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		for (size_t n = 0; n < ARRAY_SIZE(checksums); n++)
			assert_int_equal(checksums[n](0, answers[i].data, answers[i].size),
					 answers[i].crc);
}

/* The checksums of all beginnings of the same bytes, so that each is made once. */
static void beginnings(uint32_t first, const uint8_t *data, uint32_t expected[SIZE_MAX_TESTED + 1])
{
	expected[0] = first;
	for (size_t size = 0; size < SIZE_MAX_TESTED; size++)
		expected[size + 1] = bitwise(expected[size], data + size, 1);
}

static void test_every_size_at_every_offset(void **state)
{
	static uint32_t expected[SIZE_MAX_TESTED + 1];
	uint8_t data[SIZE_MAX_TESTED + OFFSETS];
	uint64_t random = 3720;

	(void)state;
	random_fill(&random, data, sizeof(data));
	for (size_t offset = 0; offset < OFFSETS; offset++) {
		uint32_t first = (uint32_t)random_next(&random); /* continued from anything */

		beginnings(first, data + offset, expected);
		for (size_t size = 0; size <= SIZE_MAX_TESTED; size++)
			if (crc32c(first, data + offset, size) != expected[size])
				fail_msg("%zu bytes at %zu", size, offset);
		for (size_t size = 0; size <= SIZE_MAX_TESTED; size += 1 + size / 97)
			assert_int_equal(crc32c_portable(first, data + offset, size),
					 expected[size]);
	}
}

static void test_nothing_is_read_beyond_the_end(void **state)
{
	uint8_t data[400] = {0};

	(void)state;
	for (size_t size = 0; size < sizeof(data); size++) {
		CLEANUP_FREE uint8_t *from = exact_copy(data, size); /* for AddressSanitizer */

		assert_int_equal(crc32c(0, from, size), bitwise(0, data, size));
	}
}

static void test_any_chain_is_the_whole(void **state)
{
	uint8_t data[SIZE_MAX_TESTED];
	uint64_t random = 11;
	uint32_t whole;

	(void)state;
	random_fill(&random, data, sizeof(data));
	whole = bitwise(0, data, sizeof(data));
	for (int round = 0; round < 500; round++) {
		uint32_t crc = 0;

		for (size_t at = 0, part; at < sizeof(data); at += part) {
			checksum *next = checksums[random_below(&random, ARRAY_SIZE(checksums))];

			part = MIN(random_below(&random, 1500), sizeof(data) - at);
			crc = next(crc, data + at, part);
		}
		assert_int_equal(crc, whole);
	}
}

/* Three words and a half one are the 28 bytes that they are in a file. */
static void test_fields_are_their_bytes(void **state)
{
	uint64_t random = 28;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		uint8_t bytes[28];
		uint64_t words[4] = {0};
		uint32_t first = (uint32_t)random_next(&random), expected;

		random_fill(&random, bytes, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			words[i / 8] |= (uint64_t)bytes[i] << 8 * (i % 8);
		expected = bitwise(first, bytes, sizeof(bytes));
		assert_int_equal(
			crc32c_fields(first, words[0], words[1], words[2], (uint32_t)words[3]),
			expected);
		assert_int_equal(crc32c_portable_fields(first, words[0], words[1], words[2],
							(uint32_t)words[3]),
				 expected);
	}
}

/* x^bits mod P, reflected: bit 31 is x^0. */
static uint32_t power_of_x(unsigned bits)
{
	uint32_t power = 0x80000000;

	while (bits-- > 0)
		power = power >> 1 ^ (power & 1 ? POLYNOMIAL : 0);
	return power;
}

/* The first constant is for x^31, which is x^(64 - 33). */
static void test_every_shift_constant(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= CRC32C_SHIFT_MAX; i++)
		if (crc32c_shift[i] != power_of_x(64 * i - 33))
			fail_msg("entry %u", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_every_size_at_every_offset),
		cmocka_unit_test(test_nothing_is_read_beyond_the_end),
		cmocka_unit_test(test_any_chain_is_the_whole),
		cmocka_unit_test(test_fields_are_their_bytes),
		cmocka_unit_test(test_every_shift_constant),
	};

	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
