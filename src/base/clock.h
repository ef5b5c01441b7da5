/* The two clocks, in nanoseconds. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

uint64_t clock_monotonic_ns(void); /* for durations: never steps */
uint64_t clock_realtime_ns(void);  /* since 1970: for records, never for durations */

#endif
