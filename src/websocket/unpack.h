/* Compressed messages (RFC 7692) made into pieces of what they hold. */
#ifndef WEIR_WEBSOCKET_UNPACK_H
#define WEIR_WEBSOCKET_UNPACK_H

#include "base/macro.h"
#include "base/message.h"

#include <stdbool.h>

struct unpacker;

struct unpack_options {
	bool no_context_takeover; /* each message is compressed on its own */
	uint64_t message_max;	  /* bytes that a message may hold; 0: no limit */
	uint64_t ratio_max;	  /* how many times more than it was sent in; 0: no limit */
};

/* Errors: −ENOMEM. */
int unpacker_new(const struct unpack_options *options, struct unpacker **ret_unpacker);
void unpacker_free(struct unpacker *unpacker);

/* The pieces that were handed out are not needed any more: up to `budget` bytes of new ones may be
 * made before the next call of this. */
void unpack_reset(struct unpacker *unpacker, size_t budget);

/* A message begins. */
void unpack_begin(struct unpacker *unpacker, enum message_kind kind);

enum {
	UNPACK_FULL = 1, /* unpack_reset() is needed, and then a call with what was not used */
};

/* Unpacks what is there of a message, and adds a piece of it to the batch, in which there must be
 * room. `last`: the message ends with these bytes. 0: all of them was used, and if they were the
 * last, all that the message holds is in the pieces. UNPACK_FULL. Errors: −EBADMSG (it is not
 * compressed as RFC 7692 has it), −EILSEQ (text that is not UTF-8), −EFBIG (message_max), −ERANGE
 * (ratio_max), −ENOMEM. */
int unpack_run(struct unpacker *unpacker, const uint8_t *from, size_t size, bool last,
	       struct message_batch *batch, size_t *ret_used);

/* Bytes of the message that were handed out so far. */
uint64_t unpack_message_size(const struct unpacker *unpacker);

DEFINE_CLEANUP(struct unpacker *, unpacker_free);

#endif
