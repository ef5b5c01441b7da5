/* A place is a directory and a name in it.
 *
 * There are two kinds. By a path: the directory is an absolute path, and every system call gets the
 * whole of it, which costs no descriptor per file. By a descriptor (the option dir_fd): a
 * descriptor of our own stays open, so that the file is found again wherever the directory was
 * moved to, and the path is only for people. One buffer holds the path for both, system calls of
 * the second kind get its last component. */
#include "tempfile/place.h"

#include "base/macro.h"
#include "tempfile/name.h"
#include "tempfile/path.h"

#include <errno.h>
#include <string.h>

/* Appends and returns the new end. */
static char *append(char *end, const char *text)
{
	size_t length = strlen(text);

	memcpy(end, text, length);
	return end + length;
}

/* `dir` may be empty. The random characters are filled in later. */
static int make_path(struct temp_place *place, const char *dir,
		     const struct tempfile_options *options)
{
	bool slash = *dir && strcmp(dir, "/") != 0;
	const char *prefix = options->name ? options->name : options->prefix;
	const char *suffix = options->name ? "" : options->suffix;
	size_t random_size = options->name ? 0 : options->random_size;
	char *path = malloc(strlen(dir) + 1 + strlen(prefix) + random_size + strlen(suffix) + 1);
	char *end;

	if (!path)
		return -ENOMEM;
	end = append(path, dir);
	end = append(end, slash ? "/" : "");
	place->name_start = (size_t)(end - path);
	end = append(end, prefix);
	place->random_start = (size_t)(end - path);
	memset(end, '_', random_size);
	end = append(end + random_size, suffix);
	*end = '\0';
	place->path = path;
	place->random_size = random_size;
	place->name_is_given = options->name != NULL;
	return 0;
}

static int init_by_path(struct temp_place *place, const struct tempfile_options *options)
{
	int r = temp_path_absolute(options->dir, &place->dir);

	if (r < 0)
		return r;
	return make_path(place, place->dir, options);
}

static int init_by_fd(struct temp_place *place, const struct tempfile_options *options)
{
	const char *dir = options->dir ? options->dir : ".";
	CLEANUP_FREE char *path = NULL;
	int fd = openat(*options->dir_fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	place->dir_fd = fd;
	r = temp_path_of_fd(fd, &path);
	if (r < 0 && r != -ENOENT)
		return r;
	return make_path(place, path ? path : "", options);
}

int temp_place_init(struct temp_place *place, const struct tempfile_options *options)
{
	int r;

	*place = (struct temp_place)TEMP_PLACE_NONE;
	r = options->dir_fd ? init_by_fd(place, options) : init_by_path(place, options);
	if (r < 0)
		temp_place_done(place);
	return r;
}

void temp_place_done(struct temp_place *place)
{
	if (place->dir_fd >= 0)
		close(place->dir_fd);
	free(place->dir);
	free(place->path);
	*place = (struct temp_place)TEMP_PLACE_NONE;
}

int temp_place_next_name(struct temp_place *place)
{
	if (place->name_is_given)
		return 0;
	return temp_name_randomize(place->path + place->random_start, place->random_size);
}

const char *temp_place_dir(const struct temp_place *place)
{
	return place->dir ? place->dir : ".";
}

const char *temp_place_at(const struct temp_place *place)
{
	return place->dir_fd == AT_FDCWD ? place->path : place->path + place->name_start;
}

const char *temp_place_name(const struct temp_place *place)
{
	return place->path + place->name_start;
}

const char *temp_place_path(const struct temp_place *place)
{
	return place->name_start > 0 ? place->path : NULL;
}
