/* Whether bytes are ASCII, which nearly all of what feeds send is. */
#ifndef WEIR_BASE_ASCII_H
#define WEIR_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether none of the bytes has its highest bit set. */
bool ascii_only(const uint8_t *text, size_t size);

#endif
