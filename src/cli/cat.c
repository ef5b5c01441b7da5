/*
 * weir cat: every whole message of a spool, in order, each followed by a newline. It takes no lock
 * and changes nothing, so that it can look at a spool that is in use, or was left by a process that
 * was killed.
 */
#include "base/macro.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/say.h"
#include "spool/listing.h"
#include "spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <weir.h>

#define OUTPUT_BUFFER KIB(256)

static const char *reason(int error)
{
	switch (error) {
	case -EBADMSG:
		return "it is damaged";
	case -ENOMSG:
		return "it is not an index of weir";
	case -EPROTO:
		return "it was written by another version of weir";
	case -ELOOP:
		return "it is a symbolic link";
	default:
		return strerror(-error);
	}
}

static int print_payload(struct reader *reader, const struct record *record)
{
	static uint8_t piece[KIB(64)];
	uint64_t done = 0;
	ssize_t n;

	if (record->payload) {
		fwrite(record->payload, 1, (size_t)record->entry.length, stdout);
	} else {
		while ((n = reader_payload(reader, done, piece, sizeof(piece))) > 0) {
			fwrite(piece, 1, (size_t)n, stdout);
			done += (uint64_t)n;
		}
		if (n < 0)
			return (int)n;
	}
	putchar(FORMAT_SEPARATOR);
	return 0;
}

/* Prints one segment. Returns the number of records that could not be. */
static uint64_t print_records(struct reader *reader, const char *path, uint64_t first_seq,
			      bool sealed)
{
	char name[FORMAT_NAME_SIZE];
	struct record record;
	uint64_t damaged = 0, seq = first_seq;
	int r;

	for (; (r = reader_next(reader, &record)) != 0 && !ferror(stdout); seq++) {
		if (r > 0 && format_is_event(&record.entry))
			continue;
		if (r > 0)
			r = print_payload(reader, &record);
		if (r >= 0)
			continue;
		if (r == -EBADMSG && !sealed)
			break; /* what a writer that died, or has not got further, leaves */
		format_name(name, first_seq, sealed ? FORMAT_INDEX_SUFFIX : FORMAT_OPEN_SUFFIX);
		say_error("%s/%s: record %" PRIu64 " cannot be read: %s", path, name, seq,
			  reason(r));
		damaged++;
		if (r != -EBADMSG)
			break;
	}
	return damaged;
}

/* Opens a segment, which may be sealed by its owner in the same moment. */
static int open_segment(int dir_fd, const struct listing_entry *entry, bool *ret_sealed,
			struct reader **ret_reader)
{
	int r = -ENOENT;

	*ret_sealed = entry->sealed;
	if (!entry->sealed)
		r = reader_open(dir_fd, entry->first_seq, false, ret_reader);
	if (r == -ENOENT) {
		r = reader_open(dir_fd, entry->first_seq, true, ret_reader);
		*ret_sealed |= r >= 0;
	}
	return r;
}

static int print_segment(int dir_fd, const char *path, const struct listing_entry *entry)
{
	CLEANUP(reader_free) struct reader *reader = NULL;
	char name[FORMAT_NAME_SIZE];
	bool sealed;
	int r;

	if (!entry->sealed && !entry->open)
		return 0; /* data that no index speaks of does not count */
	r = open_segment(dir_fd, entry, &sealed, &reader);
	if (r == -ENOENT || (r == -EBADMSG && !sealed))
		return 0; /* acknowledged meanwhile; or its writer died before the header */
	if (r < 0) {
		say_error("%s/%s cannot be read: %s", path,
			  format_name(name, entry->first_seq, FORMAT_INDEX_SUFFIX), reason(r));
		return WEIR_STORAGE;
	}
	return print_records(reader, path, entry->first_seq, sealed) > 0 ? WEIR_STORAGE : 0;
}

static int print_spool(const char *path)
{
	CLEANUP(listing_done) struct listing listing = {0};
	CLEANUP_FD int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir_fd < 0 ? -errno : listing_read(dir_fd, &listing);
	int code = 0;

	if (r < 0) {
		say_error("cannot open the spool %s: %s", path, strerror(-r));
		return WEIR_STORAGE;
	}
	if (!listing.has_lock && listing.count == 0 && listing.foreign > 0) {
		say_error("%s is not a spool of weir", path);
		return WEIR_STORAGE;
	}
	for (size_t i = 0; i < listing.count && !ferror(stdout); i++)
		code = MAX(code, print_segment(dir_fd, path, &listing.entries[i]));
	return code;
}

int command_cat(int argc, char **argv)
{
	static char buffer[OUTPUT_BUFFER];
	static const struct usage usage = {
		.command = "weir cat",
		.synopsis = "SPOOL",
		.summary =
			"Prints every message in the directory SPOOL to standard output, in order,\n"
			"each followed by a newline. The spool may be in use.",
	};
	int rest, code;

	code = arguments_parse(&usage, argc, argv, &rest);
	if (code != ARGUMENTS_OK)
		return code;
	if (argc - rest != 1) {
		say_error("which spool? One directory is to be named");
		say_hint("see weir cat --help");
		return WEIR_USAGE;
	}
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	return print_spool(argv[rest]);
}
