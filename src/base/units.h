/* Sizes and times as people write them, both ways. */
#ifndef WEIR_BASE_UNITS_H
#define WEIR_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "65536", "64MiB", "1.5GB", "100k": powers of 1000 for kB MB GB TB, of 1024 for KiB MiB GiB TiB
 * and for the bare letters k K M G T. −EINVAL: not a size; −ERANGE: more than 2^63 − 1. */
int units_parse_size(const char *text, uint64_t *ret_bytes);

/* "500ms", "1.5s", "10m", "2h", "1d", "20us", "7ns"; a bare number is seconds. Errors as above. */
int units_parse_time(const char *text, uint64_t *ret_ns);

/* A whole number in decimal digits. Errors as above. */
int units_parse_count(const char *text, uint64_t *ret_count);

#define UNITS_TEXT_SIZE 32

/* "1.5 GiB", "12 B". Returns `text`. */
const char *units_format_size(uint64_t bytes, char text[UNITS_TEXT_SIZE]);

/* "1.2 s", "3m12s", "2h05m", "3d07h", "850 ms". Returns `text`. */
const char *units_format_time(uint64_t ns, char text[UNITS_TEXT_SIZE]);

/* "12 345 678", in groups of three. Returns `text`. */
const char *units_format_count(uint64_t count, char text[UNITS_TEXT_SIZE]);

#endif
