/*
 * One job at a time for the segment that is being written: while that is synced, what comes is
 * collected for the next one, so a slow disk gets larger jobs and not more of them. A sealed
 * segment gets its own job at once, because its files are closed then. The syncer does them in this
 * order, so the marks only move forward.
 */
#include "spool/durable.h"

#include <errno.h>
#include <fcntl.h>

struct durable {
	struct durable_options options;
	struct syncer *syncer;
	struct sync_mark captured, submitted;
	bool names;  /* have changed since the last job */
	bool wanted; /* up to the last commit, as soon as possible */
	bool told;   /* that a sync has failed */
};

int durable_new(const struct durable_options *options, struct durable **ret_durable)
{
	CLEANUP(durable_free) struct durable *durable = calloc(1, sizeof(*durable));
	const struct syncer_options syncer = {
		.dir_fd = options->dir_fd,
		.lock_fd = options->lock_fd,
		.found = options->found,
		.end_seq = options->end_seq,
	};
	int r;

	if (!durable)
		return -ENOMEM;
	durable->options = *options;
	durable->captured.end_seq = durable->submitted.end_seq = options->end_seq;
	r = syncer_new(&syncer, &durable->syncer);
	if (r < 0)
		return r;
	*ret_durable = TAKE_PTR(durable);
	return 0;
}

void durable_free(struct durable *durable)
{
	if (!durable)
		return;
	syncer_free(durable->syncer);
	free(durable);
}

struct sync_progress durable_progress(struct durable *durable)
{
	return syncer_look(durable->syncer);
}

int durable_fd(const struct durable *durable)
{
	return syncer_fd(durable->syncer);
}

void durable_note_names(struct durable *durable)
{
	durable->names = true;
}

static int duplicate(int fd, int *ret_fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	*ret_fd = copy;
	return 0;
}

/* Hands the files of a writer to the syncer, up to what is captured. */
static int submit(struct durable *durable, const struct writer *writer, bool seal)
{
	struct sync_job job = {
		.data_fd = -1,
		.index_fd = -1,
		.names = durable->names || seal,
		.seal = seal,
		.first_seq = writer_committed(writer).first_seq,
		.mark = durable->captured,
	};
	int data_fd, index_fd, r;

	writer_fds(writer, &data_fd, &index_fd);
	r = duplicate(data_fd, &job.data_fd);
	if (r >= 0)
		r = duplicate(index_fd, &job.index_fd);
	if (r < 0) {
		close_fdp(&job.data_fd);
		return r;
	}
	durable->submitted = job.mark;
	durable->names = durable->wanted = false;
	syncer_submit(durable->syncer, &job);
	return 0;
}

static bool is_due(const struct durable *durable)
{
	const struct sync_mark *captured = &durable->captured, *submitted = &durable->submitted;

	if (captured->end_seq == submitted->end_seq)
		return false;
	switch (durable->options.sync) {
	case SPOOL_SYNC_EVERY:
		return true;
	case SPOOL_SYNC_BYTES:
		return captured->bytes - submitted->bytes >= durable->options.bytes;
	default:
		return durable->wanted;
	}
}

/* Submits what is due, unless the job before it is not done. */
static int go_on(struct durable *durable, const struct writer *writer)
{
	if (!writer || !is_due(durable) || syncer_look(durable->syncer).jobs > 0)
		return 0;
	return submit(durable, writer, false);
}

int durable_commit(struct durable *durable, const struct writer *writer,
		   const struct sync_mark *mark)
{
	durable->captured = *mark;
	return go_on(durable, writer);
}

int durable_wait(struct durable *durable)
{
	return syncer_wait(durable->syncer);
}

int durable_seal(struct durable *durable, const struct writer *writer, const struct sync_mark *mark)
{
	durable->captured = *mark;
	return submit(durable, writer, true);
}

int durable_want(struct durable *durable, const struct writer *writer)
{
	durable->wanted = durable->captured.end_seq != durable->submitted.end_seq;
	return go_on(durable, writer);
}

int durable_collect(struct durable *durable, const struct writer *writer)
{
	struct sync_progress progress = syncer_progress(durable->syncer);
	bool told = durable->told;

	if (progress.error == 0)
		return go_on(durable, writer);
	durable->told = true;
	return told ? 0 : progress.error;
}

bool durable_must_wait(struct durable *durable)
{
	struct sync_progress progress = syncer_look(durable->syncer);
	const struct sync_mark *captured = &durable->captured;

	if (progress.error < 0 || progress.full < 0)
		return false;
	if (durable->options.sync == SPOOL_SYNC_EVERY &&
	    captured->end_seq > progress.durable.end_seq)
		return true;
	if (durable->options.sync == SPOOL_SYNC_BYTES &&
	    (captured->bytes - progress.durable.bytes) / 2 > durable->options.bytes)
		return true;
	return progress.jobs > SYNCER_QUEUE / 2;
}

bool durable_is_busy(struct durable *durable)
{
	struct sync_progress progress = syncer_look(durable->syncer);

	return progress.error == 0 && progress.jobs > 0;
}

int durable_settle(struct durable *durable, const struct writer *writer, bool names)
{
	const struct sync_job job = {
		.data_fd = -1, .index_fd = -1, .names = true, .mark = durable->submitted};
	int r = 0;

	if (syncer_look(durable->syncer).error < 0) {
		r = durable->told ? 1 : syncer_look(durable->syncer).error;
		durable->told = true;
		return r;
	}
	if (durable_is_busy(durable))
		return 0;
	if (writer && durable->captured.end_seq != durable->submitted.end_seq)
		r = submit(durable, writer, false);
	else if (names && durable->names)
		syncer_submit(durable->syncer, &job);
	else
		return 1;
	durable->names = false;
	return r;
}
