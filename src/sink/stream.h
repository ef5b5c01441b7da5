/* Copies data files to a descriptor, standard output as a rule, as they grow and as it takes them.
 */
#ifndef WEIR_SINK_STREAM_H
#define WEIR_SINK_STREAM_H

#include "base/loop.h"

struct stream;

/* Everything up to the end that was told last is out (error 0), or nothing more can be (−errno, as
 * −EPIPE). Called from the event loop alone, never from a function below. */
typedef int stream_idle(void *data, int error);

/* `fd` stays the caller's, and its flags are left as they are. Errors: −ENOMEM. */
int stream_new(struct loop *loop, int fd, stream_idle *idle, void *data,
	       struct stream **ret_stream);
void stream_free(struct stream *stream);

/* Begins with another file, which is the stream's from now on. The one before must be done. */
void stream_begin(struct stream *stream, int data_fd);

/* Is done with the file, which must be out: deleted, it would hold its space until the next one. */
void stream_end(struct stream *stream);

/* The file is good up to `end`. Errors: those of epoll_ctl(2). */
int stream_extend(struct stream *stream, uint64_t end);

bool stream_is_done(const struct stream *stream); /* out up to the end that was told last */

DEFINE_CLEANUP(struct stream *, stream_free);

#endif
