/* libtempfile: temporary files and directories, as Python's tempfile module makes them.
 *
 *	struct tempfile *file = NULL;
 *	int r = tempfile_open(&file, .dir = ".", .prefix = "report-", .suffix = ".csv");
 *	if (r < 0)
 *		return r;
 *	fprintf(tempfile_stream(file), "a,b,c\n");
 *	r = tempfile_close(&file);                  (closed, deleted, `file` is NULL)
 *
 * Options are designated initialisers behind the first argument, in any order; those that are left
 * out have Python's defaults. tempfile_open(&file) alone is fine.
 *
 * Errors are negative errno values: -ENOSPC is what the system would call ENOSPC. What a function
 * returns by pointer is only written when it succeeds.
 *
 * A file is made locked (flock(2), exclusive) and stays so while it is open: in a directory of
 * temporary files, a file of this library whose lock is free has no living owner. Where the file
 * system allows it the lock is taken before the file has a name. A lock that cannot be taken at all
 * (a network file system without a lock service) is an error.
 *
 * Several threads may call everything here at once, but one struct tempfile is for one thread at a
 * time. No function prints, exits or installs a signal handler. */
#ifndef TEMPFILE_H
#define TEMPFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TEMPFILE_API __attribute__((visibility("default")))

/* One temporary file. Made by tempfile_open() or tempfile_open_anonymous(), freed by
 * tempfile_close(). */
struct tempfile;

/* When a named file is deleted. */
enum tempfile_deletion {
	TEMPFILE_DELETE_ON_CLOSE = 0, /* Python: delete=True */
	TEMPFILE_DELETE_NEVER,	      /* Python: delete=False */
};

/* Every member may be 0 or NULL, which is Python's default. The strings and the descriptor stay the
 * caller's and are not needed any more once the call has returned. */
struct tempfile_options {
	/* Where it is made; NULL: in tempfile_gettempdir(). May be relative, also to `dir_fd`. */
	const char *dir;

	/* Points to the descriptor of a directory that takes the place of the working directory, as
	 * in openat(2): `.dir_fd = &fd` makes the file there, `.dir` is then relative to it. The
	 * file is found again, to be deleted, also when the directory was renamed. */
	const int *dir_fd;

	/* The name begins and ends with these, any bytes (UTF-8 too) but '/', and not "..".
	 * prefix NULL: tempfile_gettempprefix(); suffix NULL: nothing. */
	const char *prefix;
	const char *suffix;

	/* Exactly this name instead of a random one (then no prefix and suffix): -EEXIST when there
	 * is such a file already. */
	const char *name;

	/* Permissions, exactly these whatever the umask is; 0: 0600 for files, 0700 for
	 * directories. */
	mode_t mode;

	enum tempfile_deletion deletion;

	/* Programs started by exec(3) get the descriptor too. By default they do not. */
	bool inherit;

	/* Every write goes to the end of the file (Python: mode="a+b"). */
	bool append;

	/* The macros below put their first argument here. Not looked at by any function. */
	union {
		struct tempfile **file;
		char **path;
	} first_argument_;
};

/* Python: NamedTemporaryFile(). Makes a file, opens it for reading and writing, and stores a handle
 * in *ret_file, to be given to tempfile_close(). Call it by the macro tempfile_open(&file,
 * options…), or, with options that are reused or from C++, as tempfile_open_with(&file, &options);
 * NULL options are all defaults.
 *
 * -EINVAL: a prefix, suffix or name that cannot be part of a name ('/', "..", an empty name), a
 * name together with a prefix or suffix, a mode beyond 07777. -EEXIST: `name` is taken, or 100
 * random names were. -EAGAIN: somebody locks or deletes every file that we make as soon as it is
 * there. -ENOENT: the directory does not exist, or `dir` is NULL and no directory for temporary
 * files can be written to. Else what open(2), linkat(2), flock(2) and getrandom(2) say, as
 * -ENOTDIR, -EACCES, -EROFS, -ENOSPC, -EMFILE, -ENAMETOOLONG, -ENOLCK. Nothing is left behind. */
TEMPFILE_API int tempfile_open_with(struct tempfile **ret_file,
				    const struct tempfile_options *options);

/* Python: TemporaryFile(). A file without a name: the system gives its space back when it is
 * closed, also when the process is killed. Prefix and suffix are used only on file systems that
 * cannot make a file without a name: there it has one for a moment. -EINVAL also for the options
 * `name` and TEMPFILE_DELETE_NEVER, which have no meaning here. It is not locked. By the macro:
 * tempfile_open_anonymous(&file, options…). */
TEMPFILE_API int tempfile_open_anonymous_with(struct tempfile **ret_file,
					      const struct tempfile_options *options);

