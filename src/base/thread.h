/* Threads of a library. */
#ifndef WEIR_BASE_THREAD_H
#define WEIR_BASE_THREAD_H

#include <pthread.h>

/* Starts a thread in which all signals are blocked: they are for the threads of whoever uses the
 * library. Errors: pthread_create(3)'s, negative. */
int thread_start(void *(*run)(void *data), void *data, pthread_t *ret_thread);

#endif
