/* What a struct tempfile is made of: for the files that act on one. */
#ifndef WEIR_TEMPFILE_HANDLE_H
#define WEIR_TEMPFILE_HANDLE_H

#include "tempfile/delete.h"
#include "tempfile/live.h"
#include "tempfile/place.h"

#include <tempfile.h>

#define TEMP_STREAM_MODE_SIZE 8

struct tempfile {
	int fd;	      /* -1 when it was finished */
	int lock_fd;  /* holds the lock of a finished file that is still to be deleted, or -1 */
	FILE *stream; /* NULL until asked for; then closing it closes `fd` */
	struct temp_place place;
	struct temp_identity identity;
	struct live *live; /* NULL: it has no name, or is to be kept, or is deleted */
	struct temp_owner owner;
	bool deleted;
	enum tempfile_deletion deletion;
	char stream_mode[TEMP_STREAM_MODE_SIZE];
	enum tempfile_buffering buffering;
	size_t buffer_size;
	char *buffer;		    /* of the stream, if it is not the C library's */
	struct tempfile_pool *pool; /* or NULL */
	uint64_t charged;	    /* to the pool: the file up to here */
};

/* Writes what the stream holds, if it has one. Errors: of a write now or earlier. */
int temp_flush(struct tempfile *file);

#endif
