/* What every way of scanning must do, whatever its registers: the checksum is that of the portable
 * code, each byte with its highest bit set is seen wherever it stands, copies are copies, and
 * nothing beyond either end is touched. A test program runs these for each variant that it can
 * reach. */
#ifndef WEIR_TEST_SCAN_SUPPORT_H
#define WEIR_TEST_SCAN_SUPPORT_H

#include "test_support.h"

#include "base/crc32c_portable.h"
#include "base/scan.h"

#define SCAN_SIZE_MAX 4000
#define SCAN_OFFSETS 16

struct scan_variant {
	const char *name;
	bool (*works)(void);
	size_t size_min;
	struct scan (*bytes)(uint32_t crc, const uint8_t *data, size_t size);
	struct scan (*copy)(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size);
};

static struct scan_variant variant;

static int skip_what_does_not_work(void **state)
{
	(void)state;
	if (!variant.works())
		print_message("%s: this machine cannot\n", variant.name);
	return 0;
}

#define NEEDS_VARIANT                                                                              \
	do {                                                                                       \
		if (!variant.works())                                                              \
			skip();                                                                    \
	} while (0)

/* All sizes, from other addresses and with other checksums before them. */
static void test_checksums(void **state)
{
	static uint8_t data[SCAN_SIZE_MAX + SCAN_OFFSETS];
	uint64_t random = 3720;

	(void)state;
	NEEDS_VARIANT;
	random_fill(&random, data, sizeof(data));
	for (size_t size = variant.size_min; size <= SCAN_SIZE_MAX; size++) {
		const uint8_t *from = data + random_below(&random, SCAN_OFFSETS);
		uint32_t before =
			random_below(&random, 4) == 0 ? 0 : (uint32_t)random_next(&random);
		uint32_t expected = crc32c_portable(before, from, size);

		if (variant.bytes(before, from, size).crc != expected)
			fail_msg("%zu bytes", size);
	}
}

static void test_large_checksums(void **state)
{
	CLEANUP_FREE uint8_t *data = malloc(MIB(1));
	uint64_t random = 9;

	(void)state;
	NEEDS_VARIANT;
	assert_non_null(data);
	random_fill(&random, data, MIB(1));
	for (int round = 0; round < 20; round++) {
		size_t at = random_below(&random, KIB(64)),
		       size = KIB(64) + random_below(&random, KIB(800));
		uint32_t before = (uint32_t)random_next(&random);

		assert_int_equal(variant.bytes(before, data + at, size).crc,
				 crc32c_portable(before, data + at, size));
	}
}

/* One byte beyond ASCII at each place of each size. */
static void test_every_byte_is_looked_at(void **state)
{
	uint8_t data[700];

	(void)state;
	NEEDS_VARIANT;
	memset(data, 0x7f, sizeof(data));
	for (size_t size = variant.size_min; size <= sizeof(data); size += 1 + size / 20) {
		assert_true(variant.bytes(0, data, size).ascii);
		for (size_t at = 0; at < size; at++) {
			data[at] = 0x80;
			if (variant.bytes(0, data, size).ascii)
				fail_msg("byte %zu of %zu", at, size);
			data[at] = 0x7f;
		}
		if (size < sizeof(data)) {
			data[size] = 0x80;
			assert_true(variant.bytes(0, data, size).ascii);
			data[size] = 0x7f;
		}
	}
}

static void test_copies_are_copies(void **state)
{
	static uint8_t from[SCAN_SIZE_MAX + SCAN_OFFSETS], to[SCAN_SIZE_MAX + 2 * SCAN_OFFSETS];
	uint64_t random = 44;

	(void)state;
	NEEDS_VARIANT;
	random_fill(&random, from, sizeof(from));
	for (size_t size = variant.size_min; size <= SCAN_SIZE_MAX; size++) {
		uint8_t *target = to + 1 + size % SCAN_OFFSETS;
		uint32_t before = (uint32_t)random_next(&random);
		struct scan scan;

		memset(target - 1, 0x5a, size + 2);
		scan = variant.copy(before, target, from + 3, size);
		if (scan.crc != crc32c_portable(before, from + 3, size))
			fail_msg("%zu bytes", size);
		assert_int_equal(scan.ascii, variant.bytes(before, from + 3, size).ascii);
		assert_memory_equal(target, from + 3, size);
		assert_int_equal(target[-1], 0x5a);
		assert_int_equal(target[size], 0x5a);
	}
}

/* The copy may go to right in front of what is copied. */
static void test_copies_to_the_memory_before(void **state)
{
	uint8_t memory[600], expected[300];
	uint64_t random = 45;

	(void)state;
	NEEDS_VARIANT;
	for (size_t size = variant.size_min; size <= sizeof(expected); size++) {
		random_fill(&random, memory, sizeof(memory));
		memcpy(expected, memory + size, size);
		variant.copy(0, memory, memory + size, size);
		assert_memory_equal(memory, expected, size);
	}
}

static void test_nothing_beyond_the_ends_is_read(void **state)
{
	uint8_t data[600] = {0};

	(void)state;
	NEEDS_VARIANT;
	for (size_t size = variant.size_min; size < sizeof(data); size++) {
		CLEANUP_FREE uint8_t *from = exact_copy(data, size); /* for AddressSanitizer */
		CLEANUP_FREE uint8_t *to = exact_copy(data, size);
		uint32_t expected = crc32c_portable(0, data, size);

		assert_int_equal(variant.bytes(0, from, size).crc, expected);
		assert_int_equal(variant.copy(0, to, from, size).crc, expected);
	}
}

static inline int run_scan_tests(const struct scan_variant *of)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_large_checksums),
		cmocka_unit_test(test_every_byte_is_looked_at),
		cmocka_unit_test(test_copies_are_copies),
		cmocka_unit_test(test_copies_to_the_memory_before),
		cmocka_unit_test(test_nothing_beyond_the_ends_is_read),
	};

	variant = *of;
	return cmocka_run_group_tests_name(variant.name, tests, skip_what_does_not_work, NULL);
}

#endif
