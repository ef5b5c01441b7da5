/*
 * The reader at the other end may be slow, or stand still: nothing here may block, or the capture
 * would. To set O_NONBLOCK is out of the question, since the flag would be set for every process
 * that shares the descriptor. A pipe is fed by splice(2), which has a flag of its own for that (and
 * moves pages instead of copying bytes), a socket by send(2), which has one too. Files and
 * terminals are written to; those are waited for.
 */
#include "sink/stream.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CHUNK KIB(64)
#define CHUNKS_AT_ONCE 64 /* then others get their turn */

struct stream {
	struct loop *loop;
	struct loop_source source;
	struct loop_timer timer; /* in place of the source, for what cannot be waited for */
	stream_idle *idle;
	void *data;
	int out;
	int in;
	uint64_t position, end;
	bool waiting;
	ssize_t (*write_some)(struct stream *stream, size_t size);
	uint8_t chunk[CHUNK];
};

static ssize_t to_pipe(struct stream *stream, size_t size)
{
	off_t offset = (off_t)stream->position;
	ssize_t n = splice(stream->in, &offset, stream->out, NULL, size, SPLICE_F_NONBLOCK);

	return n < 0 ? -errno : n;
}

static ssize_t to_socket(struct stream *stream, size_t size)
{
	ssize_t n = io_pread_all(stream->in, stream->chunk, size, (off_t)stream->position);

	if (n > 0) {
		n = send(stream->out, stream->chunk, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		n = n < 0 ? -errno : n;
	}
	return n;
}

static ssize_t to_file(struct stream *stream, size_t size)
{
	ssize_t n = io_pread_all(stream->in, stream->chunk, size, (off_t)stream->position);

	if (n > 0) {
		n = write(stream->out, stream->chunk, (size_t)n);
		n = n < 0 ? -errno : n;
	}
	return n;
}

/* Writes until all is out or nothing more goes. 0: as far as possible. */
static int write_on(struct stream *stream)
{
	for (int i = 0; i < CHUNKS_AT_ONCE && !stream_is_done(stream); i++) {
		size_t size = (size_t)MIN(stream->end - stream->position, (uint64_t)CHUNK);
		ssize_t n = stream->write_some(stream, size);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		if (n == 0)
			return -EIO; /* the data file is shorter than it should be */
		stream->position += (uint64_t)n;
	}
	return 0;
}

static int wait_for_turn(struct stream *stream)
{
	int r = 0;

	if (stream->waiting)
		return 0;
	r = loop_add(stream->loop, &stream->source, stream->out, EPOLLOUT);
	if (r == -EPERM) { /* a regular file, which is always ready */
		loop_timer_set(stream->loop, &stream->timer, clock_monotonic_ns());
		r = 0;
	}
	stream->waiting = r >= 0;
	return r;
}

static void stop_waiting(struct stream *stream)
{
	loop_remove(stream->loop, &stream->source);
	loop_timer_clear(stream->loop, &stream->timer);
	stream->waiting = false;
}

static int on_ready(void *data)
{
	struct stream *stream = data;
	int r = write_on(stream);

	stop_waiting(stream);
	if (r >= 0 && !stream_is_done(stream))
		return wait_for_turn(stream);
	return stream->idle(stream->data, r);
}

int stream_new(struct loop *loop, int fd, stream_idle *idle, void *data, struct stream **ret_stream)
{
	struct stream *stream = malloc(sizeof(*stream));
	struct stat status;

	if (!stream)
		return -ENOMEM;
	*stream = (struct stream){.loop = loop,
				  .out = fd,
				  .in = -1,
				  .idle = idle,
				  .data = data,
				  .write_some = to_file};
	stream->source = (struct loop_source){.callback = on_ready, .data = stream, .fd = -1};
	stream->timer = (struct loop_timer){.callback = on_ready, .data = stream};
	if (fstat(fd, &status) < 0)
		status.st_mode = 0;
	if (S_ISFIFO(status.st_mode))
		stream->write_some = to_pipe;
	else if (S_ISSOCK(status.st_mode))
		stream->write_some = to_socket;
	*ret_stream = stream;
	return 0;
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	stop_waiting(stream);
	close_fdp(&stream->in);
	free(stream);
}

void stream_end(struct stream *stream)
{
	close_fdp(&stream->in);
	stream->in = -1;
	stream->position = stream->end = 0;
}

void stream_begin(struct stream *stream, int data_fd)
{
	stream_end(stream);
	stream->in = data_fd;
}

int stream_extend(struct stream *stream, uint64_t end)
{
	stream->end = MAX(stream->end, end);
	return stream_is_done(stream) ? 0 : wait_for_turn(stream);
}

bool stream_is_done(const struct stream *stream)
{
	return stream->position >= stream->end;
}
