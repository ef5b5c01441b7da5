/*
 * Whoever receives must not wait for the disk, so another thread does. It takes all jobs that wait
 * at once: the files of each are synced, data before index, and an index that is complete gets the
 * name of a sealed one; then the directory, if names in it have changed, then the lock file, if a
 * number was noted in it. Only after all of that a mark is moved: what is in front of it is
 * durable. Jobs are done in the order of the records, so there is one mark and no list of holes.
 *
 * Why this is enough is told in docs/format.md, "What is durable". In short: a record is found
 * again when its payload, its entry, all records before it in its segment, and the names of both
 * files are on the disk. What stands behind it does not matter in a segment that is still open: it
 * may be torn. A sealed one must be whole, so it gets its name when it is.
 *
 * A sync that fails is never tried again. The kernel reports an error once, and then takes the
 * pages for clean, whether they were written or not: a second try would succeed and mean nothing.
 * That goes for every error, ENOSPC and EINTR as well as EIO. So with the first one the thread
 * ends, and the mark stays where it is. A rename is another matter: it is done or not, and one that
 * found no room is tried again, since nobody can tell when there is some.
 */
#include "spool/syncer.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/thread.h"
#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

#define FOUND_MAX 64 /* for more segments, all of the file system is synced */
#define RETRY_NS (100 * NS_PER_MS)

struct syncer {
	struct syncer_options options;
	uint64_t found[FOUND_MAX]; /* first numbers of the segments that were */
	size_t found_count;	   /* all of them, also beyond that */
	int dir_fd; /* our own, so that nobody else is told of an error in our place */
	int event_fd;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex; /* over all that follows; never held while something is synced */
	pthread_cond_t work, room;
	struct sync_job queue[SYNCER_QUEUE];
	size_t queued;
	bool stopping;
	struct sync_progress progress;
};

static void close_job(struct sync_job *job)
{
	close_fdp(&job->data_fd);
	close_fdp(&job->index_fd);
	job->data_fd = job->index_fd = -1;
}

/* A counter that is full was read by nobody: it is readable all the same. */
static void wake(const struct syncer *syncer)
{
	uint64_t one = 1;

	(void)!write(syncer->event_fd, &one, sizeof(one));
}

static int sync_data(int fd)
{
	return fd >= 0 && fdatasync(fd) < 0 ? -errno : 0;
}

/* The name of the spool stands in another directory. Whoever may not open that one can still sync
 * all of the file system. */
static int sync_own_name(const struct syncer *syncer)
{
	CLEANUP_FD int fd = openat(syncer->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != EACCES)
		return -errno;
	return (fd < 0 ? syncfs(syncer->dir_fd) : fsync(fd)) < 0 ? -errno : 0;
}

static int sync_names(const struct syncer *syncer)
{
	return fsync(syncer->dir_fd) < 0 ? -errno : 0;
}

/* What is not there was acknowledged meanwhile, or put aside. What cannot be opened for another
 * reason is synced with all of the file system. */
static int sync_by_name(const struct syncer *syncer, uint64_t seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	CLEANUP_FD int fd = openat(syncer->dir_fd, format_name(name, seq, suffix),
				   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno != ENOENT)
		return syncfs(syncer->dir_fd) < 0 ? -errno : 0;
	return sync_data(fd);
}

/* Tells that sealed segments in front of `seq` are durable. Returns whether to go on. */
static bool tell_found(struct syncer *syncer, uint64_t seq)
{
	bool stopping;

	pthread_mutex_lock(&syncer->mutex);
	syncer->progress.sealed_seq = syncer->progress.durable.end_seq = seq;
	stopping = syncer->stopping;
	pthread_mutex_unlock(&syncer->mutex);
	wake(syncer);
	return !stopping;
}

static int sync_segments(struct syncer *syncer)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < syncer->found_count; i++) {
		if (!tell_found(syncer, syncer->found[i]))
			return -ECANCELED;
		r = sync_by_name(syncer, syncer->found[i], FORMAT_DATA_SUFFIX);
		if (r >= 0)
			r = sync_by_name(syncer, syncer->found[i], FORMAT_INDEX_SUFFIX);
	}
	return r;
}

