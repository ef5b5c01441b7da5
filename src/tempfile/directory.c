/* The directory for temporary files.
 *
 * Permission bits do not tell whether a file can be made (read-only mounts, quotas, full disks), so
 * each candidate is tried by making an anonymous file in it and writing to it.
 *
 * The result is remembered without a lock: a mutex could be held by another thread in the moment of
 * a fork, and the child would wait for ever. Threads that search at once find the same, and the
 * first to publish it wins. Strings that were handed out must stay, whatever is set later: they are
 * kept on a list for the life of the process, each directory once. */
#include "tempfile/directory.h"

#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/name.h"
#include "tempfile/path.h"
#include "tempfile/place.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/vfs.h>
#include <tempfile.h>

struct directory {
	struct directory *next;
	char *path;
	_Atomic(const char *) full; /* found instead of this one, whose disk is full, or NULL */
};

#define DISK_DIRECTORY "/var/tmp" /* which no system keeps in memory */

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
		directory = calloc(1, sizeof(*directory));
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
	struct tempfile_options options = {
		.dir = dir,
		.prefix = "tmp",
		.suffix = "",
		.random_size = TEMP_NAME_RANDOM,
		.mode = 0600,
	};
	CLEANUP_FD int fd = -1;
	int r = temp_create_anonymous(&options, &fd);

	if (r < 0)
		return r;
	return write(fd, text, sizeof(text)) == (ssize_t)sizeof(text) ? 0 : -ENOSPC;
}

/* Python's candidates, in its order; NULL behind the last. An unset variable is "". */
static const char *candidate(size_t i)
{
	static const char *const variables[] = {"TMPDIR", "TEMP", "TMP"};
	static const char *const places[] = {"/tmp", DISK_DIRECTORY, "/usr/tmp", ".", NULL};
	const char *value;

	if (i >= ARRAY_SIZE(variables))
		return places[i - ARRAY_SIZE(variables)];
	value = secure_getenv(variables[i]);
	return value ? value : "";
}

/* The first candidate that can be used, and the first before it whose disk is full (or NULL).
 * −ENOSPC: there is none, and one of them is full. −ENOENT: there is none. */
static int search(char **ret_path, char **ret_full)
{
	CLEANUP_FREE char *full = NULL;
	const char *dir;

	for (size_t i = 0; (dir = candidate(i)); i++) {
		CLEANUP_FREE char *path = NULL;
		int r = *dir ? temp_path_absolute(dir, &path) : -ENOENT;

		if (r == 0)
			r = probe(path);
		if (r == 0) {
			*ret_path = TAKE_PTR(path);
			*ret_full = TAKE_PTR(full);
			return 0;
		}
		if ((r == -ENOSPC || r == -EDQUOT) && !full)
			full = TAKE_PTR(path);
	}
	return full ? -ENOSPC : -ENOENT;
}

/* Searches, and remembers what was found. */
static int find(struct directory **ret_directory)
{
	struct directory *directory, *full_directory = NULL;
	char *path = NULL, *full = NULL;
	int r = search(&path, &full);

	if (r < 0)
		return r;
	directory = remember(path);
	if (full)
		full_directory = remember(full);
	if (!directory || (full && !full_directory))
		return -ENOMEM;
	atomic_store(&directory->full, full_directory ? full_directory->path : NULL);
	*ret_directory = directory;
	return 0;
}

static bool is_memory(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* The one that is remembered, found now if there is none yet. */
static int get(struct directory **ret_directory)
{
	struct directory *directory = atomic_load(&current), *winner = NULL;
	int r = 0;

	if (!directory) {
		r = find(&directory);
		if (r == 0 && !atomic_compare_exchange_strong(&current, &winner, directory))
			directory = winner;
	}
	if (r == 0)
		*ret_directory = directory;
	return r;
}

const char *tempfile_gettempdir(void)
{
	struct directory *directory = NULL;
	int r = get(&directory);

	if (r < 0) {
		errno = -r;
		return NULL;
	}
	return directory->path;
}

int tempfile_tempdir_info(struct tempfile_tempdir_info *ret_info)
{
	struct directory *directory = NULL;
	int r = get(&directory);

	if (r < 0)
		return r;
	*ret_info = (struct tempfile_tempdir_info){
		.path = directory->path,
		.is_memory = is_memory(directory->path),
		.full = atomic_load(&directory->full),
	};
	return 0;
}

const char *temp_directory_for_much(void)
{
	const char *path = tempfile_gettempdir();

	if (path && is_memory(path) && !is_memory(DISK_DIRECTORY) && probe(DISK_DIRECTORY) == 0)
		return DISK_DIRECTORY;
	return path;
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

/* Prefixes are kept like directories are, and for the same reason. */
static _Atomic(const char *) prefix = "tmp";

const char *tempfile_gettempprefix(void)
{
	return atomic_load(&prefix);
}

int tempfile_set_tempprefix(const char *text)
{
	struct directory *remembered;
	char *copy;

	if (!text) {
		atomic_store(&prefix, "tmp");
		return 0;
	}
	if (!temp_name_part_valid(text))
		return -EINVAL;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	remembered = remember(copy);
	if (!remembered)
		return -ENOMEM;
	atomic_store(&prefix, remembered->path);
	return 0;
}
