/* What the tests of libtempfile share: a directory of their own, and the count of what is left. */
#ifndef WEIR_TEST_TEMPFILE_SUPPORT_H
#define WEIR_TEST_TEMPFILE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h> /* after those */

#include "base/macro.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tempfile.h>
#include <unistd.h>

static char scratch[64];

static inline int setup_scratch(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/test_tempfile.XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static inline int teardown_scratch(void **state)
{
	(void)state;
	return rmdir(scratch); /* fails, and so does the test, when something was left in it */
}

/* Entries of a directory, without "." and "..". */
static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

static inline int count_fds(void)
{
	return count_entries("/proc/self/fd");
}

static inline mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

static inline bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static inline const char *basename_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* A path in the scratch directory; the next call overwrites it. */
static inline const char *in_scratch(const char *name)
{
	static char path[sizeof(scratch) + 300];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Whether a shell command succeeds in the scratch directory. */
static inline bool shell(const char *command)
{
	CLEANUP_FREE char *whole = NULL;

	assert_true(asprintf(&whole, "cd %s && {\n%s\n}", scratch, command) > 0);
	return system(whole) == 0;
}

/* Runs `function` in a forked child; its result is the exit code, and 0 is right. */
static inline void assert_child(int (*function)(void *), void *data)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(function(data));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
