/* Moments as people write them, both ways; in nanoseconds since 1970-01-01 00:00 UTC. */
#ifndef WEIR_BASE_MOMENT_H
#define WEIR_BASE_MOMENT_H

#include <stdint.h>

/* "2026-11-24T00:37:30.855Z", with "+01:00" in place of "Z", or with neither: local time; "T" may
 * be a space, and seconds or the whole time of day may be missing. "@1795480650.5": seconds since
 * 1970. "10m", "1.5h", "2d": so long before `now_ns`; "now". −EINVAL: no moment; −ERANGE: before
 * 1970, or too far away. */
int moment_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns);

#define MOMENT_TEXT_SIZE 80

/* "2026-11-24T00:37:30.855290811Z", always with nine decimals. Returns `text`. */
const char *moment_format(uint64_t ns, char text[MOMENT_TEXT_SIZE]);

/* "2026-11-24 00:37:30", in local time, for people. Returns `text`. */
const char *moment_format_local(uint64_t ns, char text[MOMENT_TEXT_SIZE]);

#endif
