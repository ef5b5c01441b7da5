/* The directory for temporary files.
 *
 * Permission bits do not tell whether a file can be made (read-only mounts, quotas, full disks), so
 * each candidate is tried by making an anonymous file in it and writing to it.
 *
 * The result is remembered without a lock: a mutex could be held by another thread in the moment of
 * a fork, and the child would wait for ever. Threads that search at once find the same, and the
 * first to publish it wins. Strings that were handed out must stay, whatever is set later: they are
 * kept on a list for the life of the process, each directory once. */
#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/path.h"
#include "tempfile/place.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <tempfile.h>

struct directory {
	struct directory *next;
	char *path;
};

static _Atomic(struct directory *) known;   /* every directory that was ever handed out */
static _Atomic(struct directory *) current; /* one of them, or NULL */

static struct directory *find_known(const char *path)
{
	for (struct directory *d = atomic_load(&known); d; d = d->next)
		if (strcmp(d->path, path) == 0)
			return d;
	return NULL;
}

/* Takes over `path`. NULL: no memory. */
static struct directory *remember(char *path)
{
	struct directory *directory = find_known(path);

	if (!directory) {
		directory = malloc(sizeof(*directory));
		if (directory) {
			directory->path = TAKE_PTR(path);
			directory->next = atomic_load(&known);
			while (!atomic_compare_exchange_weak(&known, &directory->next, directory))
				;
		}
	}
	free(path);
	return directory;
}

/* 0: a file can be made in `dir` and written to. */
static int probe(const char *dir)
{
	static const char text[] = "blat";
	struct tempfile_options options = {.dir = dir, .prefix = "tmp", .suffix = "", .mode = 0600};
	CLEANUP_FD int fd = -1;
	struct temp_place place;
	int r = temp_place_init(&place, &options);

	if (r < 0)
		return r;
	r = temp_create_anonymous(&place, &options, &fd);
	temp_place_done(&place);
	if (r < 0)
		return r;
	return write(fd, text, sizeof(text)) == (ssize_t)sizeof(text) ? 0 : -ENOSPC;
}

static int search(char **ret_path)
{
	static const char *const variables[] = {"TMPDIR", "TEMP", "TMP"};
	static const char *const places[] = {"/tmp", "/var/tmp", "/usr/tmp", "."};

	for (size_t i = 0; i < ARRAY_SIZE(variables) + ARRAY_SIZE(places); i++) {
		const char *candidate = i < ARRAY_SIZE(variables)
						? secure_getenv(variables[i])
						: places[i - ARRAY_SIZE(variables)];
		CLEANUP_FREE char *path = NULL;

		if (!candidate || !*candidate)
			continue;
		if (temp_path_absolute(candidate, &path) < 0 || probe(path) < 0)
			continue;
		*ret_path = TAKE_PTR(path);
		return 0;
	}
	return -ENOENT;
}

const char *tempfile_gettempdir(void)
{
	struct directory *directory = atomic_load(&current);
	struct directory *winner = NULL;
	char *path = NULL;
	int r;

	if (directory)
		return directory->path;
	r = search(&path);
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	directory = remember(path);
	if (!directory) {
		errno = ENOMEM;
		return NULL;
	}
	if (!atomic_compare_exchange_strong(&current, &winner, directory))
		return winner->path;
	return directory->path;
}

int tempfile_set_tempdir(const char *dir)
{
	struct directory *directory = NULL;
	char *path = NULL;
	int r;

	if (dir) {
		r = temp_path_absolute(dir, &path);
		if (r < 0)
			return r;
		directory = remember(path);
		if (!directory)
			return -ENOMEM;
	}
	atomic_store(&current, directory);
	return 0;
}

const char *tempfile_gettempprefix(void)
{
	return "tmp";
}
