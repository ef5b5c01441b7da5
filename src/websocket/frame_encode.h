/* Frames as they are sent, RFC 6455 section 5.2. */
#ifndef WEIR_WEBSOCKET_FRAME_ENCODE_H
#define WEIR_WEBSOCKET_FRAME_ENCODE_H

#include "websocket/frame.h"

/* Writes a frame header (final, unmasked when `mask` is NULL) and returns its size. */
size_t frame_write_header(uint8_t to[FRAME_HEADER_MAX], enum frame_opcode opcode, uint64_t size,
			  const uint8_t mask[4]);

/* Applies the mask in place, section 5.3. */
void frame_mask(uint8_t *data, size_t size, const uint8_t mask[4]);

#endif
