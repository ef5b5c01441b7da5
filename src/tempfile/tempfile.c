/* The handle: a descriptor, perhaps a stream over it, and what is to be deleted at the end.
 *
 * A fork copies the handle, but there is one file. The process that made it owns it: elsewhere
 * closing only closes. That goes for the stream as well: what it held at the fork, it holds twice,
 * and the owner writes it. Who the owner is, is noted in live.c, with everything else that is to be
 * deleted when the process ends. */
#include "base/macro.h"
#include "tempfile/create.h"
#include "tempfile/handle.h"
#include "tempfile/mark.h"
#include "tempfile/options.h"
#include "tempfile/pool.h"

#include <errno.h>
#include <stdio_ext.h>
#include <string.h>

static int create_named(struct tempfile *file, const struct tempfile_options *options)
{
	struct temp_created created = {0};
	int r = temp_place_init(&file->place, options);

	if (r == 0)
		r = temp_create_named(&file->place, options, &created);
	if (r < 0)
		return r;
	file->fd = created.fd;
	file->identity = created.identity;
	if (options->deletion == TEMPFILE_DELETE_NEVER)
		return 0;
	file->live = live_add(&file->place, file->fd, file->identity, LIVE_FILE);
	if (file->live)
		return 0;
	temp_delete(&file->place, file->identity);
	close_fdp(&file->fd);
	return -ENOMEM;
}

static int create_anonymous(struct tempfile *file, const struct tempfile_options *options)
{
	return options->memory ? temp_create_memory(options, &file->fd)
			       : temp_create_anonymous(options, &file->fd);
}

typedef int create_function(struct tempfile *file, const struct tempfile_options *options);

static void set_stream(struct tempfile *file, const struct tempfile_options *options)
{
	const char *mode = options->append ? "a+b" : "w+b";

	if (options->stream_mode)
		mode = options->stream_mode;
	memcpy(file->stream_mode, mode, strlen(mode) + 1); /* of a size that was checked */
	file->buffering = options->buffering;
	file->buffer_size = options->buffer_size;
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
	file->lock_fd = -1;
	file->owner = temp_owner_here();
	file->place = (struct temp_place)TEMP_PLACE_NONE;
	file->deletion = resolved.deletion;
	file->pool = resolved.pool;
	set_stream(file, &resolved);
	r = create(file, &resolved);
	if (r < 0) {
		temp_place_done(&file->place);
		free(file);
		return r;
	}
	pool_enter(file->pool);
	*ret_file = file;
	return 0;
}

int tempfile_open_with(struct tempfile **ret_file, const struct tempfile_options *options)
{
	if (options && options->memory)
		return -EINVAL;
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
int temp_flush(struct tempfile *file)
{
	if (!file->stream)
		return 0;
	if (fflush(file->stream) != 0)
		return -errno;
	return ferror(file->stream) ? -EIO : 0;
}

static int close_descriptor(struct tempfile *file)
{
	int r;

	if (file->fd < 0)
		return 0;
	r = file->stream ? fclose(file->stream) : close(file->fd);
	file->stream = NULL;
	file->fd = -1;
	free(TAKE_PTR(file->buffer));
	/* Linux has closed an interrupted descriptor too. */
	return r != 0 && errno != EINTR ? -errno : 0;
}

/* Before the lock goes with the descriptor, and while the inode number is surely ours. */
static int delete_file(struct tempfile *file)
{
	int r = 0;

	if (!file->live)
		return 0;
	if (temp_owner_is_here(file->owner))
		r = temp_delete(&file->place, file->identity);
	live_remove(TAKE_PTR(file->live));
	file->deleted = true;
	return r;
}

static int finish(struct tempfile *file)
{
	int flushed = 0, deleted, closed;

	if (file->stream && !temp_owner_is_here(file->owner))
		__fpurge(file->stream);
	else
		flushed = temp_flush(file);
	deleted = delete_file(file);
	closed = close_descriptor(file);
	return flushed ? flushed : deleted ? deleted : closed;
}

/* Closes, but for a descriptor that goes on holding the lock. */
static int finish_locked(struct tempfile *file)
{
	int flushed, closed = 0;

	if (file->stream) {
		file->lock_fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
		if (file->lock_fd < 0)
			return -errno;
	}
	flushed = temp_flush(file);
	if (file->stream)
		closed = close_descriptor(file);
	else
		file->lock_fd = take_fd(&file->fd);
	return flushed ? flushed : closed;
}

int tempfile_finish(struct tempfile *file)
{
	if (file->fd < 0)
		return 0;
	return file->live && file->deletion == TEMPFILE_DELETE_ON_FREE ? finish_locked(file)
								       : finish(file);
}

int tempfile_close(struct tempfile **file_pointer)
{
	struct tempfile *file = file_pointer ? TAKE_PTR(*file_pointer) : NULL;
	int r;

	if (!file)
		return 0;
	r = finish(file);
	close_fdp(&file->lock_fd);
	pool_leave(file->pool, file->charged);
	temp_place_done(&file->place);
	free(file);
	return r;
}

int tempfile_fd(const struct tempfile *file)
{
	return file->fd;
}

const char *tempfile_path(const struct tempfile *file)
{
	return temp_place_path(&file->place);
}

/* setvbuf(3) as one expects it: the C library does not look at the size without a buffer. */
static void set_buffer(struct tempfile *file)
{
	static const int modes[] = {
		[TEMPFILE_FULLY_BUFFERED] = _IOFBF,
		[TEMPFILE_LINE_BUFFERED] = _IOLBF,
		[TEMPFILE_UNBUFFERED] = _IONBF,
	};
	bool wants_buffer = file->buffering != TEMPFILE_UNBUFFERED && file->buffer_size > 0;

	if (wants_buffer)
		file->buffer = malloc(file->buffer_size);
	if (file->buffering || file->buffer)
		setvbuf(file->stream, file->buffer, modes[file->buffering],
			file->buffer ? file->buffer_size : 0);
}

FILE *tempfile_stream(struct tempfile *file)
{
	if (file->stream || file->fd < 0)
		return file->stream;
	file->stream = file->pool ? pool_stream(file) : fdopen(file->fd, file->stream_mode);
	if (file->stream)
		set_buffer(file);
	return file->stream;
}

int tempfile_keep(struct tempfile *file)
{
	int r;

	if (!file->place.path)
		return -EINVAL;
	if (file->deleted)
		return -ENOENT;
	if (!file->live) /* it is kept already */
		return 0;
	if (!temp_owner_is_here(file->owner))
		return -EPERM;
	r = temp_unmark(file->fd >= 0 ? file->fd : file->lock_fd);
	if (r == 0)
		live_remove(TAKE_PTR(file->live));
	return r;
}

void tempfile_adopt(struct tempfile *file)
{
	file->owner = temp_owner_here();
	if (file->live)
		live_adopt(file->live);
}

void tempfile_cleanup(void)
{
	live_delete_all();
}
