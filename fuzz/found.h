/* What a decoder found in a stream of frames, in a form in which two can be compared. */
#ifndef WEIR_FUZZ_FOUND_H
#define WEIR_FUZZ_FOUND_H

#include "base/macro.h"
#include "websocket/frame.h"

#define INPUT_MAX KIB(64)

/* What stands between bytes. */
enum {
	FOUND_BEGIN = 0x10, /* and the kind: a message begins */
	FOUND_END = 0x20,
	FOUND_CONTROL = 0x30, /* and the opcode: what follows is its payload */
};

/* Ends of messages, and pings and pongs, with the number of bytes before each; and the bytes of all
 * payloads. The Close frame that ends the stream stands apart. Every mark costs a byte of the input
 * at least. */
struct found {
	uint32_t marks[INPUT_MAX];
	uint8_t bytes[INPUT_MAX];
	size_t count, size;
	size_t whole_count, whole_size; /* up to the last whole message or control frame */
	enum frame_violation violation;
	bool closed;
	uint16_t code;
	uint8_t reason[FRAME_CONTROL_MAX];
	size_t reason_size;
};

void found_reset(struct found *found);
void found_mark(struct found *found, unsigned mark);
void found_bytes(struct found *found, const uint8_t *data, size_t size);
void found_whole(struct found *found);
void found_close(struct found *found, uint16_t code, const uint8_t *reason, size_t size);

/* Messages, pings and pongs: all, if both streams stand open at their end. Otherwise those that are
 * whole, because what is wrong with a message may be seen before or behind its first bytes. */
bool found_same_content(const struct found *a, const struct found *b);

/* The same Close frame, or none. */
bool found_same_close(const struct found *a, const struct found *b);

#endif
