/* A file that only grows, with disk space reserved ahead of it. */
#ifndef WEIR_SPOOL_APPENDER_H
#define WEIR_SPOOL_APPENDER_H

#include "spool/runs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct appender {
	int fd;		   /* the owner's */
	uint64_t size;	   /* bytes written */
	uint64_t reserved; /* bytes up to which space is reserved, or 0 */
	uint64_t extra;	   /* bytes that it takes beyond that, by the last look */
	bool no_reserving; /* the file system cannot, or is full */
};

/* Writes at the end. `spare` is how many bytes may be reserved beyond that. 0, or −errno; then the
 * file may hold a part, which appender_cut() takes back. */
int appender_write(struct appender *appender, const void *data, size_t size, uint64_t spare);

/* The same with stretches of memory, one behind the other. */
int appender_write_runs(struct appender *appender, struct runs *runs, uint64_t spare);

/* Cuts the file back to `size` bytes, and gives back what was reserved. Errors: ftruncate(2)'s. */
int appender_cut(struct appender *appender, uint64_t size);

/* Goes on behind `size` bytes, which others have written. Errors: lseek(2)'s. */
int appender_go_to(struct appender *appender, uint64_t size);

/* Gives back what was reserved and not used. */
int appender_trim(struct appender *appender);

/* File systems give space in blocks, of this size as a rule. */
#define APPENDER_BLOCK 4096

/* The disk space that the file holds, reserved or written. */
static inline uint64_t appender_held(const struct appender *appender)
{
	uint64_t end = appender->reserved > appender->size ? appender->reserved : appender->size;

	return (end + APPENDER_BLOCK - 1) / APPENDER_BLOCK * APPENDER_BLOCK + appender->extra;
}

/* Looks at how much that is: the file system has blocks of its own, or others, or reserves some by
 * itself. */
void appender_measure(struct appender *appender);

#endif
