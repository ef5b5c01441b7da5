/*
 * Whoever receives has no time to compress, so a thread does, which steps back behind all others.
 * It knows no list of segments: it is told which one, and says when it has done that. What is worth
 * compressing, and when, is decided where the list is.
 */
#include "spool/packer.h"

#include "base/thread.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define NICENESS 10 /* there are programs that have more to do with the moment */

enum state {
	IDLE,
	WANTED,
	BUSY,
	DONE,
};

struct packer {
	struct pack_job job;
	atomic_bool cancel;
	int event_fd;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex; /* over what follows */
	pthread_cond_t wanted;
	enum state state;
	bool stopping;
	struct packer_result result;
};

static void act(const struct pack_job *job, struct packer_result *result)
{
	if (result->work == PACKER_PACK)
		result->error = pack_segment(job, &result->disk_bytes);
	else
		result->error = pack_open_view(job, &result->view);
}

/* Waits until there is work; false: there will be none any more. */
static bool wait_for_work(struct packer *packer, struct packer_result *ret_result)
{
	bool go_on;

	pthread_mutex_lock(&packer->mutex);
	while (packer->state != WANTED && !packer->stopping)
		pthread_cond_wait(&packer->wanted, &packer->mutex);
	go_on = !packer->stopping;
	*ret_result = packer->result;
	packer->state = BUSY;
	pthread_mutex_unlock(&packer->mutex);
	return go_on;
}

static void *work(void *data)
{
	struct packer *packer = data;
	struct packer_result result;
	uint64_t one = 1;

	setpriority(PRIO_PROCESS, 0, NICENESS); /* on Linux, of this thread */
	while (wait_for_work(packer, &result)) {
		act(&packer->job, &result);
		pthread_mutex_lock(&packer->mutex);
		packer->result = result;
		packer->state = DONE;
		pthread_mutex_unlock(&packer->mutex);
		(void)!write(packer->event_fd, &one, sizeof(one));
	}
	return NULL;
}

int packer_new(int dir_fd, int level, struct packer **ret_packer)
{
	CLEANUP(packer_free) struct packer *packer = calloc(1, sizeof(*packer));
	int r;

	if (!packer)
		return -ENOMEM;
	packer->job =
		(struct pack_job){.dir_fd = dir_fd, .level = level, .cancel = &packer->cancel};
	pthread_mutex_init(&packer->mutex, NULL);
	pthread_cond_init(&packer->wanted, NULL);
	packer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (packer->event_fd < 0)
		return -errno;
	r = thread_start(work, packer, &packer->thread);
	if (r < 0)
		return r;
	packer->has_thread = true;
	*ret_packer = TAKE_PTR(packer);
	return 0;
}

void packer_free(struct packer *packer)
{
	if (!packer)
		return;
	packer_cancel(packer);
	pthread_mutex_lock(&packer->mutex);
	packer->stopping = true;
	pthread_cond_signal(&packer->wanted);
	pthread_mutex_unlock(&packer->mutex);
	if (packer->has_thread)
		pthread_join(packer->thread, NULL);
	pack_view_done(&packer->result.view);
	pthread_cond_destroy(&packer->wanted);
	pthread_mutex_destroy(&packer->mutex);
	close_fdp(&packer->event_fd);
	free(packer);
}

int packer_fd(const struct packer *packer)
{
	return packer->event_fd;
}

void packer_start(struct packer *packer, enum packer_work work, uint64_t first_seq,
		  uint64_t view_max_bytes)
{
	pthread_mutex_lock(&packer->mutex);
	atomic_store(&packer->cancel, false);
	packer->job.first_seq = first_seq;
	packer->job.view_max_bytes = view_max_bytes;
	packer->result = (struct packer_result){.work = work};
	packer->state = WANTED;
	pthread_cond_signal(&packer->wanted);
	pthread_mutex_unlock(&packer->mutex);
}

void packer_cancel(struct packer *packer)
{
	atomic_store(&packer->cancel, true);
}

bool packer_collect(struct packer *packer, struct packer_result *ret_result)
{
	uint64_t count;
	bool done;

	(void)!read(packer->event_fd, &count, sizeof(count));
	pthread_mutex_lock(&packer->mutex);
	done = packer->state == DONE;
	if (done) {
		*ret_result = packer->result;
		packer->result = (struct packer_result){.error = 0};
		packer->state = IDLE;
	}
	pthread_mutex_unlock(&packer->mutex);
	return done;
}
