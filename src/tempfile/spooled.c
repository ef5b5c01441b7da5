/* A file that begins in memory. As long as it fits into its limit, and all of them together into
 * the budget of the process, it is a block of memory; then it becomes a temporary file, once and
 * for good.
 *
 * That happens before a byte is written that would not fit, so that a disk which is full or not
 * there costs nothing of what was written before: the write fails, and all else is as it was. */
#include "base/macro.h"
#include "tempfile/options.h"
#include "tempfile/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <tempfile.h>

#define ROOM_MIN ((size_t)4096)
#define LINE_STEP ((size_t)4096)

struct tempfile_spooled {
	struct tempfile *file; /* NULL while it is in memory; then it has the position too */
	char *data;
	size_t size, room, memory_max;
	off_t position;
	struct tempfile_options options;
	char *dir, *prefix, *suffix; /* what the options point to */
};

static _Atomic(uint64_t) budget = UINT64_MAX, used;

/* Takes memory from the budget; false: there is not so much of it left. */
static bool take(size_t size)
{
	uint64_t now = atomic_load(&used);

	do {
		if (size > atomic_load(&budget) || now > atomic_load(&budget) - size)
			return false;
	} while (!atomic_compare_exchange_weak(&used, &now, now + size));
	return true;
}

static void give_back(size_t size)
{
	atomic_fetch_sub(&used, size);
}

void tempfile_set_spooled_budget(uint64_t bytes)
{
	atomic_store(&budget, bytes > 0 ? bytes : UINT64_MAX);
}

