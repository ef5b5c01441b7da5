/* The word that producers and consumers of messages share: a piece of a message in memory. */
#ifndef WEIR_BASE_MESSAGE_H
#define WEIR_BASE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum message_kind {
	MESSAGE_TEXT = 1, /* valid UTF-8 */
	MESSAGE_BINARY = 2,
};

/* A whole message, or a part of one that is still arriving. */
struct message_piece {
	uint8_t *data;
	size_t size;
	uint32_t crc; /* crc32c() of the message, from its beginning to the end of this piece */
	uint8_t kind; /* enum message_kind */
	bool first;   /* a message begins with this piece */
	bool last;    /* a message ends with it */
	bool spare;   /* the byte behind it is free: who has the piece may write to it */
};

#define MESSAGE_BATCH_MAX 64

/* What was found in one stretch of a receive buffer, in order. */
struct message_batch {
	size_t count;
	uint64_t time_ns;    /* when it was received, since 1970 */
	uint16_t source;     /* which source of the capture it came from */
	uint16_t connection; /* which connection of this run it came by, modulo 65536 */
	uint16_t lane;	     /* messages in pieces are mixed with those of other lanes only */
	bool kernel_time;    /* time_ns is the kernel's, not taken after the read */
	struct message_piece pieces[MESSAGE_BATCH_MAX];
};

#endif
