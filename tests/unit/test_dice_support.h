/* What the tests at random share: numbers from a seed, which is printed when something fails and
 * can be given to play the same once more. WEIR_TORTURE_SEED is the seed of the first case, each
 * further case has the next one. */
#ifndef WEIR_TEST_DICE_SUPPORT_H
#define WEIR_TEST_DICE_SUPPORT_H

#include "test_support.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

static uint64_t dice_seed; /* of this case */
static uint64_t dice_state;

static inline void dice_begin(uint64_t seed)
{
	dice_seed = seed;
	dice_state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t dice(uint64_t n)
{
	return random_next(&dice_state) % n;
}

static inline bool dice_once_in(uint64_t n)
{
	return dice(n) == 0;
}

static inline uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static inline uint64_t first_seed(void)
{
	return number_of("WEIR_TORTURE_SEED", (uint64_t)time(NULL));
}

/* Where syncing costs nothing, if there is such a place. */
static inline const char *quick_place(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static inline int tell_seed(void **state)
{
	(void)state;
	print_message("the last case was WEIR_TORTURE_SEED=%" PRIu64 "\n", dice_seed);
	return 0;
}

#endif
