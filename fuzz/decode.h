/* The frame decoder, used as a client uses it. */
#ifndef WEIR_FUZZ_DECODE_H
#define WEIR_FUZZ_DECODE_H

#include "found.h"

#define DECODE_BEFORE_MAX 64

/* Decodes a stream of up to INPUT_MAX bytes, of which `step` more are shown each time, up to a
 * violation, a Close frame, or the end. With `before` free bytes in front of it, payloads are moved
 * together there. */
void decode_in_steps(struct found *found, const uint8_t *data, size_t size, size_t step,
		     size_t before);

#endif
