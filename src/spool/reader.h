/* Reads the records of one segment in order, sealed or still being written, and checks each. */
#ifndef WEIR_SPOOL_READER_H
#define WEIR_SPOOL_READER_H

#include "base/macro.h"
#include "spool/format.h"

#include <sys/types.h>

struct reader;

/* Errors: −EBADMSG (the header of the index is damaged), −ENOMSG (not an index of ours), −EPROTO
 * (of a version that this code does not know), −ENOMEM, those of open(2) and read(2); −ENOENT also
 * when only the data file is missing. A symbolic link in place of either file is −ELOOP. */
int reader_open(int dir_fd, uint64_t first_seq, bool sealed, struct reader **ret_reader);
void reader_free(struct reader *reader);

struct record {
	uint64_t seq;
	struct format_entry entry;
	const uint8_t *payload; /* until the next call; NULL when it is larger than READER_WINDOW */
};

#define READER_WINDOW ((size_t)256 << 10)

/* 1: a record that is whole. 0: there is no further one. −EBADMSG: this record is damaged; go on
 * with the next one or stop. Else what read(2) says. */
int reader_next(struct reader *reader, struct record *ret_record);

/* Reads from the payload of the record that reader_next() returned last. A count, which is 0 behind
 * its end, or −errno. */
ssize_t reader_payload(struct reader *reader, uint64_t offset, void *data, size_t size);

/* Of what was returned so far: where in the data file the last of it ends. */
uint64_t reader_data_end(const struct reader *reader);

DEFINE_CLEANUP(struct reader *, reader_free);

#endif
