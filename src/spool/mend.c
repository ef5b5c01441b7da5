/*
 * Two files cannot be replaced by one rename. So there is one that decides: the clean index is a
 * draft until both clean files are whole and on the disk. When it has its second name, .index.new,
 * all that is left are renames, and whoever finds it can do the rest of them; without it, the clean
 * files are deleted, and nothing has happened.
 *
 * While .data.new is there, .data is still the damaged file. So each step can be told from the
 * names that are there, and be done again.
 */
#include "spool/mend.h"

#include "base/macro.h"
#include "spool/appender.h"
#include "spool/aside.h"
#include "spool/listing.h"
#include "spool/segment.h"

#include <errno.h>
#include <unistd.h>

static int delete_drafts(int dir_fd, uint64_t seq)
{
	int r = segment_delete_file(dir_fd, seq, FORMAT_DRAFT_SUFFIX);

	return r < 0 ? r : segment_delete_file(dir_fd, seq, FORMAT_DATA_NEW_SUFFIX);
}

/* 1: it is decided that the clean files are the segment. 0: it was not, and they are deleted. */
static int settle(int dir_fd, uint64_t seq)
{
	int r = listing_has(dir_fd, seq, FORMAT_INDEX_NEW_SUFFIX);

	return r != 0 ? r : delete_drafts(dir_fd, seq);
}

int mend_finish(int dir_fd, uint64_t first_seq)
{
	int r = settle(dir_fd, first_seq);

	if (r <= 0)
		return r;
	r = listing_has(dir_fd, first_seq, FORMAT_DATA_NEW_SUFFIX);
	if (r > 0) {
		r = aside_put(dir_fd, first_seq, FORMAT_INDEX_SUFFIX);
		if (r >= 0)
			r = aside_put(dir_fd, first_seq, FORMAT_PACKED_SUFFIX);
		if (r >= 0)
			r = aside_put(dir_fd, first_seq, FORMAT_DATA_SUFFIX);
		if (r >= 0)
			r = segment_rename_file(dir_fd, first_seq, FORMAT_DATA_NEW_SUFFIX,
						FORMAT_DATA_SUFFIX);
	}
	if (r >= 0)
		r = segment_rename_file(dir_fd, first_seq, FORMAT_INDEX_NEW_SUFFIX,
					FORMAT_INDEX_SUFFIX);
	if (r >= 0 && fsync(dir_fd) < 0)
		r = -errno;
	return r;
}

/* The draft becomes the index that decides, once both files are on the disk. */
static int decide(int dir_fd, uint64_t seq, int index_fd, int data_fd)
{
	int r;

	if (fdatasync(data_fd) < 0 || fdatasync(index_fd) < 0)
		return -errno;
	r = segment_rename_file(dir_fd, seq, FORMAT_DRAFT_SUFFIX, FORMAT_INDEX_NEW_SUFFIX);
	return r >= 0 && fsync(dir_fd) < 0 ? -errno : r;
}

static int write_clean(const struct mend_options *options, struct salvage_source *source,
		       struct salvage_report *ret_report)
{
	int dir_fd = options->dir_fd, r;
	uint64_t seq = options->first_seq;
	CLEANUP_FD int data_fd = segment_create_file(dir_fd, seq, FORMAT_DATA_NEW_SUFFIX);
	CLEANUP_FD int index_fd = segment_create_file(dir_fd, seq, FORMAT_DRAFT_SUFFIX);

	if (data_fd < 0 || index_fd < 0)
		return MIN(data_fd, index_fd);
	r = salvage_copy(source, index_fd, data_fd, ret_report);
	if (r < 0 || !salvage_found_damage(ret_report))
		return r;
	return decide(dir_fd, seq, index_fd, data_fd);
}

/* What the clean files take at most: an event of ours may come to it at either end. */
static uint64_t cost(const struct salvage_source *source)
{
	return source->data_size + source->index_size + (uint64_t)4 * APPENDER_BLOCK;
}

int mend_segment(const struct mend_options *options, struct salvage_report *ret_report)
{
	struct salvage_report report = {0};
	CLEANUP(salvage_close)
	struct salvage_source source = {
		.first_seq = options->first_seq,
		.end_seq = options->end_seq,
		.sealed = true,
	};
	/* An earlier attempt may have failed behind its decision. */
	int r = mend_finish(options->dir_fd, options->first_seq);

	if (r >= 0)
		r = salvage_open_segment(&source, options->dir_fd);
	if (r >= 0 && cost(&source) > options->spare)
		r = -ENOSPC;
	if (r >= 0)
		r = write_clean(options, &source, &report);
	if (r >= 0 && salvage_found_damage(&report))
		r = mend_finish(options->dir_fd, options->first_seq);
	else
		settle(options->dir_fd, options->first_seq);
	if (r >= 0)
		*ret_report = report;
	return r;
}
