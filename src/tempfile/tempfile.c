/* The handle: a descriptor, perhaps a stream over it, and what is to be deleted at the end.
 *
 * A fork copies the handle, but there is one file. The process that made it owns it: elsewhere
 * closing only closes. That goes for the stream as well: what it held at the fork, it holds twice,
 * and the owner writes it. */
#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/delete.h"
#include "tempfile/options.h"
#include "tempfile/place.h"

#include <errno.h>
#include <stdio_ext.h>
#include <tempfile.h>

struct tempfile {
	int fd;
	FILE *stream; /* NULL until asked for; then closing it closes `fd` */
	struct temp_place place;
	struct temp_identity identity;
	pid_t owner;
	bool named;
	bool append;
	bool kept;
};

typedef int create_function(struct tempfile *file, const struct tempfile_options *options);

static int create_named(struct tempfile *file, const struct tempfile_options *options)
{
	struct temp_created created;
	int r = temp_create_named(&file->place, options, &created);

	if (r < 0)
		return r;
	file->fd = created.fd;
	file->identity = created.identity;
	file->named = true;
	return 0;
}

static int create_anonymous(struct tempfile *file, const struct tempfile_options *options)
{
	int r = temp_create_anonymous(&file->place, options, &file->fd);

	if (r == 0)
		temp_place_done(&file->place);
	return r;
}

static int open_file(struct tempfile **ret_file, const struct tempfile_options *options,
		     create_function *create)
{
	struct tempfile_options resolved;
	struct tempfile *file;
	int r = temp_options_resolve(options, 0600, &resolved);

	if (r < 0)
		return r;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	r = temp_place_init(&file->place, &resolved);
	if (r < 0)
		goto fail_place;
	r = create(file, &resolved);
	if (r < 0)
		goto fail_create;
	file->owner = getpid();
	file->append = resolved.append;
	file->kept = resolved.deletion == TEMPFILE_DELETE_NEVER;
	*ret_file = file;
	return 0;

fail_create:
	temp_place_done(&file->place);
fail_place:
	free(file);
	return r;
}

int tempfile_open_with(struct tempfile **ret_file, const struct tempfile_options *options)
{
	return open_file(ret_file, options, create_named);
}

int tempfile_open_anonymous_with(struct tempfile **ret_file, const struct tempfile_options *options)
{
	if (options && (options->name || options->deletion != TEMPFILE_DELETE_ON_CLOSE))
		return -EINVAL;
	return open_file(ret_file, options, create_anonymous);
}

/* An earlier error has left its mark in the stream but not its number, so that one of now is
 * preferred: it is nearly always the same. */
static int flush_stream(FILE *stream, bool owner)
{
	if (!owner) {
		__fpurge(stream);
		return 0;
	}
	if (fflush(stream) != 0)
		return -errno;
	return ferror(stream) ? -EIO : 0;
}

static int close_descriptor(struct tempfile *file)
{
	int r = file->stream ? fclose(file->stream) : close(file->fd);

	/* Linux has closed an interrupted descriptor too. */
	return r != 0 && errno != EINTR ? -errno : 0;
}

int tempfile_close(struct tempfile **file_pointer)
{
	struct tempfile *file = file_pointer ? TAKE_PTR(*file_pointer) : NULL;
	bool owner;
	int flushed = 0, deleted = 0, closed;

	if (!file)
		return 0;
	owner = file->owner == getpid();
	if (file->stream)
		flushed = flush_stream(file->stream, owner);
	/* Before the lock goes with the descriptor, and while the inode number is surely ours. */
	if (owner && file->named && !file->kept)
		deleted = temp_delete(&file->place, file->identity);
	closed = close_descriptor(file);
	temp_place_done(&file->place);
	free(file);
	return flushed ? flushed : deleted ? deleted : closed;
}

int tempfile_fd(const struct tempfile *file)
{
	return file->fd;
}

const char *tempfile_path(const struct tempfile *file)
{
	return temp_place_path(&file->place);
}

FILE *tempfile_stream(struct tempfile *file)
{
	if (!file->stream)
		file->stream = fdopen(file->fd, file->append ? "a+b" : "w+b");
	return file->stream;
}

int tempfile_keep(struct tempfile *file)
{
	if (!file->named)
		return -EINVAL;
	file->kept = true;
	return 0;
}
