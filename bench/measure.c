/*
 * Runs a command and says what it cost, as the last line of standard output:
 *
 *	wall time in ns, user time in us, system time in us, peak RSS in KiB, wait status
 *
 * The times are those of the process, all its threads and the children that it waited for: that is
 * what wait4() counts. Peak RSS is that of the largest of them. This is a program of its own, and a
 * small one, because Linux counts what a process held before exec() into its peak: a child of a
 * Python program of 20 MiB would never show less than 20 MiB.
 *
 * usage: measure COMMAND [ARG...]
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t microseconds(struct timeval time)
{
	return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static void run(char **command)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(command[0], command);
	fprintf(stderr, "measure: %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int64_t start;
	int status;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: measure COMMAND [ARG...]\n");
		return 2;
	}
	start = now_ns();
	pid = fork();
	if (!pid)
		run(argv + 1);
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
		fprintf(stderr, "measure: %s\n", strerror(errno));
		return 1;
	}
	printf("%" PRId64 " %" PRId64 " %" PRId64 " %ld %d\n", now_ns() - start,
	       microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss, status);
	return 0;
}
