/* Sizes, times and counts as people write them, both ways.
 * --wrap: none. */
#include "test_support.h"

#include "base/units.h"

struct parse_case {
	const char *text;
	int result;
	uint64_t value;
};

static void check(int (*parse)(const char *, uint64_t *), const struct parse_case *cases,
		  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint64_t untouched = 4711;
		uint64_t value = untouched;
		int r = parse(cases[i].text, &value);

		if (r != cases[i].result || value != (r < 0 ? untouched : cases[i].value))
			fail_msg("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long)value);
	}
}

static void test_parse_size(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"65536", 0, 65536},
		{"00012", 0, 12},
		{"1B", 0, 1},
		{"1k", 0, 1024},
		{"1K", 0, 1024},
		{"1M", 0, 1 << 20},
		{"1G", 0, 1 << 30},
		{"1T", 0, UINT64_C(1) << 40},
		{"64KiB", 0, 64 << 10},
		{"64MiB", 0, 64 << 20},
		{"2GiB", 0, UINT64_C(2) << 30},
		{"3TiB", 0, UINT64_C(3) << 40},
		{"1kB", 0, 1000},
		{"1KB", 0, 1000},
		{"1MB", 0, 1000000},
		{"1GB", 0, 1000000000},
		{"1TB", 0, UINT64_C(1000000000000)},
		{"64 MiB", 0, 64 << 20},
		{"1.5GB", 0, 1500000000},
		{"0.5k", 0, 512},
		{".5k", 0, 512},
		{"1.1k", 0, 1126}, /* rounded down */
		{"0.000000001GB", 0, 1},
		{"9007199254740993", 0, UINT64_C(9007199254740993)}, /* no double holds it */
		{"9223372036854775807", 0, INT64_MAX},
		{"8388607.999999999TiB", 0, UINT64_C(9223372036854774708)},
		{"9223372036854775808", -ERANGE, 0},
		{"18446744073709551615", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999", -ERANGE, 0},
		{"8388608TiB", -ERANGE, 0},
		{"9223372036854775807k", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" ", -EINVAL, 0},
		{"k", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1kk", -EINVAL, 0},
		{"1mb", -EINVAL, 0},
		{"1kib", -EINVAL, 0},
		{"1 2", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"1,5k", -EINVAL, 0},
		{".", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1.k", -EINVAL, 0},
		{"1..5k", -EINVAL, 0},
		{"1.5.5k", -EINVAL, 0},
		{"1.5", -EINVAL, 0}, /* there is no half byte */
		{"1.5B", -EINVAL, 0},
		{"0.0000000001TB", -EINVAL, 0}, /* more than nine decimals */
		{"inf", -EINVAL, 0},
		{"1s", -EINVAL, 0},
	};

	(void)state;
	check(units_parse_size, cases, ARRAY_SIZE(cases));
}

static void test_parse_time(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"10", 0, UINT64_C(10000000000)},
		{"7ns", 0, 7},
		{"20us", 0, 20000},
		{"500ms", 0, 500000000},
		{"1.5s", 0, 1500000000},
		{"1.5", 0, 1500000000},
		{"10m", 0, UINT64_C(600000000000)},
		{"10min", 0, UINT64_C(600000000000)},
		{"2h", 0, UINT64_C(7200000000000)},
		{"1d", 0, UINT64_C(86400000000000)},
		{"0.000000001", 0, 1},
		{"0.5ms", 0, 500000},
		{"9223372036.854775807", 0, INT64_MAX},
		{"106751d", 0, UINT64_C(9223286400000000000)},
		{"9223372036.854775808", -ERANGE, 0},
		{"106752d", -ERANGE, 0},
		{"1.5ns", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1sec", -EINVAL, 0},
		{"1h30m", -EINVAL, 0},
		{"never", -EINVAL, 0},
	};

	(void)state;
	check(units_parse_time, cases, ARRAY_SIZE(cases));
}

static void test_parse_count(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"12", 0, 12},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"1k", -EINVAL, 0},
		{"1B", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"", -EINVAL, 0},
	};

	(void)state;
	check(units_parse_count, cases, ARRAY_SIZE(cases));
}

struct format_case {
	uint64_t value;
	const char *text;
};

static void check_format(const char *(*format)(uint64_t, char[UNITS_TEXT_SIZE]),
			 const struct format_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[UNITS_TEXT_SIZE];

		assert_ptr_equal(format(cases[i].value, text), text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_format_size(void **state)
{
	static const struct format_case cases[] = {
		{0, "0 B"},
		{12, "12 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1023897, "999.9 KiB"},
		{1023949, "1.0 MiB"}, /* never four digits before the point */
		{1 << 20, "1.0 MiB"},
		{(1 << 30) - 1, "1.0 GiB"},
		{UINT64_C(5) << 40, "5.0 TiB"},
		{UINT64_C(1) << 50, "1.0 PiB"},
		{UINT64_C(1) << 60, "1.0 EiB"},
		{UINT64_MAX, "16.0 EiB"},
	};

	(void)state;
	check_format(units_format_size, cases, ARRAY_SIZE(cases));
}

static void test_format_time(void **state)
{
	static const struct format_case cases[] = {
		{0, "0 ms"},
		{999999, "0 ms"},
		{850000000, "850 ms"},
		{999999999, "999 ms"},
		{1000000000, "1.0 s"},
		{1249000000, "1.2 s"},
		{UINT64_C(59940000000), "59.9 s"},
		{UINT64_C(60000000000), "1m00s"},
		{UINT64_C(192000000000), "3m12s"},
		{UINT64_C(3599999999999), "59m59s"},
		{UINT64_C(3600000000000), "1h00m"},
		{UINT64_C(7500000000000), "2h05m"},
		{UINT64_C(172799999999999), "47h59m"},
		{UINT64_C(172800000000000), "2d00h"},
		{UINT64_MAX, "213503d23h"},
	};

	(void)state;
	check_format(units_format_time, cases, ARRAY_SIZE(cases));
}

/* Seconds are never shown as sixty of them. */
static void test_format_time_just_below_a_minute(void **state)
{
	char text[UNITS_TEXT_SIZE];

	(void)state;
	assert_string_not_equal(units_format_time(UINT64_C(59999999999), text), "60.0 s");
}

static void test_format_count(void **state)
{
	static const struct format_case cases[] = {
		{0, "0"},
		{12, "12"},
		{999, "999"},
		{1000, "1 000"},
		{12345, "12 345"},
		{123456, "123 456"},
		{12345678, "12 345 678"},
		{UINT64_MAX, "18 446 744 073 709 551 615"},
	};

	(void)state;
	check_format(units_format_count, cases, ARRAY_SIZE(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_time),
		cmocka_unit_test(test_parse_count),
		cmocka_unit_test(test_format_size),
		cmocka_unit_test(test_format_time),
		cmocka_unit_test(test_format_time_just_below_a_minute),
		cmocka_unit_test(test_format_count),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
