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

/* The same for whoever wants to have what there is: a header that is damaged or missing is no
 * error.
 */
int reader_open_lenient(int dir_fd, uint64_t first_seq, bool sealed, struct reader **ret_reader);

/* The same of files that are open already, whatever their names are. */
struct reader_files {
	int index_fd, data_fd; /* the reader's from here on, also on failure */
	uint64_t first_seq;
	bool sealed;
	bool lenient; /* a header that is damaged or missing is no error */
	bool packed;  /* both are the file of a compressed segment */
};

int reader_open_files(const struct reader_files *files, struct reader **ret_reader);
void reader_free(struct reader *reader);

struct record {
	uint64_t seq;
	struct format_entry entry;
	const uint8_t *payload; /* until the next call; NULL when it is larger than READER_WINDOW */
	/* The record is whole, but the data around it is not as it should be: the separator is
	 * another byte or missing, or its payload does not stand right behind the one before. */
	bool loose;
};

#define READER_WINDOW ((size_t)512 << 10)

/* 1: a record that is whole. 0: there is no further one. −EBADMSG: this record is damaged; go on
 * with the next one or stop. Else what read(2) says. */
int reader_next(struct reader *reader, struct record *ret_record);

/* The same for up to `max` records at a time, all of whose payloads stay until the next call.
 * Payloads that stand in a row in the data file do so in memory, each with its separator. A count,
 * 0 or an error as above: an error is told when all before it was returned. A payload that is
 * larger than READER_WINDOW comes alone. */
ssize_t reader_next_batch(struct reader *reader, struct record *records, size_t max);

/* Reads from the payload of the record that was returned last. A count, which is 0 behind
 * its end, or −errno. */
ssize_t reader_payload(struct reader *reader, uint64_t offset, void *data, size_t size);

/* A descriptor from which the data can be read too, where format_entry.offset says; −1 if there is
 * none. It stays the reader's. */
int reader_data_fd(const struct reader *reader);

/* The same for the index. */
int reader_index_fd(const struct reader *reader);

/* Of what was returned so far: where in the data file the last of it ends. */
uint64_t reader_data_end(const struct reader *reader);

/* The number of the record that comes next. */
uint64_t reader_seq(const struct reader *reader);

/* The entries that there are now, whole or not. */
int reader_count(struct reader *reader, uint64_t *ret_count);

/* Goes to record `seq`, which may be one that is still to come; to the first one if `seq` is less.
 */
int reader_seek(struct reader *reader, uint64_t seq);

/* The time of the record that is the `number`th of the segment, counted from 0. Changes nothing but
 * what the payloads of the last batch point to. −EBADMSG: it is damaged; −ENODATA: it is not there.
 */
int reader_time(struct reader *reader, uint64_t number, uint64_t *ret_time_ns);

/* How many entries were passed, damaged ones too. When reader_next() tells of damage and this stays
 * as it was, the damage is at the end: the sizes of the files do not fit. */
uint64_t reader_passed(const struct reader *reader);

/* The sizes of both files now. Errors: those of fstat(2). */
int reader_sizes(const struct reader *reader, uint64_t *ret_index_size, uint64_t *ret_data_size);

/* When the segment was begun; 0 when the header is damaged, which only a lenient reader lets by. */
uint64_t reader_created_ns(const struct reader *reader);

/* How many records the segment had when it was sealed; 0: not known. */
uint64_t reader_records(const struct reader *reader);
bool reader_has_header(const struct reader *reader);

/* Whether it is no compressed segment, or the table of that is whole; else a lenient reader has
 * made it anew. */
bool reader_has_table(const struct reader *reader);

DEFINE_CLEANUP(struct reader *, reader_free);

#endif
