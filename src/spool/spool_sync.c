/*
 * Where what the spool does meets what is to be synced. With sync, a segment comes out only when it
 * is durable: whoever processed one never meets its number again with something else behind it,
 * whatever a loss of power took. And it is deleted only when the number behind it is durable in the
 * lock file, since nothing else would tell it then.
 */
#include "spool/spool_state.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/vfs.h>

static bool is_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int spool_begin_sync(struct spool *spool)
{
	struct durable_options options = {
		.sync = spool->options.sync,
		.bytes = spool->options.sync_bytes,
		.dir_fd = spool->directory.fd,
		.lock_fd = spool->directory.lock_fd,
		.found = spool->first,
		.end_seq = spool->next_seq,
	};

	if (options.sync == SPOOL_SYNC_NONE)
		return 0;
	if (is_memory(spool->directory.fd))
		return -EOPNOTSUPP;
	return durable_new(&options, &spool->durable);
}

/* How far the run has come with what is committed in the open segment. */
static struct sync_mark captured(const struct spool *spool)
{
	struct segment open = writer_committed(spool->writer);

	return (struct sync_mark){
		.end_seq = open.first_seq + open.records,
		.messages = spool->done.messages + open.messages,
		.bytes = spool->done.bytes + open.bytes,
	};
}

int spool_sync_commit(struct spool *spool)
{
	struct sync_mark mark = captured(spool);

	return durable_commit(spool->durable, spool->writer, &mark);
}

int spool_sync_seal(struct spool *spool)
{
	struct sync_mark mark;

	if (!spool->durable)
		return 0;
	mark = captured(spool);
	return durable_seal(spool->durable, spool->writer, &mark);
}

static bool is_safe(const struct spool *spool, const struct segment *segment)
{
	return segment->first_seq + segment->records <= spool_durable(spool).sealed_seq;
}

bool spool_may_take(const struct spool *spool, const struct segment *segment)
{
	return !spool->durable || spool->options.take_early || is_safe(spool, segment);
}

bool spool_may_delete(const struct spool *spool, const struct segment *segment)
{
	return !spool->durable || is_safe(spool, segment);
}

struct sync_progress spool_durable(const struct spool *spool)
{
	return spool->durable ? durable_progress(spool->durable)
			      : (struct sync_progress){.jobs = 0};
}

int spool_sync_fd(const struct spool *spool)
{
	return spool->durable ? durable_fd(spool->durable) : -1;
}

/* Of those that were acknowledged, what may be deleted now. */
static int delete_acked(struct spool *spool)
{
	struct segment **at = &spool->acked;
	int error = 0;

	while (*at) {
		struct segment *segment = *at;
		int r;

		if (!is_safe(spool, segment)) {
			at = &segment->next;
			continue;
		}
		*at = segment->next;
		r = spool_delete(spool, segment);
		error = error < 0 ? error : r;
	}
	return error;
}

int spool_collect(struct spool *spool)
{
	int r = spool->durable ? durable_collect(spool->durable, spool->writer) : 0;
	int deleted = delete_acked(spool);

	spool_pack_more(spool); /* which waits for segments to be durable */
	return r < 0 ? r : deleted;
}

int spool_sync(struct spool *spool)
{
	return spool->durable ? durable_want(spool->durable, spool->writer) : 0;
}

bool spool_must_wait(const struct spool *spool)
{
	return spool->durable && durable_must_wait(spool->durable);
}

bool spool_is_syncing(const struct spool *spool)
{
	return spool->durable && durable_is_busy(spool->durable);
}

/* The changes of names in a spool that is deleted next are nobody's concern. */
int spool_settle(struct spool *spool)
{
	bool stays = spool->options.path || spool->writer || spool->sealed_bytes > 0;

	return spool->durable ? durable_settle(spool->durable, spool->writer, stays) : 1;
}
