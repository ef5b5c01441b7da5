/* Absolute paths. */
#ifndef WEIR_TEMPFILE_PATH_H
#define WEIR_TEMPFILE_PATH_H

/* A copy of `path` that does not depend on the working directory, to be freed. −ENOENT for an empty
 * one, those of getcwd(3), −ENOMEM. */
int temp_path_absolute(const char *path, char **ret_path);

/* The path of an open directory, to be freed. −ENOENT: cannot be told (/proc is not mounted),
 * −ENOMEM. */
int temp_path_of_fd(int fd, char **ret_path);

#endif
