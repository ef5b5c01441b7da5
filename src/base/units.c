/*
 * People write sizes and times with units, and read them so. Both directions, one table for each.
 *
 * A number may have a fraction ("1.5GB"). It is kept as digits and a power of ten, not as a double:
 * 9007199254740993 bytes are that many, not one less.
 */
#include "base/units.h"

#include "base/clock.h"
#include "base/macro.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"k", 1ull << 10},
	{"K", 1ull << 10},
	{"M", 1ull << 20},
	{"G", 1ull << 30},
	{"T", 1ull << 40},
	{"KiB", 1ull << 10},
	{"MiB", 1ull << 20},
	{"GiB", 1ull << 30},
	{"TiB", 1ull << 40},
	{"kB", 1000},
	{"KB", 1000},
	{"MB", 1000 * 1000},
	{"GB", 1000ull * 1000 * 1000},
	{"TB", 1000ull * 1000 * 1000 * 1000},
	{NULL, 0},
};

/* clang-format off */
static const struct unit time_units[] = {
	{"", NS_PER_S},
	{"ns", 1},
	{"us", NS_PER_US},
	{"ms", NS_PER_MS},
	{"s", NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"min", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"d", 86400 * NS_PER_S},
	{NULL, 0},
};
/* clang-format on */

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

/* Reads digits[.digits] as a number and the power of ten by which it is too large. */
static int parse_number(const char **text, uint64_t *ret_number, uint64_t *ret_divisor)
{
	uint64_t number = 0, divisor = 1;
	bool fraction = false, digits = false;
	const char *at = *text;

	for (; isdigit((unsigned char)*at) || (*at == '.' && !fraction); at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		digits = true;
		if (divisor == 1000 * 1000 * 1000)
			return -EINVAL; /* more than nine decimals */
		if (number > (UINT64_MAX - 9) / 10)
			return -ERANGE;
		number = number * 10 + (uint64_t)(*at - '0');
		divisor *= fraction ? 10 : 1;
	}
	if (!digits || at[-1] == '.')
		return -EINVAL;
	*text = at;
	*ret_number = number;
	*ret_divisor = divisor;
	return 0;
}

static int parse(const char *text, const struct unit *units, uint64_t *ret_value)
{
	uint64_t number, divisor;
	unsigned __int128 value;
	int r = parse_number(&text, &number, &divisor);

	if (r < 0)
		return r;
	while (*text == ' ')
		text++;
	while (units->name && strcmp(units->name, text) != 0)
		units++;
	if (!units->name || (divisor > 1 && units->factor == 1))
		return -EINVAL;
	value = (unsigned __int128)number * units->factor / divisor;
	if (value > INT64_MAX)
		return -ERANGE;
	*ret_value = (uint64_t)value;
	return 0;
}

int units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse(text, size_units, ret_bytes);
}

int units_parse_time(const char *text, uint64_t *ret_ns)
{
	return parse(text, time_units, ret_ns);
}

int units_parse_count(const char *text, uint64_t *ret_count)
{
	return parse(text, no_units, ret_count);
}

const char *units_format_size(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 " B", bytes);
		return text;
	}
	for (; value >= 999.95 && i + 1 < ARRAY_SIZE(names); i++)
		value /= 1024;
	snprintf(text, UNITS_TEXT_SIZE, "%.1f %s", value, names[i]);
	return text;
}

const char *units_format_time(uint64_t ns, char text[UNITS_TEXT_SIZE])
{
	uint64_t s = ns / NS_PER_S;

	if (ns < NS_PER_S)
		snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 " ms", ns / NS_PER_MS);
	else if (s < 60)
		snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 ".%" PRIu64 " s", s,
			 ns % NS_PER_S / (NS_PER_S / 10));
	else if (s < 3600)
		snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 2 * 86400)
		snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "h%02" PRIu64 "m", s / 3600,
			 s / 60 % 60);
	else
		snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "d%02" PRIu64 "h", s / 86400,
			 s / 3600 % 24);
	return text;
}

const char *units_format_count(uint64_t count, char text[UNITS_TEXT_SIZE])
{
	char digits[UNITS_TEXT_SIZE];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	char *to = text;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*to++ = ' ';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}
