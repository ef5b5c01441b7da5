/* Scans by the way that is chosen for this machine, and in plain C.
 * --wrap: none. */
#include "test_scan_support.h"

#include "base/scan_portable.h"

static bool always(void)
{
	return true;
}

static struct scan chosen_bytes(uint32_t crc, const uint8_t *data, size_t size)
{
	return scan_bytes(crc, data, size);
}

static struct scan chosen_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	return scan_copy(crc, to, from, size);
}

static struct scan plain_bytes(uint32_t crc, const uint8_t *data, size_t size)
{
	return scan_portable(crc, data, size);
}

static struct scan plain_copy(uint32_t crc, uint8_t *to, const uint8_t *from, size_t size)
{
	memcpy(to, from, size);
	return scan_portable(crc, to, size);
}

int main(void)
{
	static const struct scan_variant variants[] = {
		{"scan", always, 0, chosen_bytes, chosen_copy},
		{"scan_portable", always, 0, plain_bytes, plain_copy},
	};
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(variants); i++)
		failed += run_scan_tests(&variants[i]);
	return failed;
}
