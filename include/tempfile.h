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
 * (a network file system without a lock service) is an error. Temporary directories are locked too.
 *
 * What is still open when the process ends is deleted then: at exit(3) by the library, on a signal
 *by whoever calls tempfile_cleanup() in a handler, and after a crash by tempfile_reap(). A forked
 *child deletes nothing of its parent's.
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

/* A limit that several files share. */
struct tempfile_pool;

/* A file that begins in memory. */
struct tempfile_spooled;

/* One temporary directory. Made by tempfile_directory_open(), freed by tempfile_directory_close().
 */
struct tempfile_directory;

/* When a named file is deleted. */
enum tempfile_deletion {
	TEMPFILE_DELETE_ON_CLOSE = 0, /* Python: delete=True */
	TEMPFILE_DELETE_ON_FREE,      /* Python: delete_on_close=False: not by tempfile_finish() */
	TEMPFILE_DELETE_NEVER,	      /* Python: delete=False */
};

/* How its stream is buffered: setvbuf(3). */
enum tempfile_buffering {
	TEMPFILE_FULLY_BUFFERED = 0,
	TEMPFILE_LINE_BUFFERED,
	TEMPFILE_UNBUFFERED,
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

	/* How many random characters stand between prefix and suffix, 1 to 64; 0: 12. */
	unsigned random_size;

	/* Permissions, exactly these whatever the umask is; 0: 0600 for files, 0700 for
	 * directories. */
	mode_t mode;

	enum tempfile_deletion deletion;

	/* Programs started by exec(3) get the descriptor too. By default they do not. */
	bool inherit;

	/* Every write goes to the end of the file (Python: mode="a+b"). */
	bool append;

	/* Much will be written. Where `dir` is NULL and the directory for temporary files is memory
	 * (tmpfs), it is made in /var/tmp, if that is a disk that can be written to. */
	bool large;

	/* Of tempfile_open_anonymous() alone: a file in memory, memfd_create(2). */
	bool memory;

	/* Of a directory alone: tempfile_directory_close() reports no failure to delete something
	 * (Python: ignore_cleanup_errors). */
	bool ignore_cleanup_errors;

	/* What it takes is charged to this pool, which must live longer than the file. */
	struct tempfile_pool *pool;

	/* Of tempfile_spooled_open() alone, where it must be given (Python: max_size, but 0 is no
	 * way to say "unlimited"): the most bytes that it has in memory. */
	size_t memory_max;

	/* Of tempfile_stream(): what fdopen(3) is told, for reading and writing (NULL: "w+b", or
	 * "a+b"), and setvbuf(3); a buffer of 0 bytes is the size that the C library thinks best.
	 */
	const char *stream_mode;
	enum tempfile_buffering buffering;
	size_t buffer_size;

