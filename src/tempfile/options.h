/* The options of a call, checked and with every default filled in. */
#ifndef WEIR_TEMPFILE_OPTIONS_H
#define WEIR_TEMPFILE_OPTIONS_H

#include <tempfile.h>

/* Whether no option is one that cannot be. */
bool temp_options_valid(const struct tempfile_options *options);

/* `options` may be NULL. Of the result, `dir` is set unless there is a dir_fd; prefix, suffix and
 * mode are always set. −EINVAL as tempfile.h says; those of tempfile_gettempdir(). */
int temp_options_resolve(const struct tempfile_options *options, mode_t default_mode,
			 struct tempfile_options *ret_options);

#endif
