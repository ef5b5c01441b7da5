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

#include "base/array.h"
#include "base/io.h"
#include "base/macro.h"
#include "spool/listing.h"
#include "spool/note.h"
#include "spool/ranges.h"
#include "spool/segment.h"
#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE (FORMAT_NAME_SIZE + 16)

struct aside {
	uint64_t first_seq;
	uint32_t number;
	bool index, sealed, used;
	bool packed; /* index and data in one */
	char name[NAME_SIZE];
};

struct state {
	const struct rescue *rescue;
	struct rescue_totals totals;
	/* What is saved: of segments, and of asides. */
	struct ranges segments, from_asides;
	struct ranges *adding; /* the one of them that grows */
	struct aside *asides;
	size_t aside_count, aside_room;
};

static void state_donep(struct state *state)
{
	ranges_done(&state->segments);
	ranges_done(&state->from_asides);
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
	return ranges_overlap(&state->segments, first, end) ||
	       ranges_overlap(&state->from_asides, first, end);
}

/* Whether there are records under all of these numbers. */
static bool is_there(const struct state *state, uint64_t first, uint64_t end)
{
	return ranges_hold(&state->segments, first, end) ||
	       ranges_hold(&state->from_asides, first, end);
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
	return ranges_add(state->adding, seq, seq + report->records);
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

/* ".index.aside3", ".index.open.aside1", ".data.aside2", ".data.zst.aside1" */
static bool parse_aside(struct aside *aside, const char *name)
{
	const char *suffix = format_parse_number(name, &aside->first_seq);
	const char *ending = suffix ? strstr(suffix, FORMAT_ASIDE_SUFFIX) : NULL;
	char of[FORMAT_NAME_SIZE];

	if (!ending || strlen(name) >= sizeof(aside->name))
		return false;
	snprintf(of, sizeof(of), "%.*s", (int)(ending - suffix), suffix);
	aside->packed = strcmp(of, FORMAT_PACKED_SUFFIX) == 0;
	aside->sealed = aside->packed || strcmp(of, FORMAT_INDEX_SUFFIX) == 0;
	aside->index = aside->sealed || strcmp(of, FORMAT_OPEN_SUFFIX) == 0;
	aside->number = (uint32_t)strtoul(ending + strlen(FORMAT_ASIDE_SUFFIX), NULL, 10);
	memcpy(aside->name, name, strlen(name) + 1);
	return aside->index || strcmp(of, FORMAT_DATA_SUFFIX) == 0;
}

static int add_aside(struct state *state, const struct aside *aside)
{
	struct aside *asides =
		array_grow(state->asides, state->aside_count, &state->aside_room, sizeof(*asides));

	if (!asides)
		return -ENOMEM;
	state->asides = asides;
	asides[state->aside_count++] = *aside;
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

/* The entries that an index has, or says that it had. */
static uint64_t count_records(const struct salvage_source *source)
{
	return MAX(format_count_entries(source->index_size), reader_records(source->reader));
}

/* 1: saved, or there already. 0: not with this data. */
static int save_opened_aside(struct state *state, struct aside *index,
			     struct salvage_source *source)
{
	uint64_t first = index->first_seq;
	struct salvage_report report = {0};
	int r;

	source->end_seq = first + count_records(source);
	if (overlaps(state, first, source->end_seq)) {
		if (!is_there(state, first, first + format_count_entries(source->index_size)))
			tell(state, RESCUE_OVERLAP, index->name, 0);
		return 1;
	}
	if (source->end_seq == first)
		return 0;
	r = write_copy(state, source, &report);
	if (r < 0)
		return is_of_source(r) ? 0 : r;
	if (report.messages == 0 && report.damaged > 0) { /* that of another index */
		segment_delete(state->rescue->to->fd, first, FORMAT_INDEX_SUFFIX);
		return 0;
	}
	r = count(state, index->name, first, &report);
	return r < 0 ? r : 1;
}

/* `data`: the same, when both are in one file. */
static int try_pair(struct state *state, struct aside *index, struct aside *data)
{
	CLEANUP(salvage_close)
	struct salvage_source source = {.first_seq = index->first_seq, .sealed = index->sealed};
	int from_fd = state->rescue->from_fd;
	int r = index->packed ? salvage_open_packed(&source, from_fd, index->name)
			      : salvage_open(&source, from_fd, index->name, data->name);

	if (r < 0)
		return is_of_source(r) ? 0 : r;
	r = save_opened_aside(state, index, &source);
	if (r > 0)
		index->used = data->used = true;
	return r;
}

/* The data with the number of the index first. */
static int save_aside(struct state *state, struct aside *index)
{
	if (index->packed)
		return MIN(try_pair(state, index, index), 0);
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

	state->adding = &state->from_asides;
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
	state.adding = &state.segments;
	if (r >= 0)
		r = save_segments(&state, &listing, next_seq);
	if (r >= 0)
		r = save_asides(&state);
	if (r < 0)
		return r;
	next_seq = MAX(next_seq, ranges_end(&state.segments));
	next_seq = MAX(next_seq, ranges_end(&state.from_asides));
	r = directory_note_seq(rescue->to, next_seq);
	if (r >= 0 && syncfs(rescue->to->fd) < 0)
		r = -errno;
	*ret_totals = state.totals;
	return r;
}
