/* What a client says, checked frame by frame against RFC 6455. */
#ifndef WEIR_FUZZ_SAID_H
#define WEIR_FUZZ_SAID_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>

struct said {
	bool compressed; /* so that messages may be */
	size_t frames;
	uint32_t digest;
	bool closed;
	uint16_t code; /* of the Close */
};

/* Whole frames. They are unmasked. Whatever is wrong with one is a crash. */
void said_take(struct said *said, uint8_t *data, size_t size);

#endif
