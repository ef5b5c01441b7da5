/*
 * RFC 3339, as far as people type it. strptime(3) would take more than is meant, and fractions not
 * at all, so that digits are read by hand; the calendar is left to timegm(3) and mktime(3), which
 * change a day that does not exist into one that does. So what they made of it is compared with
 * what was asked for.
 */
#include "base/moment.h"

#include "base/clock.h"
#include "base/macro.h"
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define SECONDS_MAX ((int64_t)(UINT64_MAX / NS_PER_S) - 1)

/* Exactly `count` digits. */
static bool read_digits(const char **text, int count, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < count; i++, ++*text) {
		if (!isdigit((unsigned char)**text))
			return false;
		value = value * 10 + (**text - '0');
	}
	*ret_value = value;
	return true;
}

/* One of the characters in `set`. */
static bool read_one(const char **text, const char *set)
{
	if (!**text || !strchr(set, **text))
		return false;
	++*text;
	return true;
}

/* ".123456789", or nothing: what is beyond a nanosecond is cut off. */
static bool read_fraction(const char **text, uint64_t *ret_ns)
{
	uint64_t unit = NS_PER_S / 10, ns = 0;

	*ret_ns = 0;
	if (!read_one(text, ".,"))
		return true;
	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); ++*text, unit /= 10)
		ns += (uint64_t)(**text - '0') * unit;
	*ret_ns = ns;
	return true;
}

static bool read_time_of_day(const char **text, struct tm *tm, uint64_t *ret_fraction_ns)
{
	if (!read_digits(text, 2, &tm->tm_hour) || !read_one(text, ":") ||
	    !read_digits(text, 2, &tm->tm_min))
		return false;
	if (!read_one(text, ":"))
		return true;
	return read_digits(text, 2, &tm->tm_sec) && read_fraction(text, ret_fraction_ns);
}

/* "Z", "+01:00", "-0130" or nothing. */
static bool read_zone(const char **text, bool *ret_given, int *ret_offset_s)
{
	bool west = **text == '-';
	int hours, minutes;

	*ret_given = **text;
	*ret_offset_s = 0;
	if (!**text || read_one(text, "Zz"))
		return true;
	if (!read_one(text, "+-") || !read_digits(text, 2, &hours))
		return false;
	read_one(text, ":");
	if (!read_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_offset_s = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

static bool is_same(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	       a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

static int parse_date(const char *text, uint64_t *ret_ns)
{
	struct tm tm = {.tm_isdst = -1}, made;
	uint64_t fraction_ns = 0;
	bool zone_given;
	int offset_s;
	int64_t s;

	if (!read_digits(&text, 4, &tm.tm_year) || !read_one(&text, "-") ||
	    !read_digits(&text, 2, &tm.tm_mon) || !read_one(&text, "-") ||
	    !read_digits(&text, 2, &tm.tm_mday))
		return -EINVAL;
	if (read_one(&text, "Tt ") && !read_time_of_day(&text, &tm, &fraction_ns))
		return -EINVAL;
	if (!read_zone(&text, &zone_given, &offset_s) || *text)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	made = tm;
	s = zone_given ? timegm(&made) : mktime(&made);
	if (!is_same(&tm, &made))
		return -EINVAL; /* there is no such day, or hour */
	s -= offset_s;
	if (s < 0 || s > SECONDS_MAX)
		return -ERANGE;
	*ret_ns = (uint64_t)s * NS_PER_S + fraction_ns;
	return 0;
}

static int parse_seconds(const char *text, uint64_t *ret_ns)
{
	uint64_t s = 0, fraction_ns;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		s = s * 10 + (uint64_t)(*text - '0');
		if (s > (uint64_t)SECONDS_MAX)
			return -ERANGE;
	}
	if (!read_fraction(&text, &fraction_ns) || *text)
		return -EINVAL;
	*ret_ns = s * NS_PER_S + fraction_ns;
	return 0;
}

/* A bare number could be anything: it wants a unit. */
static int parse_age(const char *text, uint64_t now_ns, uint64_t *ret_ns)
{
	size_t length = strlen(text);
	uint64_t age_ns;
	int r;

	if (length == 0 || isdigit((unsigned char)text[length - 1]))
		return -EINVAL;
	r = units_parse_time(text, &age_ns);
	if (r < 0)
		return r;
	if (age_ns > now_ns)
		return -ERANGE;
	*ret_ns = now_ns - age_ns;
	return 0;
}

int moment_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns)
{
	if (strcmp(text, "now") == 0) {
		*ret_ns = now_ns;
		return 0;
	}
	if (*text == '@')
		return parse_seconds(text + 1, ret_ns);
	if (strlen(text) > 4 && text[4] == '-')
		return parse_date(text, ret_ns);
	return parse_age(text, now_ns, ret_ns);
}

/* Exactly `count` digits, and what stands behind them. */
static char *write_digits(char *to, unsigned value, int count, char behind)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
	to[count] = behind;
	return to + count + 1;
}

/* Of every record, where they are printed as JSON: snprintf(3) would take longer than all else. */
const char *moment_format(uint64_t ns, char text[MOMENT_TEXT_SIZE])
{
	time_t s = (time_t)(ns / NS_PER_S);
	char *to = text;
	struct tm tm;

	gmtime_r(&s, &tm);
	to = write_digits(to, (unsigned)tm.tm_year + 1900, 4, '-');
	to = write_digits(to, (unsigned)tm.tm_mon + 1, 2, '-');
	to = write_digits(to, (unsigned)tm.tm_mday, 2, 'T');
	to = write_digits(to, (unsigned)tm.tm_hour, 2, ':');
	to = write_digits(to, (unsigned)tm.tm_min, 2, ':');
	to = write_digits(to, (unsigned)tm.tm_sec, 2, '.');
	to = write_digits(to, (unsigned)(ns % NS_PER_S), 9, 'Z');
	*to = '\0';
	return text;
}

const char *moment_format_local(uint64_t ns, char text[MOMENT_TEXT_SIZE])
{
	time_t s = (time_t)(ns / NS_PER_S);
	struct tm tm;

	localtime_r(&s, &tm);
	if (strftime(text, MOMENT_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		*text = '\0';
	return text;
}
