/* Moments as people type them, and the ones that nobody can have meant.
 * --wrap: none. */
#include "test_support.h"

#include "base/clock.h"
#include "base/moment.h"

#include <time.h>

#define NOW_NS (UINT64_C(1795480650) * NS_PER_S + 5) /* 2026-11-24 00:37:30 UTC */

static const struct {
	const char *text;
	uint64_t ns;
} good[] = {
	{"2026-11-24T00:37:30Z", UINT64_C(1795480650) * NS_PER_S},
	{"2026-11-24t00:37:30z", UINT64_C(1795480650) * NS_PER_S},
	{"2026-11-24 00:37:30Z", UINT64_C(1795480650) * NS_PER_S},
	{"2026-11-24T00:37:30.855290811Z", UINT64_C(1795480650855290811)},
	{"2026-11-24T00:37:30.8552908119999Z", UINT64_C(1795480650855290811)},
	{"2026-11-24T00:37:30,5Z", UINT64_C(1795480650500000000)},
	{"2026-11-24T01:37:30+01:00", UINT64_C(1795480650) * NS_PER_S},
	{"2026-11-23T23:07:30-0130", UINT64_C(1795480650) * NS_PER_S},
	{"2026-11-24T00:37Z", UINT64_C(1795480620) * NS_PER_S},
	{"2026-11-24Z", UINT64_C(1795478400) * NS_PER_S},
	{"2024-02-29Z", UINT64_C(1709164800) * NS_PER_S},
	{"1970-01-01T00:00:00Z", 0},
	/* TZ is two hours east. */
	{"2026-11-24T02:37:30", UINT64_C(1795480650) * NS_PER_S},
	{"2026-11-24 02:37", UINT64_C(1795480620) * NS_PER_S},
	{"2026-11-24", UINT64_C(1795471200) * NS_PER_S},
	{"@0", 0},
	{"@1795480650", UINT64_C(1795480650) * NS_PER_S},
	{"@1795480650.25", UINT64_C(1795480650250000000)},
	{"@1795480650.000000001", UINT64_C(1795480650000000001)},
	{"now", NOW_NS},
	{"10m", NOW_NS - 600 * NS_PER_S},
	{"1.5h", NOW_NS - 5400 * NS_PER_S},
	{"0s", NOW_NS},
	{"5ns", NOW_NS - 5},
};

static const char *const bad[] = {
	"",
	"x",
	"10",
	"2026",
	"-10m",
	"10m ago",
	"2026-13-01",
	"2026-00-01",
	"2026-02-29Z",
	"2026-11-31",
	"2026-11-24T24:00:00Z",
	"2026-11-24T00:60Z",
	"2026-11-24T00:00:61Z",
	"2026-11-24T",
	"2026-11-24T00",
	"2026-11-24T00:37:30.Z",
	"2026-11-24T00:37:30 Z",
	"2026-11-24T00:37:30ZZ",
	"2026-11-24T00:37:30+25:00",
	"2026-11-24T00:37:30+1",
	"26-11-24",
	"2026-1-2",
	"2026/11/24",
	"@",
	"@x",
	"@-5",
	"@5.",
	"@5x",
	"@ 5",
	"nowhere",
};

static const char *const far[] = {
	"1969-12-31T23:59:59Z", "@18446744074", "@99999999999999999999",
	"9999-12-31Z",		"999999d",	"1970-01-01T00:00:00+00:01",
};

static void test_what_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t ns = 1;

		if (moment_parse(good[i].text, NOW_NS, &ns) != 0 || ns != good[i].ns)
			fail_msg("%s: %llu", good[i].text, (unsigned long long)ns);
	}
}

static void check_refused(const char *const *texts, size_t count, int error)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t ns = 42;
		int r = moment_parse(texts[i], NOW_NS, &ns);

		if (r != error || ns != 42)
			fail_msg("%s: %d", texts[i], r);
	}
}

static void test_what_is_no_moment(void **state)
{
	(void)state;
	check_refused(bad, ARRAY_SIZE(bad), -EINVAL);
}

static void test_what_is_too_far_away(void **state)
{
	(void)state;
	check_refused(far, ARRAY_SIZE(far), -ERANGE);
}

static void test_there_and_back(void **state)
{
	static const uint64_t moments[] = {
		0, 1, NOW_NS, UINT64_C(951782399999999999), UINT64_C(4102444800000000000),
	};
	char text[MOMENT_TEXT_SIZE];
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
		assert_int_equal(moment_parse(moment_format(moments[i], text), NOW_NS, &ns), 0);
		assert_int_equal(ns, moments[i]);
	}
	assert_string_equal(moment_format(NOW_NS, text), "2026-11-24T00:37:30.000000005Z");
	assert_string_equal(moment_format_local(NOW_NS, text), "2026-11-24 02:37:30");
	moment_format(UINT64_MAX, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_meant),
		cmocka_unit_test(test_what_is_no_moment),
		cmocka_unit_test(test_what_is_too_far_away),
		cmocka_unit_test(test_there_and_back),
	};

	setenv("TZ", "EAST-2", 1);
	tzset();
	return cmocka_run_group_tests_name("moment", tests, NULL, NULL);
}
