/*
 * A pipe in the event loop takes what is printed, a pidfd says when the command has ended. What it
 * printed before is in the pipe then, so the end of the pipe need not be waited for: a process that
 * was left in the background might hold it open for ever.
 *
 * What is printed may be a secret. It is in one buffer that is wiped, and nowhere else.
 */
#include "process/output.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#define GRACE_NS NS_PER_S /* between SIGTERM and SIGKILL */
#define CHUNK 4096

struct output {
	struct child child;
	struct loop *loop;
	struct loop_source source;
	struct loop_timer timer;
	struct buffer text;
	int fd;
	int error;
	output_ended *ended;
	void *data;
};

static void stop_reading(struct output *output)
{
	loop_remove(output->loop, &output->source);
	close_fdp(&output->fd);
	output->fd = -1;
}

static void stop(struct output *output, int error)
{
	if (output->error < 0)
		return;
	output->error = error;
	stop_reading(output);
	child_terminate(&output->child);
	loop_timer_set(output->loop, &output->timer, clock_monotonic_ns() + GRACE_NS);
}

/* Takes what is there. false: nothing is, now or any more. */
static bool take(struct output *output)
{
	char chunk[CHUNK];
	ssize_t n = read(output->fd, chunk, sizeof(chunk));
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		stop_reading(output);
		return false;
	}
	r = buffer_append(&output->text, chunk, (size_t)n);
	explicit_bzero(chunk, (size_t)n);
	if (r < 0)
		stop(output, r == -ENOBUFS ? -EFBIG : r);
	return r >= 0;
}

static int on_readable(void *data)
{
	take(data);
	return 0;
}

/* A child_ended. */
static int on_end(void *data, int wait_status)
{
	struct output *output = data;
	struct output_result result = {.wait_status = wait_status};

	while (output->fd >= 0 && take(output))
		;
	stop_reading(output);
	loop_timer_clear(output->loop, &output->timer);
	result.error = output->error;
	result.text = output->text.data;
	result.size = output->text.size;
	return output->ended(output->data, &result);
}

static int on_timer(void *data)
{
	struct output *output = data;

	if (output->error < 0)
		child_signal(&output->child, SIGKILL);
	else
		stop(output, -ETIMEDOUT);
	return 0;
}

static int start(struct output *output, char *const *argv)
{
	CLEANUP_FD int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ends[2];
	int r;

	if (input < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	output->fd = ends[0];
	r = child_start(&output->child, &(struct child_options){
						.argv = argv,
						.environment = environ,
						.input = input,
						.output = ends[1],
					});
	close(ends[1]);
	if (r < 0)
		return r;
	if (fcntl(output->fd, F_SETFL, O_NONBLOCK) < 0) /* this end alone */
		return -errno;
	return loop_add(output->loop, &output->source, output->fd, EPOLLIN);
}

int output_start(struct loop *loop, const struct output_options *options,
		 struct output **ret_output)
{
	CLEANUP(output_free) struct output *output = calloc(1, sizeof(*output));
	int r;

	if (!output)
		return -ENOMEM;
	output->loop = loop;
	output->fd = -1;
	output->ended = options->ended;
	output->data = options->data;
	output->source = (struct loop_source){.callback = on_readable, .data = output, .fd = -1};
	output->timer = (struct loop_timer){.callback = on_timer, .data = output};
	child_init(&output->child, loop, on_end, output);
	buffer_init_secret(&output->text, options->max);
	r = start(output, options->argv);
	if (r < 0)
		return r;
	if (options->timeout_ns > 0)
		loop_timer_set(loop, &output->timer,
			       clock_after(clock_monotonic_ns(), options->timeout_ns));
	*ret_output = TAKE_PTR(output);
	return 0;
}

void output_stop(struct output *output)
{
	stop(output, -ECANCELED);
}

void output_free(struct output *output)
{
	if (!output)
		return;
	child_kill(&output->child);
	child_done(&output->child);
	stop_reading(output);
	loop_timer_clear(output->loop, &output->timer);
	buffer_done(&output->text);
	free(output);
}