static int copy_text(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

static int copy_options(struct tempfile_spooled *spooled, const struct tempfile_options *options)
{
	int r = copy_text(options->dir, &spooled->dir);

	if (r == 0)
		r = copy_text(options->prefix, &spooled->prefix);
	if (r == 0)
		r = copy_text(options->suffix, &spooled->suffix);
	spooled->options = *options;
	spooled->options.dir = spooled->dir;
	spooled->options.prefix = spooled->prefix;
	spooled->options.suffix = spooled->suffix;
	return r;
}

int tempfile_spooled_open_with(struct tempfile_spooled **ret_spooled,
			       const struct tempfile_options *options)
{
	struct tempfile_spooled *spooled;
	int r;

	/* What is made later must not turn out to be impossible only then. */
	if (!options || options->memory_max == 0 || options->dir_fd || options->name ||
	    options->deletion != TEMPFILE_DELETE_ON_CLOSE || !temp_options_valid(options))
		return -EINVAL;
	spooled = calloc(1, sizeof(*spooled));
	if (!spooled)
		return -ENOMEM;
	spooled->memory_max = options->memory_max;
	r = copy_options(spooled, options);
	if (r < 0)
		tempfile_spooled_close(&spooled);
	else
		*ret_spooled = spooled;
	return r;
}

static void free_memory(struct tempfile_spooled *spooled)
{
	free(spooled->data);
	give_back(spooled->room);
	spooled->data = NULL;
	spooled->room = spooled->size = 0;
}

int tempfile_spooled_close(struct tempfile_spooled **spooled_pointer)
{
	struct tempfile_spooled *spooled = spooled_pointer ? TAKE_PTR(*spooled_pointer) : NULL;
	int r;

	if (!spooled)
		return 0;
	r = tempfile_close(&spooled->file);
	free_memory(spooled);
	free(spooled->dir);
	free(spooled->prefix);
	free(spooled->suffix);
	free(spooled);
	return r;
}

int tempfile_spooled_rollover(struct tempfile_spooled *spooled)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	int r;

	if (spooled->file)
		return 0;
	r = tempfile_open_anonymous_with(&file, &spooled->options);
	if (r < 0)
		return r;
	r = tempfile_write(file, spooled->data, spooled->size);
	if (r == 0 && lseek(tempfile_fd(file), spooled->position, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return r;
	spooled->file = TAKE_PTR(file);
	free_memory(spooled);
	return 0;
}

int tempfile_spooled_file(struct tempfile_spooled *spooled, struct tempfile **ret_file)
{
	int r = tempfile_spooled_rollover(spooled);

	if (r == 0)
		*ret_file = spooled->file;
	return r;
}

bool tempfile_spooled_is_in_memory(const struct tempfile_spooled *spooled)
{
	return !spooled->file;
}

/* Makes the memory so large, with zeros; or goes to the disk, when it may not be. */
static int extend(struct tempfile_spooled *spooled, uint64_t size)
{
	size_t room;
	char *data;

	if (size > spooled->memory_max)
		return tempfile_spooled_rollover(spooled);
	if (size > spooled->room) {
		room = MIN(MAX(MAX((size_t)size, spooled->room * 2), ROOM_MIN),
			   spooled->memory_max);
		if (!take(room - spooled->room))
			return tempfile_spooled_rollover(spooled);
		data = realloc(spooled->data, room);
		if (!data) {
			give_back(room - spooled->room);
			return tempfile_spooled_rollover(spooled);
		}
		spooled->data = data;
		spooled->room = room;
	}
	if (size > spooled->size) {
		memset(spooled->data + spooled->size, 0, (size_t)size - spooled->size);
		spooled->size = (size_t)size;
	}
	return 0;
}

int tempfile_spooled_write(struct tempfile_spooled *spooled, const void *data, size_t size)
{
	uint64_t end;
	int r;

	if (size == 0)
		return 0;
	if (!spooled->file && spooled->options.append)
		spooled->position = (off_t)spooled->size;
	end = (uint64_t)spooled->position + size;
	if (!spooled->file && end > INT64_MAX)
		return -EFBIG;
	r = spooled->file ? 0 : extend(spooled, MAX(end, (uint64_t)spooled->size));
	if (r < 0)
		return r;
	if (spooled->file)
		return tempfile_write(spooled->file, data, size);
	assert(spooled->data); /* extend() has made room */
	memcpy(spooled->data + spooled->position, data, size);
	spooled->position = (off_t)end;
	return 0;
}

/* What is there from the position on, in memory. */
static size_t left(const struct tempfile_spooled *spooled)
{
	uint64_t position = (uint64_t)spooled->position;

	return position < spooled->size ? spooled->size - (size_t)position : 0;
}

ssize_t tempfile_spooled_read(struct tempfile_spooled *spooled, void *data, size_t size)
{
	ssize_t n;

	if (!spooled->file) {
		size = MIN(size, left(spooled));
		if (size > 0)
			memcpy(data, spooled->data + spooled->position, size);
		spooled->position += (off_t)size;
		return (ssize_t)size;
	}
	do
		n = read(tempfile_fd(spooled->file), data, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int tempfile_spooled_seek(struct tempfile_spooled *spooled, off_t offset, int whence,
			  off_t *ret_position)
{
	off_t base = whence == SEEK_CUR	  ? spooled->position
		     : whence == SEEK_END ? (off_t)spooled->size
					  : 0;
	off_t position;

	if (spooled->file) {
		position = lseek(tempfile_fd(spooled->file), offset, whence);
		if (position < 0)
			return -errno;
	} else {
		if ((whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) ||
		    __builtin_add_overflow(base, offset, &position) || position < 0)
			return -EINVAL;
		spooled->position = position;
	}
	if (ret_position)
		*ret_position = position;
	return 0;
}

int tempfile_spooled_truncate(struct tempfile_spooled *spooled, off_t size)
{
	int r;

	if (size < 0)
		return -EINVAL;
	if (!spooled->file && (uint64_t)size <= spooled->size) {
		spooled->size = (size_t)size;
		return 0;
	}
	r = spooled->file ? 0 : extend(spooled, (uint64_t)size);
	if (r < 0 || !spooled->file)
		return r;
	r = pool_charge(spooled->file, (uint64_t)size);
	if (r == 0 && ftruncate(tempfile_fd(spooled->file), size) < 0)
		r = -errno;
	return r;
}

/* Makes room for `more` bytes and a NUL behind the `size` that a line has. */
static int grow_line(char **line, size_t *room, size_t size, size_t more)
{
	size_t wanted = size + more + 1;
	char *larger;

	if (*line && wanted <= *room)
		return 0;
	wanted = MAX(wanted, *room * 2);
	larger = realloc(*line, wanted);
	if (!larger)
		return -ENOMEM;
	*line = larger;
	*room = wanted;
	return 0;
}

/* Reads the next part of a line behind the `*size` bytes of it. 0: there is more; 1: this was the
 * end of it, or of the file; −errno. */
static int read_line_part(struct tempfile_spooled *spooled, char **line, size_t *room, size_t *size)
{
	char *newline;
	ssize_t n;
	off_t behind;
	int r = grow_line(line, room, *size, LINE_STEP);

	if (r < 0)
		return r;
	n = tempfile_spooled_read(spooled, *line + *size, LINE_STEP);
	if (n <= 0)
		return n < 0 ? (int)n : 1;
	newline = memchr(*line + *size, '\n', (size_t)n);
	*size += (size_t)n;
	if (!newline)
		return 0;
	behind = *line + *size - (newline + 1); /* that is for the next time */
	*size -= (size_t)behind;
	r = tempfile_spooled_seek(spooled, -behind, SEEK_CUR, NULL);
	return r < 0 ? r : 1;
}

ssize_t tempfile_spooled_getline(struct tempfile_spooled *spooled, char **line, size_t *room)
{
	size_t size = 0;
	int r = 0;

	if (!*line)
		*room = 0;
	while (r == 0)
		r = read_line_part(spooled, line, room, &size);
	if (r < 0) { /* as if nothing had been read */
		tempfile_spooled_seek(spooled, -(off_t)size, SEEK_CUR, NULL);
		return r;
	}
	(*line)[size] = '\0';
	return (ssize_t)size;
}
