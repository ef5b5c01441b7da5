/* Options: checked once, at the door, so that what is behind it never meets a NULL or a slash. A
 * prefix such as "../../etc/" must not be a way to another directory. */
#include "tempfile/options.h"

#include "tempfile/name.h"

#include <errno.h>
#include <stddef.h>

static bool options_valid(const struct tempfile_options *options)
{
	bool has_affix = options->prefix || options->suffix;

	if (options->name && (has_affix || !temp_name_valid(options->name)))
		return false;
	if (options->prefix && !temp_name_part_valid(options->prefix))
		return false;
	if (options->suffix && !temp_name_part_valid(options->suffix))
		return false;
	if (options->deletion != TEMPFILE_DELETE_ON_CLOSE &&
	    options->deletion != TEMPFILE_DELETE_NEVER)
		return false;
	return (options->mode & ~(mode_t)07777) == 0;
}

int temp_options_resolve(const struct tempfile_options *options, mode_t default_mode,
			 struct tempfile_options *ret_options)
{
	struct tempfile_options resolved = {.dir = NULL};

	if (options)
		resolved = *options;
	if (!options_valid(&resolved))
		return -EINVAL;
	if (!resolved.prefix)
		resolved.prefix = tempfile_gettempprefix();
	if (!resolved.suffix)
		resolved.suffix = "";
	if (!resolved.mode)
		resolved.mode = default_mode;
	if (!resolved.dir && !resolved.dir_fd) {
		resolved.dir = tempfile_gettempdir();
		if (!resolved.dir)
			return -errno;
	}
	*ret_options = resolved;
	return 0;
}
