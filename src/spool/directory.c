/*
 * Who holds the lock on the file "lock" owns the spool. The file is never deleted while the spool
 * lives, since a lock on a deleted file would exclude nobody.
 */
#include "spool/directory.h"

#include "base/macro.h"
#include "spool/admit.h"
#include "spool/format.h"
#include "spool/note.h"
#include "spool/owner.h"
#include "spool/pack.h"
#include "spool/space.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <tempfile.h>
#include <time.h>

#define DEFAULT_PREFIX "weir-"
#define LOCK_TRIES 5
#define ORPHAN_TRIES 100 /* where whoever took the lock is dead */
#define LOCK_WAIT_NS (20 * 1000 * 1000)

void directory_init(struct spool_directory *directory)
{
	*directory = (struct spool_directory){.fd = -1, .lock_fd = -1};
}

void directory_done(struct spool_directory *directory)
{
	close_fdp(&directory->lock_fd);
	close_fdp(&directory->fd);
	listing_done(&directory->found);
	free(directory->path);
	directory_init(directory);
}

/* Who was killed while it started a COMMAND lives on in it, lock and all, until that has become
 * another program. Or nobody has it by now. */
static bool is_orphaned(int dir_fd)
{
	struct owner owner;

	if (owner_probe(dir_fd, &owner) < 0)
		return false;
	return !owner.alive || (owner.pid > 0 && kill(owner.pid, 0) < 0 && errno == ESRCH);
}

/* Who only looks whether there is an owner may hold the lock for a moment: see owner.c. */
static int take_lock(int dir_fd, int fd)
{
	const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};

	for (int i = 1; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (i == ORPHAN_TRIES || (i >= LOCK_TRIES && !is_orphaned(dir_fd)))
			return -EWOULDBLOCK;
		nanosleep(&wait, NULL);
	}
	return 0;
}

/* What is not a regular file is none of ours, and opening it must not wait. */
static int open_lock(int dir_fd)
{
	CLEANUP_FD int fd = openat(dir_fd, FORMAT_LOCK_NAME,
				   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat status;

	if (fd < 0)
		return errno == ELOOP || errno == EISDIR ? -EMEDIUMTYPE : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? take_fd(&fd) : -EMEDIUMTYPE;
}

bool directory_has_lock(int dir_fd, int lock_fd)
{
	struct stat held, named;

	return fstat(lock_fd, &held) == 0 &&
	       fstatat(dir_fd, FORMAT_LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static int open_and_lock(struct spool_directory *directory)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int r;

		close_fdp(&directory->lock_fd);
		directory->lock_fd = open_lock(directory->fd);
		if (directory->lock_fd < 0)
			return directory->lock_fd;
		r = take_lock(directory->fd, directory->lock_fd);
		if (r < 0 || directory_has_lock(directory->fd, directory->lock_fd))
			return r;
	}
	return -EWOULDBLOCK;
}

/* Looks at what is there. */
static int look(struct spool_directory *directory)
{
	int r;

	listing_done(&directory->found);
	r = listing_read(directory->fd, &directory->found);
	if (r >= 0)
		r = admit_contents(directory->fd, &directory->found);
	return r < 0 ? r : admit_versions(directory->fd, &directory->found);
}

/* A note that cannot be read must not be written again as another one. */
static int take_note(struct spool_directory *directory)
{
	struct note note;
	int r = note_read(directory->lock_fd, &note);

	if (r < 0)
		return r;
	directory->noted_seq = note.next_seq;
	directory->same_boot = owner_is_of_this_boot(directory->lock_fd);
	/* Only for others: without space for it, the spool is ours all the same. */
	if (note_write(directory->lock_fd, note.next_seq) >= 0)
		owner_note(directory->lock_fd, NOTE_SIZE, directory->same_boot);
	return 0;
}

/* Its owner, until now, may have changed everything before it was locked. */
static int lock(struct spool_directory *directory)
{
	int r = open_and_lock(directory);

	if (r >= 0)
		r = look(directory);
	return r < 0 ? r : take_note(directory);
}

static bool has_note(int dir_fd)
{
	struct note note;

	return note_look(dir_fd, &note) >= 0 && note.kind == NOTE_WHOLE;
}

bool directory_is_spool(int dir_fd, const struct listing *listing)
{
	return listing->count > 0 || (listing->has_lock && has_note(dir_fd));
}

static int open_at(struct spool_directory *directory, const char *path)
{
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0)
		return -errno;
	directory->path = realpath(path, NULL);
	return directory->path ? 0 : -errno;
}

