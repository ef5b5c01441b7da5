/* The two clocks, in nanoseconds. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

uint64_t clock_monotonic_ns(void); /* for durations: never steps */
uint64_t clock_realtime_ns(void);  /* since 1970: for records, never for durations */

/* `wait_ns` after a moment. A wait that is too long for that has no end, and not a wrong one. */
static inline uint64_t clock_after(uint64_t since_ns, uint64_t wait_ns)
{
	return wait_ns < UINT64_MAX - since_ns ? since_ns + wait_ns : UINT64_MAX;
}

#endif
