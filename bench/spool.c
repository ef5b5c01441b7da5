/*
 * What the spool itself costs, without a network: messages that stand decoded in memory go into it,
 * or come out of it.
 *
 * usage: spool append|sync-end|sync-bytes|verify|make SIZE BYTES DIR
 *
 * "append" takes BYTES of payload through spool_append() and spool_commit(), a buffer of 1 MiB for
 * each commit, as after a read; segments of 64 MiB are deleted as they fill. "sync-end" keeps them
 * in one segment, which is synced at the end; "sync-bytes" keeps segments of 64 MiB and syncs after
 * every 64 MiB. "verify" reads through a segment of BYTES, which was made before and is in the page
 * cache. "make" leaves a spool of BYTES at DIR itself, for others to read.
 *
 * It prints the number of messages, the bytes of their payloads, the time in ns that it took, and
 * the CPU time in us.
 */
#include "spool/spool.h"
#include "base/crc32c.h"
#include "base/message.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)1 << 20)
#define SEGMENT_SIZE ((uint64_t)64 << 20)
#define SYNC_SIZE ((uint64_t)64 << 20)

/* A buffer full of messages, as a decoder leaves them: one behind the other, each with a byte to
 * spare. */
struct buffer {
	uint8_t *data;
	struct message_batch *batches;
	size_t batch_count;
	uint64_t messages;
};

struct job {
	struct spool_options options;
	struct spool *spool;
	struct buffer buffer;
	uint64_t buffers; /* how often it is appended */
	bool acknowledges;
};

static int fill(struct buffer *buffer, size_t size)
{
	buffer->messages = BUFFER_SIZE / (size + 1);
	buffer->batch_count = (buffer->messages + MESSAGE_BATCH_MAX - 1) / MESSAGE_BATCH_MAX;
	buffer->data = malloc(BUFFER_SIZE);
	buffer->batches = calloc(buffer->batch_count, sizeof(*buffer->batches));
	if (!buffer->data || !buffer->batches || buffer->messages == 0)
		return -ENOMEM;
	memset(buffer->data, 'x', BUFFER_SIZE);
	for (uint64_t i = 0; i < buffer->messages; i++) {
		struct message_batch *batch = &buffer->batches[i / MESSAGE_BATCH_MAX];
		uint8_t *data = buffer->data + i * (size + 1);

		batch->time_ns = (uint64_t)time(NULL) * 1000000000;
		batch->pieces[batch->count++] = (struct message_piece){
			.data = data,
			.size = size,
			.crc = crc32c(0, data, size),
			.kind = MESSAGE_TEXT,
			.first = true,
			.last = true,
			.spare = true,
		};
	}
	return 0;
}

/* As a capture does when there is no room: waits for the disk. */
static int wait_for_disk(struct spool *spool)
{
	struct pollfd progress = {.fd = spool_sync_fd(spool), .events = POLLIN};
	int r = 0;

	while (r >= 0 && spool_must_wait(spool)) {
		if (poll(&progress, 1, -1) < 0)
			return -errno;
		r = spool_collect(spool);
	}
	return r;
}

static int append_buffer(struct job *job)
{
	struct segment *segment;
	int r = wait_for_disk(job->spool);

	for (size_t i = 0; r >= 0 && i < job->buffer.batch_count; i++)
		r = spool_append(job->spool, &job->buffer.batches[i]);
	if (r >= 0)
		r = spool_commit(job->spool);
	while (r >= 0 && job->acknowledges && (segment = spool_take(job->spool)))
		r = spool_ack(job->spool, segment);
	return r;
}

/* Until all is durable that is to be. */
static int settle(struct spool *spool)
{
	struct pollfd progress = {.fd = spool_sync_fd(spool), .events = POLLIN};
	int r = spool_seal(spool);

	while (r >= 0 && (r = spool_settle(spool)) == 0) {
		if (poll(&progress, 1, -1) < 0)
			return -errno;
		r = spool_collect(spool);
	}
	return r;
}

static int append_all(struct job *job)
{
	int r = 0;

	for (uint64_t i = 0; r >= 0 && i < job->buffers; i++)
		r = append_buffer(job);
	return r < 0 ? r : settle(job->spool);
}

static int verify(struct job *job)
{
	struct segment *segment = spool_take(job->spool);
	int r;

	if (!segment)
		return -ENODATA;
	segment->messages = segment->bytes = 0;
	r = segment_check(spool_dir_fd(job->spool), segment);
	if (r >= 0 && segment->messages != job->buffers * job->buffer.messages)
		r = -EBADMSG;
	spool_keep(job->spool, segment);
	return r;
}

static uint64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int measure(struct job *job, size_t size, int (*work)(struct job *job))
{
	uint64_t begin_us = cpu_us(), begin_ns = now_ns();
	int r = work(job);
	uint64_t messages = job->buffers * job->buffer.messages;

	if (r < 0)
		return r;
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", messages, messages * size,
	       now_ns() - begin_ns, cpu_us() - begin_us);
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

/* Everything that was kept goes. */
static void clean_up(struct job *job)
{
	nftw(spool_path(job->spool), remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	spool_free(job->spool);
}

static int run(const char *mode, size_t size, uint64_t bytes, const char *dir)
{
	struct job job = {.options = {.dir = dir, .segment_bytes = SEGMENT_SIZE}};
	int r = fill(&job.buffer, size);

	if (r < 0)
		return r;
	job.buffers = bytes / (job.buffer.messages * size) + 1;
	job.acknowledges = strcmp(mode, "append") == 0;
	if (strcmp(mode, "make") == 0)
		job.options.path = dir;
	if (strcmp(mode, "sync-end") == 0)
		job.options.sync = SPOOL_SYNC_SEAL;
	if (strcmp(mode, "sync-bytes") == 0)
		job.options.sync = SPOOL_SYNC_BYTES;
	job.options.sync_bytes = SYNC_SIZE;
	if (strcmp(mode, "sync-end") == 0 || strcmp(mode, "verify") == 0)
		job.options.segment_bytes = UINT64_MAX;
	r = spool_open(&job.options, &job.spool);
	if (r < 0)
		return r;
	if (strcmp(mode, "verify") != 0)
		r = measure(&job, size, append_all);
	else if ((r = append_all(&job)) >= 0)
		r = measure(&job, size, verify);
	if (job.options.path)
		spool_free(job.spool);
	else
		clean_up(&job);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc != 5) {
		fprintf(stderr,
			"usage: spool append|sync-end|sync-bytes|verify|make SIZE BYTES DIR\n");
		return 2;
	}
	r = run(argv[1], strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), argv[4]);
	if (r < 0)
		fprintf(stderr, "spool: %s: %s\n", argv[4], strerror(-r));
	return r < 0;
}
