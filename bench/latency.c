/*
 * How long it takes from the server's send() until a message is in the receiver's file.
 *
 * usage: latency RATE SECONDS
 *
 * It prints its URL and serves one connection: text messages of 200 bytes, RATE of them each
 * second, each with the time in it. On standard input it is told the file to watch, and by how many
 * bytes that grows with each message; it begins then.
 *
 * Sender and observer are one thread, so that there is one clock, and the receiver has the other
 * core for itself: between one send() and the next the thread looks at the size of the file, over
 * and over, and never sleeps. A look is a fstat(), which takes no lock that a write would wait for.
 * A receiver that falls behind is not waited for: what it holds up counts from when it was sent,
 * and each message is sent when it is due.
 *
 * It prints how many messages there were, and in ns the mean, p50, p99, p99.9 and the greatest.
 */
#include "server.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 200
#define NS_PER_S UINT64_C(1000000000)
#define PATIENCE_NS (5 * NS_PER_S) /* for what is missing behind the last message */

struct watch {
	int fd;
	uint64_t begin; /* the size of the file before the first message */
	uint64_t step;	/* what a message adds to it */
};

struct run {
	struct channel channel;
	struct watch watch;
	uint64_t period_ns;
	size_t count;
	size_t sent, seen;
	uint64_t *times_ns; /* when each was sent, and then, how long it took */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int file_size(int fd, uint64_t *ret_size)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	*ret_size = (uint64_t)status.st_size;
	return 0;
}

static int read_watch(struct watch *watch)
{
	char line[4096], path[4096];

	if (!fgets(line, sizeof(line), stdin) ||
	    sscanf(line, "%" SCNu64 " %4095[^\n]", &watch->step, path) != 2 || !watch->step)
		return -EINVAL;
	watch->fd = open(path, O_RDONLY | O_CLOEXEC);
	return watch->fd < 0 ? -errno : file_size(watch->fd, &watch->begin);
}

static int send_one(struct run *run)
{
	uint8_t frame[STREAM_MAX_HEADER + MESSAGE_SIZE];
	size_t header = stream_frame_header(frame, STREAM_TEXT, MESSAGE_SIZE);
	char *text = (char *)frame + header;
	int size = snprintf(text, MESSAGE_SIZE, "{\"number\":%zu,\"sent_ns\":%" PRIu64 "}",
			    run->sent, now_ns(CLOCK_REALTIME));

	memset(text + size, ' ', (size_t)(MESSAGE_SIZE - size));
	run->times_ns[run->sent++] = now_ns(CLOCK_MONOTONIC);
	return channel_send(&run->channel, frame, header + MESSAGE_SIZE);
}

static int look(struct run *run)
{
	uint64_t size = 0, now, there;
	int r = file_size(run->watch.fd, &size);

	if (r < 0)
		return r;
	now = now_ns(CLOCK_MONOTONIC);
	for (there = (size - run->watch.begin) / run->watch.step;
	     run->seen < there && run->seen < run->sent; run->seen++)
		run->times_ns[run->seen] = now - run->times_ns[run->seen];
	return 0;
}

static int send_and_watch(struct run *run)
{
	uint64_t due_ns = now_ns(CLOCK_MONOTONIC);
	int r = 0;

	while (r >= 0 && run->seen < run->count) {
		uint64_t now = now_ns(CLOCK_MONOTONIC);

		if (run->sent == run->count && now > due_ns + PATIENCE_NS)
			return -ETIMEDOUT;
		if (run->sent < run->count && now >= due_ns) {
			r = send_one(run);
			due_ns += run->period_ns;
		}
		if (r >= 0)
			r = look(run);
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void report(struct run *run)
{
	const uint64_t *t = run->times_ns;
	size_t n = run->count;
	uint64_t sum = 0;

	qsort(run->times_ns, n, sizeof(*t), compare);
	for (size_t i = 0; i < n; i++)
		sum += t[i];
	printf("%zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", n, sum / n,
	       t[n / 2], t[n - 1 - n / 100], t[n - 1 - n / 1000], t[n - 1]);
}

static int serve(struct run *run)
{
	bool raw = false;
	uint16_t port = 0;
	int r = server_listen(&port);

	if (r < 0)
		return r;
	printf("ws://127.0.0.1:%" PRIu16 "/\n", port);
	fflush(stdout);
	r = server_accept(r);
	if (r >= 0)
		r = channel_open(&run->channel, r, NULL);
	if (r >= 0)
		r = server_upgrade(&run->channel, false, &raw);
	if (r >= 0)
		r = read_watch(&run->watch);
	if (r >= 0)
		r = send_and_watch(run);
	return r < 0 ? r : server_end(&run->channel, raw);
}

int main(int argc, char **argv)
{
	uint64_t rate = argc == 3 ? strtoull(argv[1], NULL, 10) : 0;
	uint64_t seconds = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	struct run run = {.count = (size_t)(rate * seconds)};
	int r;

	if (run.count == 0) {
		fprintf(stderr, "usage: latency RATE SECONDS\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	run.period_ns = NS_PER_S / rate;
	run.times_ns = calloc(run.count, sizeof(*run.times_ns));
	r = run.times_ns ? serve(&run) : -ENOMEM;
	if (r < 0) {
		fprintf(stderr, "latency: %s\n", strerror(-r));
		return 1;
	}
	report(&run);
	return 0;
}
