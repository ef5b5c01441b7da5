/* A compressed segment, read as if it were not: both of its files are in one. */
#ifndef WEIR_SPOOL_PACKED_H
#define WEIR_SPOOL_PACKED_H

#include "base/macro.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct packed;

/* Errors: −EBADMSG (it is none, or not whole), −EPROTO (this weir was built without zstd, and knows
 * no such files), −ENOMEM, those of read(2). The descriptor is the packed one's from here on, also
 * on failure. */
int packed_open(int fd, struct packed **ret_packed);

/* The same for whoever wants to have what there is: a table that is damaged is made anew by looking
 * at the file, and the index may be cut. */
int packed_open_lenient(int fd, struct packed **ret_packed);

/* Whether the table was whole; and whether all that was read so far was. */
bool packed_has_table(const struct packed *packed);
bool packed_was_whole(const struct packed *packed);
void packed_free(struct packed *packed);

uint64_t packed_data_size(const struct packed *packed); /* decompressed */
uint64_t packed_index_size(const struct packed *packed);

/* Up to `size` bytes of the data or of the index at `offset`: fewer at the end, or where a damaged
 * part begins. A count; −EBADMSG: what stands at `offset` is damaged, and so is what follows up to
 * packed_part_end(); −ENOMEM, or what pread(2) says. */
ssize_t packed_read(struct packed *packed, uint64_t offset, void *data, size_t size);
ssize_t packed_read_index(const struct packed *packed, uint64_t offset, void *data, size_t size);

/* Where the part that holds `offset` ends: what is behind that may be whole again. */
uint64_t packed_part_end(const struct packed *packed, uint64_t offset);

DEFINE_CLEANUP(struct packed *, packed_free);

#endif
