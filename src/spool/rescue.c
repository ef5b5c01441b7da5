/*
 * What is under the names of a spool is better than what was put aside: as a rule, an aside is the
 * damaged original of a segment that was mended, and holds nothing more. But when the mended one
 * was processed since, it is all that there is. So asides come last, and one whose numbers are
 * there already is left out.
 *
 * A file that was put aside has a number of its own behind its name, and data and index that belong
 * together have the same one as a rule. Where that data does not fit, the others are tried.
 */
#include "spool/rescue.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/listing.h"
#include "spool/note.h"
#include "spool/segment.h"
#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE (FORMAT_NAME_SIZE + 16)

struct range {
	uint64_t first, end;
};

struct aside {
	uint64_t first_seq;
	uint32_t number;
	bool index, sealed, used;
	char name[NAME_SIZE];
};

struct state {
	const struct rescue *rescue;
	struct rescue_totals totals;
	struct range *ranges; /* what is saved */
	size_t range_count, range_room;
	struct aside *asides;
	size_t aside_count, aside_room;
};

static void state_donep(struct state *state)
{
	free(state->ranges);
	free(state->asides);
}

static void tell(struct state *state, enum rescue_kind kind, const char *name, int error)
{
	const struct rescue_news news = {.kind = kind, .name = name, .error = error};

	state->totals.left_out++;
	state->rescue->tell(state->rescue->data, &news);
}

static bool overlaps(const struct state *state, uint64_t first, uint64_t end)
{
	for (size_t i = state->range_count; i > 0; i--)
		if (first < state->ranges[i - 1].end && state->ranges[i - 1].first < end)
			return true;
	return false;
}

/* Whether there are records under all of these numbers. */
static bool is_there(const struct state *state, uint64_t first, uint64_t end)
{
	for (size_t i = state->range_count; i > 0; i--)
		if (state->ranges[i - 1].first <= first && end <= state->ranges[i - 1].end)
			return true;
	return false;
}

static int add_range(struct state *state, uint64_t first, uint64_t end)
{
	if (state->range_count > 0 && state->ranges[state->range_count - 1].end == first) {
		state->ranges[state->range_count - 1].end = end;
		return 0;
	}
	if (state->range_count == state->range_room) {
		size_t room = MAX(state->range_room * 2, (size_t)64);
		void *ranges = reallocarray(state->ranges, room, sizeof(*state->ranges));

		if (!ranges)
			return -ENOMEM;
		state->ranges = ranges;
		state->range_room = room;
	}
	state->ranges[state->range_count++] = (struct range){first, end};
	return 0;
}

/* Until its index has its name, a segment is an open one, as after a death. */
static int write_copy(const struct state *state, struct salvage_source *source,
		      struct salvage_report *ret_report)
{
	int to_fd = state->rescue->to->fd, r;
	uint64_t seq = source->first_seq;
	CLEANUP_FD int data_fd = segment_create_file(to_fd, seq, FORMAT_DATA_SUFFIX);
	CLEANUP_FD int index_fd = segment_create_file(to_fd, seq, FORMAT_OPEN_SUFFIX);

	if (data_fd < 0 || index_fd < 0)
		return MIN(data_fd, index_fd);
	r = salvage_copy(source, index_fd, data_fd, ret_report);
	if (r >= 0 && ret_report->records > 0)
		return segment_rename(to_fd, seq);
	segment_delete(to_fd, seq, FORMAT_OPEN_SUFFIX);
	return r;
}

static int count(struct state *state, const char *name, uint64_t seq,
		 const struct salvage_report *report)
{
	const struct rescue_news news = {.kind = RESCUE_DAMAGED, .name = name, .report = report};
	struct rescue_totals *totals = &state->totals;

	totals->segments++;
	totals->records += report->whole;
	totals->messages += report->messages;
	totals->bytes += report->bytes;
	totals->lost += report->damaged + report->missing;
	if (salvage_found_damage(report))
		state->rescue->tell(state->rescue->data, &news);
	return add_range(state, seq, seq + report->records);
}

