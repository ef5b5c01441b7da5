/* Every file of a pool is charged for its size before it grows, so that the limit is never passed,
 * not even for a moment, and a write that is refused has written nothing. What goes past the
 * library, by the descriptor, cannot be seen; so a stream of a pooled file is one of our own, and
 * there is tempfile_write() for those who want none. */
#include "tempfile/pool.h"

#include "base/io.h"
#include "base/macro.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/statvfs.h>

struct tempfile_pool {
	struct tempfile_pool_options options;
	_Atomic(uint64_t) files, bytes, peak;
};

int tempfile_pool_new(struct tempfile_pool **ret_pool, const struct tempfile_pool_options *options)
{
	struct tempfile_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->options = *options;
	*ret_pool = pool;
	return 0;
}

void tempfile_pool_free(struct tempfile_pool *pool)
{
	if (!pool)
		return;
	assert(atomic_load(&pool->files) == 0);
	free(pool);
}

struct tempfile_pool_stats tempfile_pool_stats(const struct tempfile_pool *pool)
{
	return (struct tempfile_pool_stats){
		.files = atomic_load(&pool->files),
		.bytes = atomic_load(&pool->bytes),
		.peak_bytes = atomic_load(&pool->peak),
	};
}

void pool_enter(struct tempfile_pool *pool)
{
	if (pool)
		atomic_fetch_add(&pool->files, 1);
}

void pool_leave(struct tempfile_pool *pool, uint64_t charged)
{
	if (!pool)
		return;
	atomic_fetch_sub(&pool->bytes, charged);
	atomic_fetch_sub(&pool->files, 1);
}

static void note_peak(struct tempfile_pool *pool, uint64_t bytes)
{
	uint64_t peak = atomic_load(&pool->peak);

	while (bytes > peak && !atomic_compare_exchange_weak(&pool->peak, &peak, bytes))
		;
}

static int claim(struct tempfile_pool *pool, uint64_t more)
{
	uint64_t max = pool->options.bytes_max > 0 ? pool->options.bytes_max : UINT64_MAX;
	uint64_t now = atomic_load(&pool->bytes);

	do {
		if (more > max || now > max - more)
			return -EDQUOT;
	} while (!atomic_compare_exchange_weak(&pool->bytes, &now, now + more));
	note_peak(pool, now + more);
	return 0;
}

static int check_disk(const struct tempfile *file, uint64_t more)
{
	uint64_t min = file->pool->options.free_min;
	struct statvfs fs;
	uint64_t left;

	if (min == 0)
		return 0;
	if (fstatvfs(file->fd, &fs) < 0)
		return -errno;
	if (fs.f_blocks == 0) /* it has no limit, as for files in memory */
		return 0;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	return left < more || left - more < min ? -ENOSPC : 0;
}

int pool_charge(struct tempfile *file, uint64_t end)
{
	int r;

	if (!file->pool || end <= file->charged)
		return 0;
	r = check_disk(file, end - file->charged);
	if (r == 0)
		r = claim(file->pool, end - file->charged);
	if (r == 0)
		file->charged = end;
	return r;
}

void pool_refund(struct tempfile *file, uint64_t end)
{
	if (!file->pool || end >= file->charged)
		return;
	atomic_fetch_sub(&file->pool->bytes, file->charged - end);
	file->charged = end;
}

/* Where the next write of the descriptor goes. */
static off_t write_position(const struct tempfile *file)
{
	int flags = fcntl(file->fd, F_GETFL);

	return lseek(file->fd, 0, flags >= 0 && flags & O_APPEND ? SEEK_END : SEEK_CUR);
}

/* At most `size` bytes; a count, or −errno. */
static ssize_t write_some(struct tempfile *file, const void *data, size_t size)
{
	uint64_t before = file->charged;
	off_t position = write_position(file);
	ssize_t n;
	int r = position < 0 ? -errno : pool_charge(file, (uint64_t)position + size);

	if (r < 0)
		return r;
	do
		n = write(file->fd, data, size);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)size) {
		r = n < 0 ? -errno : 0;
		pool_refund(file, MAX(before, (uint64_t)position + (uint64_t)MAX(n, (ssize_t)0)));
	}
	return n < 0 ? r : n;
}

/* All of it is charged for at once: what is refused has written nothing. */
static int write_charged(struct tempfile *file, const void *data, size_t size)
{
	uint64_t before = file->charged;
	off_t position = write_position(file);
	size_t done;
	int r = position < 0 ? -errno : pool_charge(file, (uint64_t)position + size);

	if (r < 0)
		return r;
	r = io_write_all(file->fd, data, size, &done);
	if (r < 0)
		pool_refund(file, MAX(before, (uint64_t)position + done));
	return r;
}

int tempfile_write(struct tempfile *file, const void *data, size_t size)
{
	int r = file->fd < 0 ? -EBADF : temp_flush(file);

	if (r < 0 || size == 0)
		return r;
	return file->pool ? write_charged(file, data, size)
			  : io_write_all(file->fd, data, size, NULL);
}

static ssize_t stream_read(void *cookie, char *data, size_t size)
{
	struct tempfile *file = cookie;

	return read(file->fd, data, size);
}

/* What a FILE wants to hear: a count, 0 and errno for an error. */
static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
	ssize_t n = write_some(cookie, data, size);

	if (n >= 0)
		return n;
	errno = (int)-n;
	return 0;
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
	struct tempfile *file = cookie;
	off_t position = lseek(file->fd, *offset, whence);

	if (position < 0)
		return -1;
	*offset = position;
	return 0;
}

static int stream_close(void *cookie)
{
	struct tempfile *file = cookie;

	return close(file->fd);
}

FILE *pool_stream(struct tempfile *file)
{
	int flags = fcntl(file->fd, F_GETFL);

	/* As fdopen(3) does it. */
	if (file->stream_mode[0] == 'a' &&
	    (flags < 0 || fcntl(file->fd, F_SETFL, flags | O_APPEND) < 0))
		return NULL;
	return fopencookie(file, file->stream_mode,
			   (cookie_io_functions_t){
				   .read = stream_read,
				   .write = stream_write,
				   .seek = stream_seek,
				   .close = stream_close,
			   });
}
