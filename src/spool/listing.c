/*
 * A directory gives its names in any order, and some of them make one segment. They are all
 * read, sorted by sequence number, and those of one segment merged.
 */
#include "spool/listing.h"

#include "base/array.h"
#include "base/io.h"
#include "base/macro.h"
#include "spool/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int add(struct listing *listing, size_t *room, struct listing_entry entry)
{
	void *entries = array_grow(listing->entries, listing->count, room, sizeof(entry));

	if (!entries)
		return -ENOMEM;
	listing->entries = entries;
	listing->entries[listing->count++] = entry;
	return 0;
}

/* Some file systems do not say in the directory what a file is. */
static bool is_regular(int dir_fd, const struct dirent *found)
{
	struct stat status;

	if (found->d_type != DT_UNKNOWN)
		return found->d_type == DT_REG;
	return fstatat(dir_fd, found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(status.st_mode);
}

struct flag {
	const char *suffix;
	size_t place; /* of the flag in struct listing_entry */
};

/* A compressed file is data and index. */
static const struct flag flags[] = {
	{FORMAT_DATA_SUFFIX, offsetof(struct listing_entry, data)},
	{FORMAT_INDEX_SUFFIX, offsetof(struct listing_entry, sealed)},
	{FORMAT_OPEN_SUFFIX, offsetof(struct listing_entry, open)},
	{FORMAT_PACKED_SUFFIX, offsetof(struct listing_entry, packed)},
	{FORMAT_PACKING_SUFFIX, offsetof(struct listing_entry, packing)},
	{FORMAT_DATA_CUT_SUFFIX, offsetof(struct listing_entry, cut)},
	{FORMAT_INDEX_CUT_SUFFIX, offsetof(struct listing_entry, cut)},
	{FORMAT_DATA_NEW_SUFFIX, offsetof(struct listing_entry, fresh)},
	{FORMAT_DRAFT_SUFFIX, offsetof(struct listing_entry, fresh)},
	{FORMAT_INDEX_NEW_SUFFIX, offsetof(struct listing_entry, fresh)},
};

static void raise_flag(struct listing_entry *entry, const struct flag *flag)
{
	*(bool *)((char *)entry + flag->place) = true;
	entry->data |= entry->packed;
	entry->sealed |= entry->packed;
}

/* Notes what a file of a segment says of it. False: its suffix is none of ours. */
static bool note_suffix(struct listing_entry *entry, const char *suffix)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (strcmp(suffix, flags[i].suffix) == 0) {
			raise_flag(entry, &flags[i]);
			return true;
		}
	return false;
}

static int add_name(struct listing *listing, size_t *room, int dir_fd, const struct dirent *found)
{
	struct listing_entry entry = {0};
	const char *name = found->d_name, *suffix;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (strcmp(name, FORMAT_LOCK_NAME) == 0) {
		listing->has_lock = true;
		return 0;
	}
	suffix = format_parse_number(name, &entry.first_seq);
	if (suffix && note_suffix(&entry, suffix)) {
		entry.odd = !is_regular(dir_fd, found);
		return add(listing, room, entry);
	}
	if (suffix && listing_is_aside(suffix))
		listing->asides++;
	else
		listing->foreign++;
	return 0;
}

const char *listing_suffix(const struct listing_entry *entry)
{
	if (entry->packed)
		return FORMAT_PACKED_SUFFIX;
	if (entry->sealed)
		return FORMAT_INDEX_SUFFIX;
	return entry->open ? FORMAT_OPEN_SUFFIX : FORMAT_DATA_SUFFIX;
}

static int by_sequence(const void *a, const void *b)
{
	const struct listing_entry *first = a, *second = b;

	return (first->first_seq > second->first_seq) - (first->first_seq < second->first_seq);
}

static void merge(struct listing *listing)
{
	size_t kept = 0;

	qsort(listing->entries, listing->count, sizeof(*listing->entries), by_sequence);
	for (size_t i = 0; i < listing->count; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		struct listing_entry *last = &listing->entries[kept > 0 ? kept - 1 : 0];

		if (kept > 0 && last->first_seq == entry->first_seq) {
			last->data |= entry->data;
			last->sealed |= entry->sealed;
			last->open |= entry->open;
			last->packed |= entry->packed;
			last->packing |= entry->packing;
			last->cut |= entry->cut;
			last->fresh |= entry->fresh;
			last->odd |= entry->odd;
		} else {
			listing->entries[kept++] = *entry;
		}
	}
	listing->count = kept;
}

int listing_read(int dir_fd, struct listing *ret_listing)
{
	CLEANUP(listing_done) struct listing listing = {0};
	CLEANUP(io_close_names) DIR *names = NULL;
	struct dirent *found;
	size_t room = 0;
	int r = io_open_names(dir_fd, &names);

	if (r < 0)
		return r;
	while ((errno = 0, found = readdir(names))) {
		r = add_name(&listing, &room, dir_fd, found);
		if (r < 0)
			return r;
	}
	if (errno != 0)
		return -errno;
	if (listing.count > 0)
		merge(&listing);
	*ret_listing = listing;
	listing = (struct listing){0};
	return 0;
}

void listing_done(struct listing *listing)
{
	free(listing->entries);
	*listing = (struct listing){0};
}

int listing_has(int dir_fd, uint64_t first_seq, const char *suffix)
{
	char name[FORMAT_NAME_SIZE];
	struct stat status;

	if (fstatat(dir_fd, format_name(name, first_seq, suffix), &status, AT_SYMLINK_NOFOLLOW) ==
	    0)
		return true;
	return errno == ENOENT ? false : -errno;
}

int listing_look_again(int dir_fd, struct listing_entry *entry)
{
	struct listing_entry now = {.first_seq = entry->first_seq, .odd = entry->odd};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		int r = listing_has(dir_fd, entry->first_seq, flags[i].suffix);

		if (r < 0)
			return r;
		if (r > 0)
			raise_flag(&now, &flags[i]);
	}
	*entry = now;
	return 0;
}

bool listing_is_suffix(const char *suffix)
{
	struct listing_entry entry = {0};

	return note_suffix(&entry, suffix);
}

bool listing_is_aside(const char *suffix)
{
	const char *ending = strstr(suffix, FORMAT_ASIDE_SUFFIX);
	const char *number = ending ? ending + strlen(FORMAT_ASIDE_SUFFIX) : "";
	char before[FORMAT_NAME_SIZE];

	if (!*number || number[strspn(number, "0123456789")])
		return false;
	snprintf(before, sizeof(before), "%.*s", (int)(ending - suffix), suffix);
	return listing_is_suffix(before);
}