	/* The macros below put their first argument here. Not looked at by any function. */
	union {
		struct tempfile **file;
		struct tempfile_directory **directory;
		struct tempfile_spooled **spooled;
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

/* Python: TemporaryDirectory(). Makes a directory, opens and locks it, and stores a handle in
 * *ret_directory, to be given to tempfile_directory_close(). Looks at the options of
 * tempfile_mkdir(), and at large, deletion and ignore_cleanup_errors. Errors as above. By the
 * macro: tempfile_directory_open(&directory, options…). */
TEMPFILE_API int tempfile_directory_open_with(struct tempfile_directory **ret_directory,
					      const struct tempfile_options *options);

#ifndef __cplusplus

#define tempfile_open(...)                                                                         \
	tempfile_open_(&(const struct tempfile_options){.first_argument_.file = __VA_ARGS__})
#define tempfile_open_anonymous(...)                                                               \
	tempfile_open_anonymous_(                                                                  \
		&(const struct tempfile_options){.first_argument_.file = __VA_ARGS__})
#define tempfile_directory_open(...)                                                               \
	tempfile_directory_open_(                                                                  \
		&(const struct tempfile_options){.first_argument_.directory = __VA_ARGS__})
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

static inline int tempfile_directory_open_(const struct tempfile_options *options)
{
	return tempfile_directory_open_with(options->first_argument_.directory, options);
}

static inline int tempfile_mkdir_(const struct tempfile_options *options)
{
	return tempfile_mkdir_with(options->first_argument_.path, options);
}

#endif

/* Python: file.close(), or the end of `with`. Writes what the stream still holds, deletes the file
 * (unless it is to be kept), closes it, frees the handle and sets *file to NULL, all of that in any
 * case. Returns the first error: a write of the stream that failed, now or earlier (-ENOSPC, -EIO,
 * …), or what unlinkat(2) and close(2) say. NULL, and a pointer to NULL, are fine and give 0.
 *
 * Deleted is only what is ours: when the file was already deleted, renamed or replaced by another
 * one, what is there is left alone. In a forked child the file is closed, not deleted, and
 * what the stream holds is the parent's to write. */
TEMPFILE_API int tempfile_close(struct tempfile **file);

/* Python: file.close(), where the handle stays. Writes what the stream still holds and closes
 * stream and descriptor: tempfile_fd() is -1 and tempfile_stream() NULL from now on. The file is
 * deleted, unless it was made with TEMPFILE_DELETE_ON_FREE (then tempfile_close() does it, and
 * until then it stays locked) or is to be kept. Errors as tempfile_close(); a second call is
 * harmless and gives 0. */
TEMPFILE_API int tempfile_finish(struct tempfile *file);

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

/* The file is not deleted any more (Python: delete=False, decided later; Rust: keep()). -EINVAL for
 * an anonymous file: it has no name to be kept under; -ENOENT: it is deleted already; -EPERM: in a
 * forked child. Else the errors of fremovexattr(2): then tempfile_reap() could not tell it from one
 * that nobody needs, and it is not kept. */
TEMPFILE_API int tempfile_keep(struct tempfile *file);

/* How tempfile_persist() does it. All may be 0. */
struct tempfile_persist_options {
	const char *path;  /* where the file is to be; what is there is replaced, in one moment */
	const int *dir_fd; /* takes the place of the working directory for a relative path */
	bool no_replace;   /* -EEXIST when there is something */
	bool sync;	   /* file and directory: when it returns, it survives a loss of power */
	bool copy;	   /* to another file system as well: copied there, and then renamed */
};

/* Python: os.replace(file.name, path). Rust: persist(), persist_noclobber(). Gives the file a name
 * to stay under: an anonymous one too. Nobody ever sees a part of it there. What the stream holds
 * is written first, and an error of that, now or earlier, is returned before anything is replaced.
 * The handle stays open, and tempfile_path() says the new path; the file is not deleted any more.
 * By the macro: tempfile_persist(file, path, options…).
 *
 * -EXDEV: `path` is on another file system, and `copy` was not asked for. -ENOENT: there is no such
 * directory, or the file was deleted or replaced by somebody else. -EEXIST: no_replace. -EBADF: the
 * file was finished. Else what rename(2), linkat(2), fsync(2) say, and for a copy tempfile_open()
 * and write(2). After an error the file is where it was, but for one of the last fsync(2) of the
 * directory. */
TEMPFILE_API int tempfile_persist_with(struct tempfile *file,
				       const struct tempfile_persist_options *options);

#define tempfile_persist(file, ...)                                                                \
	tempfile_persist_with((file), &(const struct tempfile_persist_options){.path = __VA_ARGS__})

/* Rust: reopen(). Opens the same file once more, with `flags` as of open(2), and stores a
 * descriptor with a position of its own, which is the caller's. That it is the same file is checked
 * by device and inode. -ENOENT: it is not there any more; -EINVAL: O_CREAT or O_TRUNC; else the
 * errors of open(2). */
TEMPFILE_API int tempfile_reopen(const struct tempfile *file, int flags, int *ret_fd);

/* Rust: into_file(). Stores the descriptor, which is the caller's from now on, deletes the name of
 * the file unless it is to be kept, frees the handle and sets *file to NULL. What the stream holds
 * is written first. When that fails, or the deletion, it is as if this had not been called. */
TEMPFILE_API int tempfile_take_fd(struct tempfile **file, int *ret_fd);

/* Reserves disk space for the first `size` bytes, so that writing them cannot fail for want of it;
 * the size of the file stays. Errors: those of fallocate(2), as -ENOSPC or -EOPNOTSUPP. */
TEMPFILE_API int tempfile_reserve(struct tempfile *file, uint64_t size);

/* Gives back the disk space of the first `size` bytes, which are read and not needed any more:
 * whole blocks of it; they read as zeros. The size of the file stays. Errors: those of
 * fallocate(2). */
TEMPFILE_API int tempfile_discard(struct tempfile *file, uint64_t size);

/* Python: mmap.mmap(file.fileno(), size). Maps the first `size` bytes, shared, for reading and
 * writing; 0 stands for the whole file. A shorter file is made longer, and disk space for all of it
 * is reserved first: touching the memory cannot fail for want of it (SIGBUS). What the stream holds
 * is written. Give the memory to munmap(2); it may outlive the handle. -EINVAL: the file is empty
 * and `size` is 0; else the errors of fallocate(2) and mmap(2). */
TEMPFILE_API int tempfile_map(struct tempfile *file, size_t size, void **ret_memory);

/* Writes all of `data` where the descriptor stands (Python: file.write()), behind what the stream
 * holds. -EDQUOT: the pool of the file has not so much left; -ENOSPC: the disk is full, or would
 * have less free than the pool leaves it. Nothing was written then, unless the disk itself was
 * full. Else the errors of write(2). */
TEMPFILE_API int tempfile_write(struct tempfile *file, const void *data, size_t size);

/* The calling process owns the file from now on, and is the one that deletes it: for a forked child
 * that goes on in the place of its parent (daemon(3)), which must end by _exit(2). */
TEMPFILE_API void tempfile_adopt(struct tempfile *file);

/* Python: file.cleanup(), or the end of `with TemporaryDirectory()`. Deletes the directory with all
 * that is in it, frees the handle and sets *directory to NULL, all of that in any case. Symbolic
 * links are deleted and not followed, whatever happens to the tree meanwhile; what is mounted in it
 * stays. Returns the first error; all else was deleted. NULL, and a pointer to NULL, are fine. In a
 * forked child nothing is deleted. */
TEMPFILE_API int tempfile_directory_close(struct tempfile_directory **directory);

/* `TEMPFILE_DIRECTORY_AUTO struct tempfile_directory *d = NULL;` is closed at the end of its scope.
 */
#define TEMPFILE_DIRECTORY_AUTO __attribute__((cleanup(tempfile_directory_close)))

/* The directory, open for reading; it stays the handle's. */
TEMPFILE_API int tempfile_directory_fd(const struct tempfile_directory *directory);

/* Python: directory.name. As tempfile_path(). */
TEMPFILE_API const char *tempfile_directory_path(const struct tempfile_directory *directory);

/* As tempfile_keep() and tempfile_adopt(). */
TEMPFILE_API int tempfile_directory_keep(struct tempfile_directory *directory);
TEMPFILE_API void tempfile_directory_adopt(struct tempfile_directory *directory);

/* Deletes every file and directory that this process made and has not closed yet.
 * Async-signal-safe: it is for an application's own handler of SIGTERM and its like, which then
 * ends the process. It needs 32 KiB of stack. Called at exit(3) by the library. */
TEMPFILE_API void tempfile_cleanup(void);

/* What tempfile_reap() found. */
struct tempfile_reaped {
	unsigned files;	      /* deleted */
	unsigned directories; /* deleted, each with all that was in it */
	unsigned alive;	      /* left: somebody holds them */
};

/* Deletes the files and directories in `dir` (NULL: tempfile_gettempdir()) that this library made
 * for the calling user and nobody holds any more: those of processes that were killed. It goes by
 * locks, not by process numbers, and so is right about owners in other containers, forked children
 * that still hold a file, and files that are being made; and by a mark that is good for one inode
 * under one name. What is to be kept, what was renamed, linked or copied, and what others made, is
 * never touched; but names of
 * ".tempfile-" and 16 characters are this library's own. What its mode keeps its owner from reading
 * is not found. Goes on after a failure, and returns the first. ret_reaped may be NULL, and is set
 * in any case. -EOPNOTSUPP: the file system has no extended attributes (user.*), by which files are
 * known. */
TEMPFILE_API int tempfile_reap(const char *dir, struct tempfile_reaped *ret_reaped);

/* Each may be 0: no limit. */
struct tempfile_pool_options {
	uint64_t bytes_max; /* the sizes of all its files together */
	uint64_t free_min;  /* what is to be left of the file system */
};

struct tempfile_pool_stats {
	uint64_t files;	     /* open now */
	uint64_t bytes;	     /* their sizes together, and what is reserved */
	uint64_t peak_bytes; /* the most that this ever was */
};

/* Makes a pool, for the option `pool` of any number of files, in any number of threads.
 * tempfile_write(), tempfile_stream(), tempfile_reserve() and tempfile_map() are refused what would
 * pass a limit, and nothing is lost by that: -EDQUOT, -ENOSPC. What is written by the descriptor is
 * not seen. The stream of a pooled file has no fileno(3). -ENOMEM. Free it when all its files are
 * closed; NULL is fine. */
TEMPFILE_API int tempfile_pool_new(struct tempfile_pool **ret_pool,
				   const struct tempfile_pool_options *options);
TEMPFILE_API void tempfile_pool_free(struct tempfile_pool *pool);
TEMPFILE_API struct tempfile_pool_stats tempfile_pool_stats(const struct tempfile_pool *pool);

/* Python: SpooledTemporaryFile(max_size). A file in memory, up to the option `memory_max`; with the
 * first byte beyond that, it becomes an anonymous file, of the other options. The macro:
 * tempfile_spooled_open(&spooled, .memory_max = n, options…). -EINVAL: no memory_max; dir_fd, name
 * or another deletion than TEMPFILE_DELETE_ON_CLOSE; options that tempfile_open_anonymous() would
 * refuse. -ENOMEM. */
TEMPFILE_API int tempfile_spooled_open_with(struct tempfile_spooled **ret_spooled,
					    const struct tempfile_options *options);

#ifndef __cplusplus

#define tempfile_spooled_open(...)                                                                 \
	tempfile_spooled_open_(                                                                    \
		&(const struct tempfile_options){.first_argument_.spooled = __VA_ARGS__})

static inline int tempfile_spooled_open_(const struct tempfile_options *options)
{
	return tempfile_spooled_open_with(options->first_argument_.spooled, options);
}

#endif

/* As tempfile_close(). */
TEMPFILE_API int tempfile_spooled_close(struct tempfile_spooled **spooled);

/* Python: write(), read(), seek(), truncate(), readline(). Write: all of it; an error of the change
 * to the disk leaves everything as it was. Read: a count, 0 at the end, or a negative errno. Seek:
 * whence is SEEK_SET, SEEK_CUR or SEEK_END; ret_position may be NULL; a position behind the end is
 * fine, and what is then skipped by a write reads as zeros. Getline: as getline(3): a line with its
 * newline, if it has one, and a NUL in *line, which grows by realloc(3); its size, 0 at the end, or
 * a negative errno. */
TEMPFILE_API int tempfile_spooled_write(struct tempfile_spooled *spooled, const void *data,
					size_t size);
TEMPFILE_API ssize_t tempfile_spooled_read(struct tempfile_spooled *spooled, void *data,
					   size_t size);
TEMPFILE_API int tempfile_spooled_seek(struct tempfile_spooled *spooled, off_t offset, int whence,
				       off_t *ret_position);
TEMPFILE_API int tempfile_spooled_truncate(struct tempfile_spooled *spooled, off_t size);
TEMPFILE_API ssize_t tempfile_spooled_getline(struct tempfile_spooled *spooled, char **line,
					      size_t *room);

/* Python: rollover(). Makes it a file on the disk now. Errors: those of tempfile_open_anonymous()
 * and write(2); then it is in memory as before. */
TEMPFILE_API int tempfile_spooled_rollover(struct tempfile_spooled *spooled);

/* The same, and stores the file, for its descriptor (Python: fileno()) and all else that can be
 * done with one. It stays the handle's. */
TEMPFILE_API int tempfile_spooled_file(struct tempfile_spooled *spooled,
				       struct tempfile **ret_file);

TEMPFILE_API bool tempfile_spooled_is_in_memory(const struct tempfile_spooled *spooled);

/* The most memory that all spooled files of the process may have together; 0: no limit. One that
 * needs more goes to the disk earlier. */
TEMPFILE_API void tempfile_set_spooled_budget(uint64_t bytes);

/* Python: gettempdir(). The absolute path of the directory for temporary files: the first of
 * $TMPDIR, $TEMP, $TMP, /tmp, /var/tmp, /usr/tmp and the working directory in which a file can
 * really be made and written. Searched once, then remembered. The string is never freed: it stays
 * valid for as long as the process lives. NULL and errno when there is none (ENOSPC: one of them is
 * on a disk that is full; else ENOENT), or no memory. The environment of a set-user-ID program is
 * not looked at. */
TEMPFILE_API const char *tempfile_gettempdir(void);

/* What is known of it. The strings are never freed. */
struct tempfile_tempdir_info {
	const char *path;
	bool is_memory;	  /* tmpfs or ramfs: what is written there takes memory, not disk */
	const char *full; /* the first candidate that was passed over because its disk is full, or
			     NULL */
};

/* Errors: as tempfile_gettempdir(). */
TEMPFILE_API int tempfile_tempdir_info(struct tempfile_tempdir_info *ret_info);

/* Python: tempfile.tempdir = dir. Takes `dir` (made absolute, not probed) for the directory from
 * now on; NULL: forgets the one that is remembered, so that it is searched for again. The string is
 * copied. -ENOENT: empty, or relative while the working directory was deleted; -ENOMEM. */
TEMPFILE_API int tempfile_set_tempdir(const char *dir);

/* Python: gettempprefix(). "tmp", or what was set, with which random names begin. Never freed. */
TEMPFILE_API const char *tempfile_gettempprefix(void);

/* Python: tempfile.template = prefix. Takes a copy of `prefix` from now on; NULL: "tmp" again.
 * -EINVAL: it cannot be part of a name; -ENOMEM. */
TEMPFILE_API int tempfile_set_tempprefix(const char *prefix);

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