int directory_open(struct spool_directory *directory, const char *path)
{
	int r;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = open_at(directory, path);
	if (r >= 0 && faccessat(directory->fd, ".", W_OK, AT_EACCESS) < 0)
		r = -errno;
	if (r >= 0 && !has_note(directory->fd)) /* a lock of others is not locked, and none made */
		r = look(directory);
	return r < 0 ? r : lock(directory);
}

int directory_make(struct spool_directory *directory, const char *dir, const char *prefix,
		   const char *suffix)
{
	int r = tempfile_mkdir(&directory->path, .dir = dir, .suffix = suffix,
			       .prefix = prefix ? prefix : DEFAULT_PREFIX);

	if (r < 0)
		return r;
	directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = directory->fd < 0 ? -errno : lock(directory);
	if (r < 0)
		directory_remove(directory);
	return r;
}

/* What cannot work at all is told at the start, not with the first message. */
static int try_file(const struct spool_directory *directory)
{
	TEMPFILE_AUTO struct tempfile *file = NULL;
	CLEANUP_FD int fd = -1;
	int r = tempfile_open_anonymous(&file, .dir_fd = &directory->fd);

	return r < 0 ? r : tempfile_reopen(file, O_RDONLY, &fd);
}

int directory_borrow(struct spool_directory *directory, const char *dir)
{
	if (!dir)
		dir = tempfile_gettempdir();
	if (!dir)
		return -errno;
	directory->fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0)
		return -errno;
	directory->path = realpath(dir, NULL);
	return directory->path ? try_file(directory) : -errno;
}

int directory_remove(struct spool_directory *directory)
{
	if (directory->fd >= 0 && unlinkat(directory->fd, FORMAT_LOCK_NAME, 0) < 0 &&
	    errno != ENOENT)
		return -errno;
	return rmdir(directory->path) < 0 ? -errno : 0;
}

void directory_note_settled(struct spool_directory *directory)
{
	if (!directory->same_boot)
		owner_note(directory->lock_fd, NOTE_SIZE, true);
	directory->same_boot = true;
}

int directory_note_seq(const struct spool_directory *directory, uint64_t next_seq)
{
	return note_write(directory->lock_fd, next_seq);
}

/* One that cannot be read is found out when it is to be handed on. */
static int measure_packed(const struct spool_directory *directory, struct segment *segment)
{
	struct pack_sizes sizes = {0};
	int r = pack_measure(directory->fd, segment->first_seq, true, &sizes);

	if (r < 0 && r != -EBADMSG)
		return r;
	segment->disk_bytes = sizes.disk_bytes;
	segment->records = format_count_entries(sizes.index_size);
	return 0;
}

static uint64_t space_of_file(const struct spool_directory *directory,
			      const struct segment *segment, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	format_name(name, segment->first_seq, suffix);
	return fstatat(directory->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? 0
									      : space_of(&status);
}

int directory_measure(const struct spool_directory *directory, struct segment *segment)
{
	char name[FORMAT_NAME_SIZE];
	struct stat data, index;

	if (segment->packed)
		return measure_packed(directory, segment);
	format_name(name, segment->first_seq, FORMAT_DATA_SUFFIX);
	if (fstatat(directory->fd, name, &data, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	format_name(name, segment->first_seq, FORMAT_INDEX_SUFFIX);
	if (fstatat(directory->fd, name, &index, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	segment->disk_bytes = space_of(&data) + space_of(&index);
	if (segment->has_cuts)
		segment->disk_bytes += space_of_file(directory, segment, FORMAT_DATA_CUT_SUFFIX) +
				       space_of_file(directory, segment, FORMAT_INDEX_CUT_SUFFIX);
	segment->records = format_count_entries((uint64_t)index.st_size);
	return 0;
}
