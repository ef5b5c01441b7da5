/* How much memory this process uses. */
#ifndef WEIR_MONITOR_MEMORY_H
#define WEIR_MONITOR_MEMORY_H

#include <stdint.h>

struct memory {
	uint64_t rss_bytes;	 /* resident now, */
	uint64_t peak_rss_bytes; /* and at most so far */
};

/* As /proc/self/status has it; zeros where that cannot be read. */
struct memory memory_read(void);

#endif
