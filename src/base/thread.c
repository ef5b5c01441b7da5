/* A thread begins with the signal mask of the one that makes it. So that is changed for a moment,
 * and there is none at which the new one could be interrupted. */
#include "base/thread.h"

#include <signal.h>

int thread_start(void *(*run)(void *data), void *data, pthread_t *ret_thread)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret_thread, NULL, run, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}
