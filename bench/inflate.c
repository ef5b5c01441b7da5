/*
 * What zlib costs: it inflates the stream that source sends, from memory, and does nothing else.
 *
 * usage: inflate SIZE BYTES stream|messages [DIR]
 *
 * The stream is that of `source packed SIZE BYTES`: the same messages, compressed in the same way.
 * "stream" shows zlib all of a ring at once, so that it sees no end of a message: its own rate.
 * "messages" calls it for each one, as whoever wants to know where messages end has to. What comes
 * out goes into a buffer, over and over, and with DIR also from there to a temporary file there,
 * by one write() whenever the buffer is full; it is emptied at FILE_MAX, as everybody's is.
 *
 * It prints the number of messages, the bytes that came out, and the CPU time in us that it took,
 * without that of making the stream.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_SIZE ((size_t)1 << 18)
#define FILE_MAX ((uint64_t)64 << 20)

struct job {
	struct stream stream;
	uint8_t *packed; /* what is in the frames of a ring, with the four bytes that were left out
			  */
	size_t *ends;	 /* of each message in it, or of all */
	size_t end_count;
	uint8_t *buffer;
	size_t fill;
	int file; /* −1: none */
	uint64_t bytes;
};

static size_t load_length(const uint8_t *frame, size_t *ret_header)
{
	*ret_header = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
	if (frame[1] < 126)
		return frame[1];
	return frame[1] == 126 ? (size_t)frame[2] << 8 | frame[3]
			       : (size_t)frame[7] << 16 | (size_t)frame[8] << 8 | frame[9];
}

/* Takes the frames off. */
static int unframe(struct job *job, bool messages)
{
	static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
	const struct stream *s = &job->stream;
	size_t size = 0;

	job->packed = malloc(s->ring_used + s->ring_messages * sizeof(tail));
	job->ends = calloc(s->ring_messages, sizeof(*job->ends));
	job->buffer = malloc(BUFFER_SIZE);
	if (!job->packed || !job->ends || !job->buffer)
		return -ENOMEM;
	for (size_t at = 0, header; at < s->ring_used;) {
		size_t length = load_length(s->ring + at, &header);

		memcpy(job->packed + size, s->ring + at + header, length);
		memcpy(job->packed + size + length, tail, sizeof(tail));
		size += length + sizeof(tail);
		at += header + length;
		if (messages || at == s->ring_used)
			job->ends[job->end_count++] = size;
	}
	return 0;
}

static int empty_buffer(struct job *job)
{
	uint64_t before = job->bytes;

	job->bytes += job->fill;
	if (job->file >= 0 && write(job->file, job->buffer, job->fill) != (ssize_t)job->fill)
		return -EIO;
	job->fill = 0;
	if (job->file >= 0 && before / FILE_MAX != job->bytes / FILE_MAX &&
	    (ftruncate(job->file, 0) < 0 || lseek(job->file, 0, SEEK_SET) < 0))
		return -errno;
	return 0;
}

static int inflate_part(struct job *job, z_stream *inflater, const uint8_t *from, size_t size)
{
	inflater->next_in = from;
	inflater->avail_in = (uInt)size;
	do {
		int r;

		inflater->next_out = job->buffer + job->fill;
		inflater->avail_out = (uInt)(BUFFER_SIZE - job->fill);
		r = inflate(inflater, Z_SYNC_FLUSH);
		if (r != Z_OK && r != Z_BUF_ERROR)
			return -EBADMSG;
		job->fill = BUFFER_SIZE - inflater->avail_out;
		if (inflater->avail_out > 0)
			return 0;
		r = empty_buffer(job);
		if (r < 0)
			return r;
	} while (true);
}

static int inflate_ring(struct job *job, z_stream *inflater)
{
	size_t at = 0;

	for (size_t i = 0; i < job->end_count; i++) {
		int r = inflate_part(job, inflater, job->packed + at, job->ends[i] - at);

		if (r < 0)
			return r;
		at = job->ends[i];
	}
	return 0;
}

static uint64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int inflate_all(struct job *job)
{
	z_stream inflater = {0};
	uint64_t begin = cpu_us();
	int r = inflateInit2(&inflater, -15) == Z_OK ? 0 : -ENOMEM;

	for (uint64_t left = job->stream.messages; r >= 0 && left > 0;
	     left -= job->stream.ring_messages)
		r = inflate_ring(job, &inflater);
	if (r >= 0)
		r = empty_buffer(job);
	inflateEnd(&inflater);
	if (r >= 0)
		printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", job->stream.messages, job->bytes,
		       cpu_us() - begin);
	return r;
}

static int open_file(const char *dir)
{
	int fd = dir ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

	return dir && fd < 0 ? -errno : fd;
}

int main(int argc, char **argv)
{
	struct job job = {.file = -1};
	int r;

	if (argc < 4 || argc > 5 || (strcmp(argv[3], "stream") && strcmp(argv[3], "messages"))) {
		fprintf(stderr, "usage: inflate SIZE BYTES stream|messages [DIR]\n");
		return 2;
	}
	r = stream_init(&job.stream, STREAM_PACKED, strtoull(argv[1], NULL, 10),
			strtoull(argv[2], NULL, 10));
	if (r >= 0)
		r = unframe(&job, !strcmp(argv[3], "messages"));
	if (r >= 0 && argc == 5)
		r = job.file = open_file(argv[4]);
	if (r >= 0)
		r = inflate_all(&job);
	if (r < 0)
		fprintf(stderr, "inflate: %s\n", strerror(-r));
	return r < 0;
}