/* What is wrong with the damaged spool is told; an error is one of writing. */
static bool is_of_source(int error)
{
	return error == -EBADMSG || error == -EPROTO || error == -ELOOP || error == -EMEDIUMTYPE ||
	       error == -ENOENT || error == -EACCES || error == -EISDIR || error == -EIO;
}

/* Whether a segment that says that it holds the number of the next one does so. */
static bool holds_what_it_says(const struct state *state, const struct salvage_source *source)
{
	struct segment segment = {.first_seq = source->first_seq};

	return source->sealed && segment_check(state->rescue->from_fd, &segment) >= 0;
}

static int save_opened(struct state *state, struct salvage_source *source, const char *name)
{
	uint64_t end = source->first_seq + format_count_entries(source->index_size);
	struct salvage_report report = {0};
	int r;

	if (overlaps(state, source->first_seq, source->first_seq + 1)) {
		tell(state, RESCUE_OVERLAP, name, 0);
		return 0;
	}
	if (source->end_seq > 0 && end > source->end_seq && holds_what_it_says(state, source))
		source->end_seq = end;
	r = write_copy(state, source, &report);
	return r < 0 || report.records == 0 ? r : count(state, name, source->first_seq, &report);
}

static int save_segment(struct state *state, const struct listing_entry *entry, uint64_t end_seq)
{
	CLEANUP(salvage_close)
	struct salvage_source source = {
		.first_seq = entry->first_seq, .end_seq = end_seq, .sealed = entry->sealed};
	char name[FORMAT_NAME_SIZE];
	int r = entry->odd ? -EMEDIUMTYPE : 0;

	format_name(name, entry->first_seq, listing_suffix(entry));
	if (r >= 0)
		r = salvage_open_segment(&source, state->rescue->from_fd);
	if (r >= 0)
		r = save_opened(state, &source, name);
	if (r >= 0 || !is_of_source(r))
		return r;
	tell(state, r == -ENOENT ? RESCUE_UNUSED : RESCUE_UNREADABLE, name, r);
	return 0;
}

