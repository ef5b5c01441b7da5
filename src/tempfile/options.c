/* Options: checked once, at the door, so that what is behind it never meets a NULL or a slash. A
 * prefix such as "../../etc/" must not be a way to another directory. */
#include "tempfile/options.h"

#include "tempfile/directory.h"
#include "tempfile/handle.h"
#include "tempfile/name.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Reading and writing, in any of the ways of fopen(3). */
static bool stream_mode_valid(const char *mode)
{
	return strchr("rwa", mode[0]) && mode[0] && strchr(mode, '+') &&
	       strlen(mode) < TEMP_STREAM_MODE_SIZE && strspn(mode + 1, "+bce") == strlen(mode + 1);
}

bool temp_options_valid(const struct tempfile_options *options)
{
	bool has_affix = options->prefix || options->suffix;

	if (options->name && (has_affix || !temp_name_valid(options->name)))
		return false;
	if (options->prefix && !temp_name_part_valid(options->prefix))
		return false;
	if (options->suffix && !temp_name_part_valid(options->suffix))
		return false;
	if ((unsigned)options->deletion > TEMPFILE_DELETE_NEVER ||
	    (unsigned)options->buffering > TEMPFILE_UNBUFFERED)
		return false;
	if (options->random_size > TEMP_NAME_RANDOM_MAX ||
	    (options->stream_mode && !stream_mode_valid(options->stream_mode)))
		return false;
	return (options->mode & ~(mode_t)07777) == 0;
}

int temp_options_resolve(const struct tempfile_options *options, mode_t default_mode,
			 struct tempfile_options *ret_options)
{
	struct tempfile_options resolved = {.dir = NULL};

	if (options)
		resolved = *options;
	if (!temp_options_valid(&resolved))
		return -EINVAL;
	if (!resolved.prefix)
		resolved.prefix = tempfile_gettempprefix();
	if (!resolved.suffix)
		resolved.suffix = "";
	if (!resolved.mode)
		resolved.mode = default_mode;
	if (!resolved.random_size)
		resolved.random_size = TEMP_NAME_RANDOM;
	if (!resolved.dir && !resolved.dir_fd && !resolved.memory) {
		resolved.dir = resolved.large ? temp_directory_for_much() : tempfile_gettempdir();
		if (!resolved.dir)
			return -errno;
	}
	*ret_options = resolved;
	return 0;
}
