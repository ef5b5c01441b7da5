/* What a source sends: messages that are framed in advance, over and over. */
#ifndef WEIR_BENCH_STREAM_H
#define WEIR_BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_MAX_HEADER 10
#define STREAM_CLOSE_SIZE 4 /* of the Close frame that follows it on the wire */

enum stream_kind {
	STREAM_TEXT,   /* printable ASCII */
	STREAM_BINARY, /* any byte */
	STREAM_PACKED, /* JSON text, compressed with context takeover */
};

struct stream {
	enum stream_kind kind;
	uint8_t *ring; /* whole frames, or the text of the one message that is larger */
	size_t ring_used;
	uint64_t ring_messages;
	uint8_t header[STREAM_MAX_HEADER]; /* of a message that is larger than the ring */
	size_t header_size;
	uint64_t message_size;
	uint64_t messages;
	uint64_t wire_size;
	bool larger_than_ring;
};

/* At least `bytes` of payload, in messages of `size` bytes. Packed ones come in whole rings: what
 * is sent first again must not refer to what was sent before it. */
int stream_init(struct stream *stream, enum stream_kind kind, uint64_t size, uint64_t bytes);

/* Makes the header of an unmasked frame that is a whole message; returns its size. */
size_t stream_frame_header(uint8_t header[static STREAM_MAX_HEADER], enum stream_kind kind,
			   uint64_t size);

#endif
