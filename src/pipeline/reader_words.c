/* The reader says some things by numbers of errors that strerror(3) has other words for. */
#include "pipeline/reader_words.h"

#include "spool/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define PLACE_SIZE 64

const char *reader_words(int error)
{
	switch (error) {
	case -EBADMSG:
		return "it is damaged";
	case -ENOMSG:
		return "it is not an index of weir";
	case -EPROTO:
		return codec_exists() ? "it was written by another version of weir"
				      : "it was written by another version of weir, or with "
					"--compress, for which this one was built without libzstd";
	case -ENOENT:
		return "it is missing";
	case -EBUSY:
		return "a capture died while the segment was written anew; the next one finishes "
		       "that";
	case -EEXIST:
		return "its numbers are those of the segment before";
	case -ELOOP:
		return "it is a symbolic link";
	case -EISDIR:
	case -ESPIPE:
		return "it is no regular file";
	default:
		return strerror(-error);
	}
}

/* Which records it is about, or what else of the segment. */
static void describe_place(char to[PLACE_SIZE], const struct cursor_fault *fault)
{
	uint64_t last = fault->at_end ? fault->seq + fault->missing - 1 : fault->last_seq;

	if (!fault->of_record && !fault->at_end)
		to[0] = '\0';
	else if (fault->at_end && fault->missing == 0)
		snprintf(to, PLACE_SIZE, ": its end");
	else if (last > fault->seq)
		snprintf(to, PLACE_SIZE, ": records %" PRIu64 " to %" PRIu64, fault->seq, last);
	else
		snprintf(to, PLACE_SIZE, ": record %" PRIu64, fault->seq);
}

const char *reader_words_fault(char to[READER_WORDS_SIZE], const char *path,
			       const struct cursor_fault *fault, int error)
{
	char name[FORMAT_NAME_SIZE], place[PLACE_SIZE];

	if (fault->of_directory) {
		snprintf(to, READER_WORDS_SIZE, "cannot look into the spool %s: %s", path,
			 strerror(-error));
		return to;
	}
	format_name(name, fault->first_seq, fault->suffix);
	if (fault->of_header) {
		snprintf(
			to, READER_WORDS_SIZE,
			"%s/%s: its header is damaged, or the table of the compressed segment; its "
			"records are read without it",
			path, name);
		return to;
	}
	describe_place(place, fault);
	snprintf(to, READER_WORDS_SIZE, "%s/%s%s cannot be read: %s", path, name, place,
		 reader_words(error));
	return to;
}

const char *reader_words_spool(char to[READER_WORDS_SIZE], const char *path, int error)
{
	if (error == -EMEDIUMTYPE)
		snprintf(to, READER_WORDS_SIZE, "%s is not a spool of weir", path);
	else if (error == -EWOULDBLOCK)
		snprintf(to, READER_WORDS_SIZE, "the spool %s is in use by another process", path);
	else
		snprintf(to, READER_WORDS_SIZE, "cannot open the spool %s: %s", path,
			 error == -EPROTO ? reader_words(error) : strerror(-error));
	return to;
}