/* Python: mkdtemp(). Makes a directory and stores its absolute path in *ret_path, to be given to
 * free(3). The caller removes the directory. Looks at the options dir, dir_fd, prefix, suffix, name
 * and mode; errors as above. With dir_fd the path is read from /proc: -ENOENT when that is not
 * mounted. By the macro: tempfile_mkdir(&path, options…). */
TEMPFILE_API int tempfile_mkdir_with(char **ret_path, const struct tempfile_options *options);

#ifndef __cplusplus

#define tempfile_open(...)                                                                         \
	tempfile_open_(&(const struct tempfile_options){.first_argument_.file = __VA_ARGS__})
#define tempfile_open_anonymous(...)                                                               \
	tempfile_open_anonymous_(                                                                  \
		&(const struct tempfile_options){.first_argument_.file = __VA_ARGS__})
#define tempfile_mkdir(...)                                                                        \
	tempfile_mkdir_(&(const struct tempfile_options){.first_argument_.path = __VA_ARGS__})

static inline int tempfile_open_(const struct tempfile_options *options)
{
	return tempfile_open_with(options->first_argument_.file, options);
}

static inline int tempfile_open_anonymous_(const struct tempfile_options *options)
{
	return tempfile_open_anonymous_with(options->first_argument_.file, options);
}

static inline int tempfile_mkdir_(const struct tempfile_options *options)
{
	return tempfile_mkdir_with(options->first_argument_.path, options);
}

#endif

/* Python: file.close(). Writes what the stream still holds, deletes the file (unless it is to be
 * kept), closes it, frees the handle and sets *file to NULL, all of that in any case. Returns the
 * first error: a write of the stream that failed, now or earlier (-ENOSPC, -EIO, …), or what
 * unlinkat(2) and close(2) say. NULL, and a pointer to NULL, are fine and give 0.
 *
 * Deleted is only what is ours: when the file was already deleted, renamed or replaced by another
 * one, what is there is left alone. In a forked child the file is closed, not deleted, and
 * what the stream holds is the parent's to write. */
TEMPFILE_API int tempfile_close(struct tempfile **file);

/* `TEMPFILE_AUTO struct tempfile *file = NULL;` is closed at the end of its scope. */
#define TEMPFILE_AUTO __attribute__((cleanup(tempfile_close)))

/* Python: file.fileno(). The descriptor, which stays the handle's: never close it. */
TEMPFILE_API int tempfile_fd(const struct tempfile *file);

/* Python: file.name. The absolute path at which the file was made, valid until tempfile_close(),
 * the same whatever the working directory is by then. NULL for an anonymous file, and for one made
 * by dir_fd while /proc is not mounted. */
TEMPFILE_API const char *tempfile_path(const struct tempfile *file);

/* Python: the file object itself, mode "w+b". A stream over the same descriptor, made by the first
 * call, always the same one. It stays the handle's: never fclose(3) it. NULL and errno (ENOMEM)
 * when there is no memory for it. As with any stream, fflush(3) it before a fork(2), and before
 * using the descriptor. */
TEMPFILE_API FILE *tempfile_stream(struct tempfile *file);

/* The file is not deleted any more (Python: delete=False, decided later). -EINVAL for an anonymous
 * file: it has no name to be kept under. */
TEMPFILE_API int tempfile_keep(struct tempfile *file);

/* Python: gettempdir(). The absolute path of the directory for temporary files: the first of
 * $TMPDIR, $TEMP, $TMP, /tmp, /var/tmp, /usr/tmp and the working directory in which a file can
 * really be made and written. Searched once, then remembered. The string is never freed: it stays
 * valid for as long as the process lives. NULL and errno when there is none (ENOENT), or no memory.
 * The environment of a set-user-ID program is not looked at. */
TEMPFILE_API const char *tempfile_gettempdir(void);

/* Python: tempfile.tempdir = dir. Takes `dir` (made absolute, not probed) for the directory from
 * now on; NULL: forgets the one that is remembered, so that it is searched for again. The string is
 * copied. -ENOENT: empty, or relative while the working directory was deleted; -ENOMEM. */
TEMPFILE_API int tempfile_set_tempdir(const char *dir);

/* Python: gettempprefix(). "tmp", with which random names begin. */
TEMPFILE_API const char *tempfile_gettempprefix(void);

/* The space of a file system in bytes, the same three numbers as psutil.disk_usage(). */
struct tempfile_usage {
	uint64_t total;
	uint64_t used; /* total less what is free for root */
	uint64_t free; /* for other users: some file systems keep a part for root */
};

/* Of the file system on which `path` is. Errors: those of statvfs(3). */
TEMPFILE_API int tempfile_disk_usage(const char *path, struct tempfile_usage *ret_usage);

#ifdef __cplusplus
}
#endif

#endif
