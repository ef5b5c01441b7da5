/* Redundant connections to one feed: lets every message through once, whichever brings it first.
 *
 * Two messages are the same when their kinds and payloads are, or when they have the same key. They
 * are remembered by a hash of 128 bits, UMAC (RFC 4418) under a random key that never leaves the
 * process. For any two different messages, also two that a server made up for the purpose, the
 * probability that they are taken for the same is at most 2^-120; that of any accident in a window
 * of 2^20 messages is at most 2^-60 for as long as 2^40 messages pass.
 *
 * Payloads may repeat: a heartbeat, or two equal trades. A message that one connection delivers for
 * the n-th time is the n-th of its kind, and is let through if n - 1 were so far. So of two on each
 * of two connections two come out, in whichever order they arrive, and one connection alone has
 * no duplicates. A key is unique: seen once, it is not let through again.
 *
 * What a connection misses while it is away would make it lag behind for ever, and its messages be
 * taken for the others' old ones. So duplicates_joined() lets it catch up: of what was let through
 * before, no copy is expected from it any more; but one copy still is, as it may be under way, of
 * each message that was let through in the last DUPLICATES_OVERLAP_NS and that it did not deliver
 * itself. What does not repeat is thus neither lost nor let through twice. Where a payload repeats,
 * a reconnect can cost one of the two: when that copy does not come, one later repetition can be
 * dropped in its place, if the other connections miss it; and when several copies come, those
 * behind the first are let through again.
 *
 * A message that one connection delivers more than DUPLICATES_WINDOW later than another is new. */
#ifndef WEIR_PIPELINE_DUPLICATES_H
#define WEIR_PIPELINE_DUPLICATES_H

#include <nettle/umac.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct duplicates;

#define DUPLICATES_MEMBERS_MAX 8
#define DUPLICATES_WINDOW ((size_t)1 << 20)
#define DUPLICATES_WINDOW_MAX ((size_t)1 << 28)
#define DUPLICATES_OVERLAP_NS UINT64_C(10000000000)

struct duplicates_options {
	size_t window; /* how many different messages are remembered; 0: DUPLICATES_WINDOW */
	bool unique;   /* it is keys that are given, and no two messages have the same */
};

/* The window takes 52 bytes for each message that it can remember (up to 60 if their number is no
 * power of two), and memory that it does not use yet is not taken from the system. When it is full,
 * the message that was let through longest ago is forgotten. Errors: −ENOMEM, −ERANGE (more than
 * DUPLICATES_WINDOW_MAX), those of getrandom(2). */
int duplicates_new(const struct duplicates_options *options, struct duplicates **ret_duplicates);
void duplicates_free(struct duplicates *duplicates);

struct duplicates_origin {
	unsigned member; /* which of the connections, below DUPLICATES_MEMBERS_MAX */
	uint8_t kind;	 /* enum message_kind */
	uint64_t now_ns; /* by the monotonic clock */
};

/* Says that a connection was opened, in the place of an earlier one or as a new one. */
void duplicates_joined(struct duplicates *duplicates, unsigned member, uint64_t now_ns);

/* Notes a message, or its key. Returns whether it is a duplicate, to be dropped. */
bool duplicates_seen(struct duplicates *duplicates, const struct duplicates_origin *origin,
		     const void *data, size_t size);

/* A message that comes in pieces; opaque. There may be any number of them at the same time, and one
 * that does not come to its end needs nothing. */
struct duplicates_message {
	struct umac128_ctx hash;
};

void duplicates_begin(const struct duplicates *duplicates, struct duplicates_message *message);
void duplicates_update(struct duplicates_message *message, const void *data, size_t size);

/* As duplicates_seen() of the whole. */
bool duplicates_end(struct duplicates *duplicates, struct duplicates_message *message,
		    const struct duplicates_origin *origin);

#endif
