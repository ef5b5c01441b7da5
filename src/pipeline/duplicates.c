/*
 * The window is an array of entries. A list through it goes from the message that was let through
 * last to the one that will be forgotten next, and a table of numbers of entries (open addressing,
 * at most half full) finds an entry by its hash. All of it has its final size from the beginning:
 * the system gives memory to what is touched, and nothing can fail later.
 *
 * An entry counts how often each connection delivered its message. How often it was let through is
 * the largest of these counts, since it is let through exactly when that grows.
 */
#include "pipeline/duplicates.h"

#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define COUNT_STEP (UINT16_MAX / 2) /* by which all counts go down when one is at its end */

struct hash {
	uint32_t words[4];
};

struct entry {
	struct hash hash;
	uint16_t delivered[DUPLICATES_MEMBERS_MAX];
	uint32_t newer, older; /* a ring, in which entry 0 is both ends */
	uint32_t passed_ms;    /* when it was let through last; after 49 days it begins anew */
};

struct duplicates {
	bool unique;
	size_t window, count;
	size_t mask;		 /* number of slots - 1 */
	uint32_t *slots;	 /* numbers of entries; 0: none */
	struct entry *entries;	 /* from 1 to window */
	struct umac128_ctx hash; /* with nothing hashed yet */
};

DEFINE_CLEANUP(struct duplicates *, duplicates_free);

static int make_hash(struct umac128_ctx *hash)
{
	uint8_t key[UMAC_KEY_SIZE];
	ssize_t n = getrandom(key, sizeof(key), 0);

	if (n < 0)
		return -errno;
	umac128_set_key(hash, key);
	explicit_bzero(key, sizeof(key));
	return n == (ssize_t)sizeof(key) ? 0 : -EIO;
}

static int make_window(struct duplicates *duplicates)
{
	size_t slots = 2;

	while (slots < 2 * duplicates->window)
		slots *= 2;
	duplicates->mask = slots - 1;
	duplicates->slots = calloc(slots, sizeof(*duplicates->slots));
	duplicates->entries = calloc(duplicates->window + 1, sizeof(*duplicates->entries));
	return duplicates->slots && duplicates->entries ? 0 : -ENOMEM;
}

int duplicates_new(const struct duplicates_options *options, struct duplicates **ret_duplicates)
{
	CLEANUP(duplicates_free) struct duplicates *duplicates = NULL;
	int r;

	if (options->window > DUPLICATES_WINDOW_MAX)
		return -ERANGE;
	duplicates = calloc(1, sizeof(*duplicates));
	if (!duplicates)
		return -ENOMEM;
	duplicates->unique = options->unique;
	duplicates->window = options->window > 0 ? options->window : DUPLICATES_WINDOW;
	r = make_window(duplicates);
	if (r >= 0)
		r = make_hash(&duplicates->hash);
	if (r < 0)
		return r;
	*ret_duplicates = TAKE_PTR(duplicates);
	return 0;
}

void duplicates_free(struct duplicates *duplicates)
{
	if (!duplicates)
		return;
	free(duplicates->slots);
	free(duplicates->entries);
	explicit_bzero(&duplicates->hash, sizeof(duplicates->hash));
	free(duplicates);
}

/* The kind is the nonce: what UMAC adds to a hash is the same for all messages of one kind. */
static struct hash end_hash(struct umac128_ctx *state, uint8_t kind)
{
	struct hash hash;
	uint8_t bytes[sizeof(hash)];

	umac128_set_nonce(state, sizeof(kind), &kind);
	umac128_digest(state, sizeof(bytes), bytes);
	memcpy(&hash, bytes, sizeof(hash));
	return hash;
}

static size_t home_of(const struct duplicates *duplicates, const struct hash *hash)
{
	return hash->words[0] & duplicates->mask;
}

/* The slot that holds the entry with this hash, or the one where it would be put. */
static size_t find(const struct duplicates *duplicates, const struct hash *hash)
{
	size_t slot = home_of(duplicates, hash);

	for (; duplicates->slots[slot]; slot = (slot + 1) & duplicates->mask)
		if (memcmp(&duplicates->entries[duplicates->slots[slot]].hash, hash,
			   sizeof(*hash)) == 0)
			break;
	return slot;
}

/* Empties a slot. What stands behind it and would be found no more moves up. */
static void empty_slot(struct duplicates *duplicates, size_t slot)
{
	size_t next = slot;

	for (;;) {
		size_t home;

		duplicates->slots[slot] = 0;
		do {
			next = (next + 1) & duplicates->mask;
			if (!duplicates->slots[next])
				return;
			home = home_of(duplicates,
				       &duplicates->entries[duplicates->slots[next]].hash);
		} while (((next - home) & duplicates->mask) < ((next - slot) & duplicates->mask));
		duplicates->slots[slot] = duplicates->slots[next];
		slot = next;
	}
}

