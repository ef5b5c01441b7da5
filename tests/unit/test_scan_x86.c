/* Each way of scanning of this kind of machine, also the one that another is preferred to.
 * --wrap: none. */
#include "test_scan_support.h"

#include "base/scan_narrow.h"
#include "base/scan_wide.h"

int main(void)
{
	static const struct scan_variant variants[] = {
		{"scan_narrow", scan_narrow_works, 0, scan_narrow_bytes, scan_narrow_copy},
		{"scan_wide", scan_wide_works, SCAN_WIDE_MIN, scan_wide_bytes, scan_wide_copy},
	};
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(variants); i++)
		failed += run_scan_tests(&variants[i]);
	return failed;
}
