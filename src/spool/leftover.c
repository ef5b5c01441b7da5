/*
 * Names say what a file is. Only what has a name of ours and is a regular file is ever deleted; the
 * order is that of an acknowledgement, so that somebody who is killed in between leaves what a
 * start knows how to finish.
 */
#include "spool/leftover.h"

#include "base/clock.h"
#include "base/macro.h"
#include "spool/directory.h"
#include "spool/format.h"
#include "spool/note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum kind {
	FOREIGN,
	DATA,  /* holds messages */
	INDEX, /* says where they are, or is of no use alone */
	ASIDE,
	LOCK,
};

static enum kind kind_of_name(const char *name)
{
	/* While a segment is mended, the clean copy may be all that there is. */
	static const char *const data[] = {FORMAT_DATA_SUFFIX, FORMAT_PACKED_SUFFIX,
					   FORMAT_DATA_NEW_SUFFIX};
	static const char *const index[] = {FORMAT_INDEX_SUFFIX, FORMAT_OPEN_SUFFIX,
					    FORMAT_PACKING_SUFFIX, FORMAT_DRAFT_SUFFIX,
					    FORMAT_INDEX_NEW_SUFFIX};
	static const char *const cut[] = {FORMAT_DATA_CUT_SUFFIX, FORMAT_INDEX_CUT_SUFFIX};
	uint64_t seq;
	const char *suffix = format_parse_number(name, &seq);

	if (strcmp(name, FORMAT_LOCK_NAME) == 0)
		return LOCK;
	for (size_t i = 0; suffix && i < ARRAY_SIZE(data); i++)
		if (strcmp(suffix, data[i]) == 0)
			return DATA;
	for (size_t i = 0; suffix && i < ARRAY_SIZE(index); i++)
		if (strcmp(suffix, index[i]) == 0)
			return INDEX;
	for (size_t i = 0; suffix && i < ARRAY_SIZE(cut); i++)
		if (strcmp(suffix, cut[i]) == 0)
			return ASIDE;
	return suffix && listing_is_aside(suffix) ? ASIDE : FOREIGN;
}

typedef int visitor(void *data, int dir_fd, const char *name, const struct stat *status);

/* Visits all that is in the directory now. What is gone already is passed over. */
static int each(int dir_fd, visitor *visit, void *data)
{
	struct dirent **names;
	int count = scandirat(dir_fd, ".", &names, NULL, NULL);
	int r = count < 0 ? -errno : 0;

	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;
		struct stat status;

		if (r >= 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
		    fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
			r = visit(data, dir_fd, name, &status);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return r;
}

static uint64_t time_of(const struct stat *status)
{
	return (uint64_t)status->st_mtim.tv_sec * NS_PER_S + (uint64_t)status->st_mtim.tv_nsec;
}

static int measure(void *data, int dir_fd, const char *name, const struct stat *status)
{
	struct leftover *leftover = data;
	uint64_t size = (uint64_t)status->st_size;

	(void)dir_fd;
	leftover->changed_ns = MAX(leftover->changed_ns, time_of(status));
	if (!S_ISREG(status->st_mode)) {
		leftover->foreign++;
		return 0;
	}
	switch (kind_of_name(name)) {
	case FOREIGN:
		leftover->foreign++;
		break;
	case DATA:
		leftover->data_bytes += size;
		break;
	case ASIDE:
		leftover->asides++;
		leftover->aside_bytes += size;
		break;
	case INDEX:
	case LOCK:
		break;
	}
	return 0;
}

int leftover_look(int dir_fd, struct leftover *ret_leftover)
{
	struct leftover leftover = {0};
	struct note note;
	struct stat status;
	int r;

	if (fstat(dir_fd, &status) < 0)
		return -errno;
	leftover.ours = status.st_uid == geteuid() && note_look(dir_fd, &note) >= 0 &&
			note.kind == NOTE_WHOLE;
	leftover.changed_ns = time_of(&status);
	r = each(dir_fd, measure, &leftover);
	if (r < 0)
		return r;
	*ret_leftover = leftover;
	return 0;
}

int leftover_lock(int dir_fd, int *ret_lock_fd)
{
	CLEANUP_FD int fd =
		openat(dir_fd, FORMAT_LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (!directory_has_lock(dir_fd, fd))
		return -EWOULDBLOCK;
	*ret_lock_fd = take_fd(&fd);
	return 0;
}

static int delete_one(void *data, int dir_fd, const char *name, const struct stat *status)
{
	const enum kind *kind = data;

	if (!S_ISREG(status->st_mode) || kind_of_name(name) != *kind)
		return 0;
	return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int delete_kind(int dir_fd, enum kind kind)
{
	return each(dir_fd, delete_one, &kind);
}

int leftover_delete_asides(int dir_fd)
{
	return delete_kind(dir_fd, ASIDE);
}

int leftover_delete(int dir_fd)
{
	static const enum kind order[] = {DATA, ASIDE, INDEX, LOCK};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(order); i++)
		r = delete_kind(dir_fd, order[i]);
	return r;
}