/* A sealed segment ends where the next one begins; the last, at the number in the lock. */
static int save_segments(struct state *state, const struct listing *listing, uint64_t noted)
{
	for (size_t i = 0; i < listing->count; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		bool last = i + 1 == listing->count;
		uint64_t end_seq = last ? 0 : entry[1].first_seq;
		int r = 0;

		if (last && entry->sealed && noted > entry->first_seq)
			end_seq = noted;
		if (listing_is_segment(entry))
			r = save_segment(state, entry, end_seq);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ".index.aside3", ".index.open.aside1", ".data.aside2" */
static bool parse_aside(struct aside *aside, const char *name)
{
	const char *suffix = format_parse_number(name, &aside->first_seq);
	const char *ending = suffix ? strstr(suffix, FORMAT_ASIDE_SUFFIX) : NULL;
	size_t size = ending ? (size_t)(ending - suffix) : 0;
	char *end;

	if (!ending || strlen(name) >= sizeof(aside->name))
		return false;
	aside->sealed = strncmp(suffix, FORMAT_INDEX_SUFFIX, size) == 0 &&
			size == strlen(FORMAT_INDEX_SUFFIX);
	aside->index = aside->sealed || (strncmp(suffix, FORMAT_OPEN_SUFFIX, size) == 0 &&
					 size == strlen(FORMAT_OPEN_SUFFIX));
	aside->number = (uint32_t)strtoul(ending + strlen(FORMAT_ASIDE_SUFFIX), &end, 10);
	memcpy(aside->name, name, strlen(name) + 1);
	return aside->index || (strncmp(suffix, FORMAT_DATA_SUFFIX, size) == 0 &&
				size == strlen(FORMAT_DATA_SUFFIX));
}

static int add_aside(struct state *state, const struct aside *aside)
{
	if (state->aside_count == state->aside_room) {
		size_t room = MAX(state->aside_room * 2, (size_t)16);
		void *asides = reallocarray(state->asides, room, sizeof(*state->asides));

		if (!asides)
			return -ENOMEM;
		state->asides = asides;
		state->aside_room = room;
	}
	state->asides[state->aside_count++] = *aside;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct aside *first = a, *second = b;

	if (first->first_seq != second->first_seq)
		return first->first_seq < second->first_seq ? -1 : 1;
	return (first->number > second->number) - (first->number < second->number);
}

static int find_asides(struct state *state)
{
	CLEANUP(io_close_names) DIR *names = NULL;
	struct dirent *found;
	int r = io_open_names(state->rescue->from_fd, &names);

	if (r < 0)
		return r;
	while ((errno = 0, found = readdir(names))) {
		struct aside aside = {0};

		r = parse_aside(&aside, found->d_name) ? add_aside(state, &aside) : 0;
		if (r < 0)
			return r;
	}
	if (errno != 0)
		return -errno;
	if (state->aside_count > 0)
		qsort(state->asides, state->aside_count, sizeof(*state->asides), by_place);
	return 0;
}

/* 1: saved. 0: not with this data. */
static int try_pair(struct state *state, struct aside *index, struct aside *data)
{
	CLEANUP(salvage_close)
	struct salvage_source source = {.first_seq = index->first_seq, .sealed = index->sealed};
	struct salvage_report report = {0};
	int r = salvage_open(&source, state->rescue->from_fd, index->name, data->name);

	if (r < 0)
		return is_of_source(r) ? 0 : r;
	source.end_seq = index->first_seq + MAX(format_count_entries(source.index_size),
						reader_records(source.reader));
	if (overlaps(state, index->first_seq, source.end_seq)) {
		if (!is_there(state, index->first_seq,
			      index->first_seq + format_count_entries(source.index_size)))
			tell(state, RESCUE_OVERLAP, index->name, 0);
		index->used = data->used = true;
		return 1;
	}
	if (source.end_seq == index->first_seq)
		return 0;
	r = write_copy(state, &source, &report);
	if (r < 0)
		return is_of_source(r) ? 0 : r;
	if (report.messages == 0 && report.damaged > 0) { /* that of another index */
		segment_delete(state->rescue->to->fd, index->first_seq, FORMAT_INDEX_SUFFIX);
		return 0;
	}
	index->used = data->used = true;
	r = count(state, index->name, index->first_seq, &report);
	return r < 0 ? r : 1;
}

/* The data with the number of the index first. */
static int save_aside(struct state *state, struct aside *index)
{
	for (int same = 1; same >= 0; same--)
		for (size_t i = 0; i < state->aside_count; i++) {
			struct aside *data = &state->asides[i];
			int r;

			if (data->index || data->first_seq != index->first_seq ||
			    (data->number == index->number) != same)
				continue;
			r = try_pair(state, index, data);
			if (r != 0)
				return MIN(r, 0);
		}
	return 0;
}

static int save_asides(struct state *state)
{
	int r = find_asides(state);

	for (size_t i = 0; r >= 0 && i < state->aside_count; i++)
		if (state->asides[i].index)
			r = save_aside(state, &state->asides[i]);
	for (size_t i = 0; r >= 0 && i < state->aside_count; i++)
		if (!state->asides[i].used)
			tell(state, RESCUE_UNUSED, state->asides[i].name, 0);
	return r;
}

int rescue_spool(const struct rescue *rescue, struct rescue_totals *ret_totals)
{
	CLEANUP(state_done) struct state state = {.rescue = rescue};
	CLEANUP(listing_done) struct listing listing = {0};
	struct note note = {0};
	uint64_t next_seq = 0;
	int r = listing_read(rescue->from_fd, &listing);

	if (note_look(rescue->from_fd, &note) >= 0 && note.next_seq <= SPOOL_SEQ_MAX)
		next_seq = note.next_seq; /* no spool gets further */
	if (r >= 0)
		r = save_segments(&state, &listing, next_seq);
	if (r >= 0)
		r = save_asides(&state);
	if (r < 0)
		return r;
	for (size_t i = 0; i < state.range_count; i++)
		next_seq = MAX(next_seq, state.ranges[i].end);
	r = directory_note_seq(rescue->to, next_seq);
	if (r >= 0 && syncfs(rescue->to->fd) < 0)
		r = -errno;
	*ret_totals = state.totals;
	return r;
}
