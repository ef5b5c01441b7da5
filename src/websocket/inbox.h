/* Received bytes made into pieces of messages, compressed or not, and control frames:
 * frame_decode() and unpacking together, without any I/O. */
#ifndef WEIR_WEBSOCKET_INBOX_H
#define WEIR_WEBSOCKET_INBOX_H

#include "websocket/extension.h"
#include "websocket/frame.h"

struct unpacker;

struct inbox {
	struct frame_decoder decoder;
	struct unpacker *unpacker; /* where compression was agreed on, else NULL */
	bool unpacking;		   /* in the middle of a compressed message */
	bool dropping;		   /* nothing is unpacked any more */
	bool full;		   /* there was no room for all that it holds up to here */
};

struct inbox_options {
	const struct extension_choice *compression;
	uint64_t message_max;	/* bytes, uncompressed; 0: no limit */
	uint64_t fragments_max; /* of one message; 0: no limit */
	uint64_t ratio_max;	/* of compression; 0: no limit */
};

/* {0} is one for inbox_done(). Errors: −ENOMEM. */
int inbox_init(struct inbox *inbox, const struct inbox_options *options);
void inbox_done(struct inbox *inbox);

enum inbox_stop {
	INBOX_NEED_MORE, /* what is left is the beginning of a header or a control frame */
	INBOX_BATCH_FULL,
	INBOX_MEMORY_FULL, /* what was unpacked is to be taken: see inbox_reset() */
	INBOX_CONTROL,	   /* control was set; call again for what follows it */
	INBOX_VIOLATION,   /* the stream ends here; the batch holds what came before */
};

struct inbox_result {
	enum inbox_stop stop;
	size_t used; /* bytes that need not be shown again */
	struct frame_control control;
	enum frame_violation violation;
};

/* The pieces that were handed out are not needed any more. Received payloads are moved down to
 * `free` (see frame_decoder_compact()), and up to `budget` bytes of others may be unpacked before
 * the next call of this or of inbox_refill(), which sets the second alone. */
void inbox_reset(struct inbox *inbox, uint8_t *free, size_t budget);
void inbox_refill(struct inbox *inbox, size_t budget);

/* Nobody wants messages any more, only control frames: compressed ones are skipped from now on. */
void inbox_drop(struct inbox *inbox);

/* Decodes from `data`, as frame_decode() does, and adds the pieces found to `batch`. 0, or −ENOMEM.
 */
int inbox_decode(struct inbox *inbox, uint8_t *data, size_t size, struct message_batch *batch,
		 struct inbox_result *ret_result);

/* Whether a message has begun and not ended, and how many bytes of it there were. */
bool inbox_in_message(const struct inbox *inbox);
uint64_t inbox_message_size(const struct inbox *inbox);

#endif
