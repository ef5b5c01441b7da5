/*
 * A directory that is neither empty nor a spool is somebody else's, and a version that is not known
 * may not be touched. Looking at the first and the last segment, and at what was left unfinished,
 * costs next to nothing and finds it but for the strangest mixtures.
 */
#include "spool/admit.h"

#include "base/io.h"
#include "base/macro.h"
#include "spool/codec.h"
#include "spool/format.h"
#include "spool/note.h"
#include "spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Others have files named "lock" too, and most of them are empty. One that cannot be read is for
 * who locks it to tell. */
int admit_contents(int dir_fd, const struct listing *listing)
{
	struct note note;
	bool has_note;

	if (listing->count > 0 || !listing->has_lock)
		return listing->count > 0 || listing->foreign == 0 ? 0 : -EMEDIUMTYPE;
	if (note_look(dir_fd, &note) < 0)
		return 0;
	has_note = note.kind > NOTE_FOREIGN;
	return has_note || (note.kind == NOTE_NONE && listing->foreign == 0) ? 0 : -EMEDIUMTYPE;
}

static bool is_index_of_other(int dir_fd, uint64_t first_seq, const char *suffix)
{
	struct format_header header;
	uint8_t bytes[FORMAT_HEADER_SIZE];
	char name[FORMAT_NAME_SIZE];
	struct stat status;
	CLEANUP_FD int fd = -1;

	format_name(name, first_seq, suffix);
	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return false;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 && io_pread_all(fd, bytes, sizeof(bytes), 0) == sizeof(bytes) &&
	       format_read_header(bytes, &header) == FORMAT_UNKNOWN;
}

static bool is_packed_of_other(int dir_fd, uint64_t first_seq)
{
	CLEANUP(reader_free) struct reader *reader = NULL;

	return reader_open(dir_fd, first_seq, true, &reader) == -EPROTO;
}

static bool is_of_other(int dir_fd, const struct listing_entry *entry)
{
	static const char *const suffixes[] = {FORMAT_INDEX_SUFFIX, FORMAT_OPEN_SUFFIX,
					       FORMAT_INDEX_NEW_SUFFIX};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (is_index_of_other(dir_fd, entry->first_seq, suffixes[i]))
			return true;
	return entry->packed && !entry->odd && is_packed_of_other(dir_fd, entry->first_seq);
}

static bool is_complete(const struct listing_entry *entry)
{
	return entry->sealed && !entry->open && !entry->fresh;
}

int admit_versions(int dir_fd, const struct listing *listing)
{
	size_t first = 0, last = listing->count;

	while (first < last && !listing->entries[first].sealed)
		first++;
	while (last > first && !listing->entries[last - 1].sealed)
		last--;
	for (size_t i = 0; i < listing->count; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		bool unreadable = entry->packed && !codec_exists();

		if (unreadable || ((i == first || i + 1 == last || !is_complete(entry)) &&
				   is_of_other(dir_fd, entry)))
			return -EPROTO;
	}
	return 0;
}