static void take_out(struct duplicates *duplicates, uint32_t number)
{
	const struct entry *entry = &duplicates->entries[number];

	duplicates->entries[entry->newer].older = entry->older;
	duplicates->entries[entry->older].newer = entry->newer;
}

static void put_newest(struct duplicates *duplicates, uint32_t number)
{
	struct entry *ends = &duplicates->entries[0], *entry = &duplicates->entries[number];

	entry->newer = 0;
	entry->older = ends->older;
	duplicates->entries[entry->older].newer = number;
	ends->older = number;
}

/* An entry that is not in use: one that never was, or the oldest, which is forgotten. */
static uint32_t free_entry(struct duplicates *duplicates)
{
	uint32_t oldest;

	if (duplicates->count < duplicates->window)
		return (uint32_t)++duplicates->count;
	oldest = duplicates->entries[0].newer;
	empty_slot(duplicates, find(duplicates, &duplicates->entries[oldest].hash));
	take_out(duplicates, oldest);
	return oldest;
}

static unsigned times_passed(const struct entry *entry)
{
	unsigned most = 0;

	for (size_t i = 0; i < DUPLICATES_MEMBERS_MAX; i++)
		most = MAX(most, (unsigned)entry->delivered[i]);
	return most;
}

/* Makes room above the counts. Whoever is behind by more than is left of them catches up. */
static void lower_counts(struct entry *entry)
{
	for (size_t i = 0; i < DUPLICATES_MEMBERS_MAX; i++)
		entry->delivered[i] = (uint16_t)(MAX(entry->delivered[i], COUNT_STEP) - COUNT_STEP);
}

static uint32_t ms_of(uint64_t ns)
{
	return (uint32_t)(ns / NS_PER_MS);
}

static void add(struct duplicates *duplicates, const struct hash *hash,
		const struct duplicates_origin *origin)
{
	uint32_t number = free_entry(duplicates);
	struct entry *entry = &duplicates->entries[number];

	*entry = (struct entry){.hash = *hash, .passed_ms = ms_of(origin->now_ns)};
	entry->delivered[origin->member] = 1;
	duplicates->slots[find(duplicates, hash)] = number;
	put_newest(duplicates, number);
}

/* Counts one more delivery of a message that is known. Returns whether it is let through. */
static bool repeat(struct duplicates *duplicates, uint32_t number,
		   const struct duplicates_origin *origin)
{
	struct entry *entry = &duplicates->entries[number];
	unsigned passed;

	if (entry->delivered[origin->member] == UINT16_MAX)
		lower_counts(entry);
	passed = times_passed(entry);
	if (++entry->delivered[origin->member] <= passed)
		return false;
	entry->passed_ms = ms_of(origin->now_ns);
	take_out(duplicates, number);
	put_newest(duplicates, number);
	return true;
}

static bool is_duplicate(struct duplicates *duplicates, const struct hash *hash,
			 const struct duplicates_origin *origin)
{
	uint32_t number = duplicates->slots[find(duplicates, hash)];

	if (number)
		return duplicates->unique || !repeat(duplicates, number, origin);
	add(duplicates, hash, origin);
	return false;
}

void duplicates_joined(struct duplicates *duplicates, unsigned member, uint64_t now_ns)
{
	for (size_t i = 1; i <= duplicates->count; i++) {
		struct entry *entry = &duplicates->entries[i];
		uint32_t age_ms = ms_of(now_ns) - entry->passed_ms;
		unsigned under_way = age_ms <= DUPLICATES_OVERLAP_NS / NS_PER_MS;
		unsigned settled = times_passed(entry) - under_way;

		if (entry->delivered[member] < settled)
			entry->delivered[member] = (uint16_t)settled;
	}
}

bool duplicates_seen(struct duplicates *duplicates, const struct duplicates_origin *origin,
		     const void *data, size_t size)
{
	struct hash hash;

	umac128_update(&duplicates->hash, size, data);
	hash = end_hash(&duplicates->hash, origin->kind);
	return is_duplicate(duplicates, &hash, origin);
}

void duplicates_begin(const struct duplicates *duplicates, struct duplicates_message *message)
{
	message->hash = duplicates->hash;
}

void duplicates_update(struct duplicates_message *message, const void *data, size_t size)
{
	umac128_update(&message->hash, size, data);
}

bool duplicates_end(struct duplicates *duplicates, struct duplicates_message *message,
		    const struct duplicates_origin *origin)
{
	struct hash hash = end_hash(&message->hash, origin->kind);

	return is_duplicate(duplicates, &hash, origin);
}
