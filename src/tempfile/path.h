/* Absolute paths, and the way to what a descriptor has open. */
#ifndef WEIR_TEMPFILE_PATH_H
#define WEIR_TEMPFILE_PATH_H

/* A copy of `path` that does not depend on the working directory, to be freed. −ENOENT for an empty
 * one, those of getcwd(3), −ENOMEM. */
int temp_path_absolute(const char *path, char **ret_path);

/* The path of an open directory, to be freed. −ENOENT: cannot be told (/proc is not mounted),
 * −ENOMEM. */
int temp_path_of_fd(int fd, char **ret_path);

#define TEMP_PATH_PROC_SIZE (sizeof("/proc/self/fd/") + 3 * sizeof(int))

/* The path in /proc that leads to what `fd` has open, in `buffer`. Async-signal-safe. */
const char *temp_path_proc(char buffer[static TEMP_PATH_PROC_SIZE], int fd);

#endif
