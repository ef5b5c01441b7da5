/* A directory is a spool when its lock is one of ours, or segments are in it. An empty one is not:
 * it could be anything. */
#include "cli/spools.h"

#include "base/macro.h"
#include "spool/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

int spools_look(int parent_fd, const char *path, const char *name, spools_visit *visit, void *data)
{
	int follow = name == path ? 0 : O_NOFOLLOW;
	CLEANUP_FD int dir_fd =
		openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
	struct spools_found found = {
		.path = path, .parent_fd = parent_fd, .name = name, .dir_fd = dir_fd};
	int r = dir_fd < 0 ? -errno : listing_read(dir_fd, &found.listing);

	if (r < 0)
		return r;
	found.is_spool = directory_is_spool(dir_fd, &found.listing);
	visit(data, &found);
	listing_done(&found.listing);
	return 0;
}

struct visit {
	spools_visit *visit;
	void *data;
};

static void pass_spool(void *data, const struct spools_found *found)
{
	const struct visit *visit = data;

	if (found->is_spool)
		visit->visit(visit->data, found);
}

static void free_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static bool is_candidate(const struct dirent *entry, const char *prefix)
{
	return strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
	       strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
	       (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

int spools_each(const char *dir, const char *prefix, spools_visit *visit, void *data)
{
	struct visit passed = {visit, data};
	CLEANUP_FD int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names;
	int count = dir_fd < 0 ? -1 : scandirat(dir_fd, ".", &names, NULL, alphasort);

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		CLEANUP_FREE char *path = NULL;

		if (!is_candidate(names[i], prefix))
			continue;
		if (asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0) {
			path = NULL;
			continue;
		}
		spools_look(dir_fd, path, names[i]->d_name, pass_spool, &passed);
	}
	free_names(names, count);
	return 0;
}
