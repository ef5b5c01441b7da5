/* getrusage(2) knows a peak too, but it is inherited from whoever started us. */
#include "monitor/memory.h"

#include "base/macro.h"

#include <string.h>

static uint64_t field(const char *line, const char *name)
{
	size_t length = strlen(name);

	return strncmp(line, name, length) == 0 ? strtoull(line + length, NULL, 10) * 1024 : 0;
}

struct memory memory_read(void)
{
	CLEANUP_FILE FILE *file = fopen("/proc/self/status", "re");
	struct memory memory = {0};
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		memory.rss_bytes += field(line, "VmRSS:");
		memory.peak_rss_bytes += field(line, "VmHWM:");
	}
	return memory;
}
