/* Text as market data feeds send it: varied numbers between names that are always the same. */
#ifndef WEIR_BENCH_JSON_H
#define WEIR_BENCH_JSON_H

#include <stddef.h>
#include <stdint.h>

#define JSON_SIZE_MIN 160

/* Random numbers, the same ones in each run. */
uint64_t json_random(uint64_t *state);

/* Fills `text` with one JSON object of exactly `size` bytes, JSON_SIZE_MIN or more, without a
 * NUL. `state` is not 0. */
void json_fill(char *text, size_t size, uint64_t *state);

#endif