/* Earlier runs may have synced nothing. The files of many segments are not synced one by one: each
 * would wait for the journal. */
static int sync_found(struct syncer *syncer)
{
	int r = sync_own_name(syncer);

	if (r >= 0)
		r = sync_names(syncer);
	if (r >= 0)
		r = sync_data(syncer->options.lock_fd);
	if (r < 0)
		return r;
	if (syncer->found_count <= FOUND_MAX)
		return sync_segments(syncer);
	return syncfs(syncer->dir_fd) < 0 ? -errno : 0;
}

/* Waits for a while, in which somebody may have made room. False: nobody waits for that any more.
 */
static bool wait_for_room(struct syncer *syncer, int error)
{
	uint64_t until_ns = clock_monotonic_ns() + RETRY_NS;
	const struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
				       .tv_nsec = (long)(until_ns % NS_PER_S)};
	bool stopping;

	pthread_mutex_lock(&syncer->mutex);
	if (syncer->progress.full == 0)
		wake(syncer);
	syncer->progress.full = error;
	pthread_cond_signal(&syncer->room);
	if (!syncer->stopping)
		pthread_cond_timedwait(&syncer->work, &syncer->mutex, &until);
	stopping = syncer->stopping;
	pthread_mutex_unlock(&syncer->mutex);
	return !stopping;
}

static int rename_index(struct syncer *syncer, uint64_t first_seq)
{
	int r;

	do
		r = segment_rename(syncer->dir_fd, first_seq);
	while (io_is_full(r) && wait_for_room(syncer, r));
	return r;
}

/* The name of a sealed index is given to what is whole on the disk. */
static int sync_segment(struct syncer *syncer, const struct sync_job *job)
{
	int r = sync_data(job->data_fd);

	if (r >= 0)
		r = sync_data(job->index_fd);
	if (r >= 0 && job->seal)
		r = rename_index(syncer, job->first_seq);
	return r;
}

static int sync_jobs(struct syncer *syncer, const struct sync_job *jobs, size_t count)
{
	bool names = false, seal = false;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = sync_segment(syncer, &jobs[i]);
		names |= jobs[i].names;
		seal |= jobs[i].seal;
	}
	if (r >= 0 && names)
		r = sync_names(syncer);
	if (r >= 0 && seal)
		r = sync_data(syncer->options.lock_fd);
	return r;
}

/* Waits for jobs and takes all that there are; 0: there will be none any more. */
static size_t take_jobs(struct syncer *syncer, struct sync_job jobs[SYNCER_QUEUE])
{
	size_t count;

	pthread_mutex_lock(&syncer->mutex);
	while (syncer->queued == 0 && !syncer->stopping)
		pthread_cond_wait(&syncer->work, &syncer->mutex);
	count = syncer->stopping ? 0 : syncer->queued;
	memcpy(jobs, syncer->queue, count * sizeof(*jobs));
	syncer->queued -= count;
	pthread_cond_signal(&syncer->room);
	pthread_mutex_unlock(&syncer->mutex);
	return count;
}

/* Moves the marks over what was done, or tells that it failed. */
static void tell(struct syncer *syncer, const struct sync_job *jobs, size_t count, int error)
{
	struct sync_progress *progress = &syncer->progress;

	pthread_mutex_lock(&syncer->mutex);
	for (size_t i = 0; error >= 0 && i < count; i++) {
		progress->durable = jobs[i].mark;
		if (jobs[i].seal)
			progress->sealed_seq = jobs[i].mark.end_seq;
	}
	progress->jobs -= count;
	progress->error = MIN(error, 0);
	progress->full = 0;
	pthread_cond_signal(&syncer->room);
	pthread_mutex_unlock(&syncer->mutex);
	wake(syncer);
}

static void *work(void *data)
{
	struct syncer *syncer = data;
	struct sync_job jobs[SYNCER_QUEUE];
	struct sync_job begin = {.seal = true, .mark = {.end_seq = syncer->options.end_seq}};
	size_t count;
	int r = sync_found(syncer);

	tell(syncer, &begin, 1, r);
	while (r >= 0 && (count = take_jobs(syncer, jobs)) > 0) {
		r = sync_jobs(syncer, jobs, count);
		for (size_t i = 0; i < count; i++)
			close_job(&jobs[i]);
		tell(syncer, jobs, count, r);
	}
	return NULL;
}

/* The list changes while they are synced. */
static void note_found(struct syncer *syncer)
{
	const struct segment *found = syncer->options.found;

	for (; found; found = found->next, syncer->found_count++)
		if (syncer->found_count < FOUND_MAX)
			syncer->found[syncer->found_count] = found->first_seq;
	syncer->options.found = NULL;
}

/* With the clock that nobody sets. */
static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

int syncer_new(const struct syncer_options *options, struct syncer **ret_syncer)
{
	CLEANUP(syncer_free) struct syncer *syncer = calloc(1, sizeof(*syncer));
	int r;

	if (!syncer)
		return -ENOMEM;
	syncer->options = *options;
	syncer->progress.jobs = 1; /* what is there already */
	pthread_mutex_init(&syncer->mutex, NULL);
	init_condition(&syncer->work);
	init_condition(&syncer->room);
	syncer->dir_fd = openat(options->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	syncer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (syncer->dir_fd < 0 || syncer->event_fd < 0)
		return -errno;
	note_found(syncer);
	r = thread_start(work, syncer, &syncer->thread);
	if (r < 0)
		return r;
	syncer->has_thread = true;
	*ret_syncer = TAKE_PTR(syncer);
	return 0;
}

void syncer_free(struct syncer *syncer)
{
	if (!syncer)
		return;
	pthread_mutex_lock(&syncer->mutex);
	syncer->stopping = true;
	pthread_cond_signal(&syncer->work);
	pthread_mutex_unlock(&syncer->mutex);
	if (syncer->has_thread)
		pthread_join(syncer->thread, NULL);
	for (size_t i = 0; i < syncer->queued; i++)
		close_job(&syncer->queue[i]);
	pthread_cond_destroy(&syncer->room);
	pthread_cond_destroy(&syncer->work);
	pthread_mutex_destroy(&syncer->mutex);
	close_fdp(&syncer->event_fd);
	close_fdp(&syncer->dir_fd);
	free(syncer);
}

int syncer_fd(const struct syncer *syncer)
{
	return syncer->event_fd;
}

struct sync_progress syncer_look(struct syncer *syncer)
{
	struct sync_progress progress;

	pthread_mutex_lock(&syncer->mutex);
	progress = syncer->progress;
	pthread_mutex_unlock(&syncer->mutex);
	return progress;
}

struct sync_progress syncer_progress(struct syncer *syncer)
{
	uint64_t count;

	(void)!read(syncer->event_fd, &count, sizeof(count));
	return syncer_look(syncer);
}

int syncer_wait(struct syncer *syncer)
{
	const struct sync_progress *progress = &syncer->progress;
	int r;

	pthread_mutex_lock(&syncer->mutex);
	while (syncer->queued == SYNCER_QUEUE && progress->error == 0 && progress->full == 0)
		pthread_cond_wait(&syncer->room, &syncer->mutex);
	r = syncer->queued == SYNCER_QUEUE ? progress->full : 0;
	pthread_mutex_unlock(&syncer->mutex);
	return r;
}

void syncer_submit(struct syncer *syncer, const struct sync_job *job)
{
	struct sync_job left = *job;

	pthread_mutex_lock(&syncer->mutex);
	if (syncer->progress.error == 0 && syncer->queued < SYNCER_QUEUE) {
		syncer->queue[syncer->queued++] = left;
		syncer->progress.jobs++;
		left.data_fd = left.index_fd = -1;
		pthread_cond_signal(&syncer->work);
	}
	pthread_mutex_unlock(&syncer->mutex);
	close_job(&left);
}
