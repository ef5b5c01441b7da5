/* What becomes of a file after it was made: finished, kept, given a name, opened again, mapped.
 * --wrap: linkat renameat renameat2 sendfile sendfile64 fsync. */
#include "test_tempfile_support.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static int renameat_error, renameat2_error, linkat_error, sendfile_error, fsync_error, fsync_calls;

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

/* What it cannot do is to replace nothing. */
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (renameat2_error == 0)
		return __real_renameat2(from_fd, from, to_fd, to, flags);
	errno = renameat2_error;
	return -1;
}

/* From the place where it was made, that is; what is made beside its goal gets there. */
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	if (renameat_error == 0 || from_fd != AT_FDCWD)
		return __real_renameat(from_fd, from, to_fd, to);
	errno = renameat_error;
	return -1;
}

int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (linkat_error == 0)
		return __real_linkat(from_fd, from, to_fd, to, flags);
	errno = linkat_error;
	return -1;
}

ssize_t __real_sendfile64(int to, int from, off_t *at, size_t size);
ssize_t __wrap_sendfile64(int to, int from, off_t *at, size_t size);
ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t size);

ssize_t __wrap_sendfile64(int to, int from, off_t *at, size_t size)
{
	if (sendfile_error == 0)
		return __real_sendfile64(to, from, at, MIN(size, (size_t)7));
	errno = sendfile_error;
	return -1;
}

ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t size)
{
	return __wrap_sendfile64(to, from, at, size);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	fsync_calls++;
	if (fsync_error == 0)
		return __real_fsync(fd);
	errno = fsync_error;
	return -1;
}

static int setup(void **state)
{
	renameat_error = renameat2_error = linkat_error = sendfile_error = fsync_error =
		fsync_calls = 0;
	return setup_scratch(state);
}

static struct tempfile *opened(enum tempfile_deletion deletion)
{
	struct tempfile *file = NULL;

	assert_int_equal(tempfile_open(&file, .dir = scratch, .deletion = deletion), 0);
	assert_true(fputs("hello, world", tempfile_stream(file)) >= 0);
	return file;
}

static struct tempfile *anonymous(void)
{
	struct tempfile *file = NULL;

	assert_int_equal(tempfile_open_anonymous(&file, .dir = scratch), 0);
	assert_true(fputs("hello, world", tempfile_stream(file)) >= 0);
	return file;
}

static void assert_holds(const char *path, const char *text)
{
	char read[64] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_true(fgets(read, sizeof(read), file) || !*text);
	assert_string_equal(read, text);
	fclose(file);
}

static void test_finish_deletes(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(tempfile_fd(file), -1);
	assert_null(tempfile_stream(file));
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(tempfile_close(&file), 0);
}

/* Python: delete_on_close=False. The lock outlives the descriptor. */
static void test_finish_before_free(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_FREE);
	int fds = count_fds(), fd = -1;

	(void)state;
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(tempfile_finish(file), 0);
	assert_holds(tempfile_path(file), "hello, world");
	assert_int_equal(count_fds(), fds);
	assert_int_equal(tempfile_reap(scratch, NULL), 0);
	assert_true(exists(tempfile_path(file)));
	assert_int_equal(tempfile_reopen(file, O_RDONLY, &fd), 0);
	close(fd);
	assert_int_equal(tempfile_persist(file, in_scratch("late")), -EBADF);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(count_fds(), fds - 1);
}

static void test_finish_keeps_what_is_to_be_kept(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_NEVER);
	struct tempfile *other = opened(TEMPFILE_DELETE_ON_FREE);

	(void)state;
	assert_int_equal(tempfile_finish(file), 0);
	assert_holds(tempfile_path(file), "hello, world");
	assert_int_equal(unlink(tempfile_path(file)), 0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(tempfile_finish(other), 0);
	assert_int_equal(tempfile_keep(other), 0);
	assert_int_equal(unlink(tempfile_path(other)), 0);
	assert_int_equal(tempfile_close(&other), 0);
}

static void test_persist_a_named_file(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	write_file(in_scratch("result"), "old");
	assert_int_equal(tempfile_persist(file, in_scratch("result")), 0);
	assert_string_equal(tempfile_path(file), in_scratch("result"));
	assert_int_equal(count_entries(scratch), 1);
	assert_true(fputs("!", tempfile_stream(file)) >= 0); /* it is still the same file */
	assert_int_equal(tempfile_close(&file), 0);
	assert_holds(in_scratch("result"), "hello, world!");
	assert_int_equal(unlink(in_scratch("result")), 0);
}

static void test_persist_an_anonymous_file(void **state)
{
	struct tempfile *file = anonymous();

	(void)state;
	assert_null(tempfile_path(file));
	assert_int_equal(tempfile_persist(file, in_scratch("new")), 0);
	assert_string_equal(tempfile_path(file), in_scratch("new"));
	assert_int_equal(tempfile_close(&file), 0);
	file = anonymous();
	write_file(in_scratch("new"), "old");
	assert_int_equal(tempfile_persist(file, in_scratch("new"), .no_replace = true), -EEXIST);
	assert_holds(in_scratch("new"), "old");
	assert_int_equal(tempfile_persist(file, in_scratch("new")), 0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_holds(in_scratch("new"), "hello, world");
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(unlink(in_scratch("new")), 0);
}

static void test_persist_refuses_to_replace(void **state)
{
	static const int without[] = {0, EINVAL, ENOSYS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(without); i++) {
		struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);
		char *path = strdup(tempfile_path(file));

		renameat2_error = without[i];
		write_file(in_scratch("there"), "old");
		assert_int_equal(tempfile_persist(file, in_scratch("there"), .no_replace = true),
				 -EEXIST);
		assert_holds(in_scratch("there"), "old");
		assert_string_equal(tempfile_path(file), path);
		assert_true(exists(path));
		assert_int_equal(unlink(in_scratch("there")), 0);
		assert_int_equal(tempfile_persist(file, in_scratch("there"), .no_replace = true),
				 0);
		assert_false(exists(path));
		assert_int_equal(tempfile_close(&file), 0);
		assert_holds(in_scratch("there"), "hello, world");
		assert_int_equal(unlink(in_scratch("there")), 0);
		free(path);
	}
}

/* A file that could not be persisted is one that is deleted, and found by the reaper, as before. */
static void test_persist_that_fails_changes_nothing(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);
	char value[300];

	(void)state;
	assert_int_equal(tempfile_persist(file, in_scratch("no/such")), -ENOENT);
	assert_int_equal(tempfile_persist(file, in_scratch("slash/")), -EISDIR);
	assert_int_equal(tempfile_persist_with(file, NULL), -EINVAL);
	renameat_error = EXDEV;
	assert_int_equal(tempfile_persist(file, in_scratch("there")), -EXDEV);
	renameat_error = 0;
	fsync_error = EIO;
	write_file(in_scratch("there"), "old");
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .sync = true), -EIO);
	assert_holds(in_scratch("there"), "old");
	assert_int_equal(unlink(in_scratch("there")), 0);
	if (getxattr(scratch, "user.none", NULL, 0) < 0 && errno == ENODATA)
		assert_true(fgetxattr(tempfile_fd(file), "user.tempfile", value, sizeof(value)) >
			    0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(count_entries(scratch), 0);
}

/* Nothing is replaced by a file that could not be written. */
static void test_persist_tells_of_a_write_that_failed(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), fd = dup(tempfile_fd(file));

	(void)state;
	write_file(in_scratch("there"), "old");
	assert_true(dup2(full, tempfile_fd(file)) >= 0);
	assert_int_equal(tempfile_persist(file, in_scratch("there")), -ENOSPC);
	assert_true(dup2(fd, tempfile_fd(file)) >= 0);
	assert_int_equal(tempfile_persist(file, in_scratch("there")),
			 -EIO); /* it is not forgotten */
	assert_holds(in_scratch("there"), "old");
	close(full);
	close(fd);
	assert_true(tempfile_close(&file) < 0);
	assert_int_equal(unlink(in_scratch("there")), 0);
}

static void test_persist_what_is_not_ours_any_more(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	assert_int_equal(unlink(tempfile_path(file)), 0);
	write_file(tempfile_path(file), "somebody else's");
	assert_int_equal(tempfile_persist(file, in_scratch("there")), -ENOENT);
	assert_holds(tempfile_path(file), "somebody else's");
	assert_int_equal(unlink(tempfile_path(file)), 0);
	assert_int_equal(tempfile_close(&file), 0);
}

static void test_persist_synced(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .sync = true), 0);
	assert_int_equal(fsync_calls, 2); /* the file, and the directory */
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(unlink(in_scratch("there")), 0);
}

static void test_persist_in_another_directory(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);
	int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(mkdir(in_scratch("in"), 0700), 0);
	assert_int_equal(tempfile_persist(file, "in/there", .dir_fd = &fd), 0);
	assert_string_equal(tempfile_path(file), in_scratch("in/there"));
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(unlink(in_scratch("in/there")), 0);
	assert_int_equal(rmdir(in_scratch("in")), 0);
	close(fd);
}

static void test_persist_by_a_copy(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);
	int fd = tempfile_fd(file), fds = count_fds();

	(void)state;
	assert_int_equal(fflush(tempfile_stream(file)), 0);
	assert_int_equal(fseek(tempfile_stream(file), 5, SEEK_SET), 0);
	renameat_error = EXDEV;
	sendfile_error = ENOSPC;
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .copy = true), -ENOSPC);
	assert_int_equal(count_entries(scratch), 1);
	sendfile_error = 0;
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .copy = true, .sync = true),
			 0);
	renameat_error = 0;
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(tempfile_fd(file), fd);
	assert_int_equal(count_fds(), fds);
	assert_true(fputs(";", tempfile_stream(file)) >= 0); /* at the place where it was */
	assert_int_equal(tempfile_close(&file), 0);
	assert_holds(in_scratch("there"), "hello; world");
	assert_int_equal(mode_of(in_scratch("there")), 0600);
	assert_int_equal(unlink(in_scratch("there")), 0);
}

/* Two names of one file: rename(2) would do nothing, and the first would stay for ever. */
static void test_persist_onto_itself(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	assert_int_equal(link(tempfile_path(file), in_scratch("there")), 0);
	assert_int_equal(tempfile_persist(file, in_scratch("there")), 0);
	assert_int_equal(count_entries(scratch), 1);
	assert_int_equal(tempfile_close(&file), 0);
	assert_holds(in_scratch("there"), "hello, world");
	assert_int_equal(unlink(in_scratch("there")), 0);
}

/* A copy appends like its original, and has its holes. */
static void test_a_copy_is_like_its_original(void **state)
{
	struct tempfile *file = NULL;
	struct stat status;

	(void)state;
	assert_int_equal(tempfile_open(&file, .dir = scratch, .append = true), 0);
	assert_int_equal(ftruncate(tempfile_fd(file), MIB(8)), 0);
	assert_int_equal(write(tempfile_fd(file), "end", 3), 3);
	renameat_error = EXDEV;
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .copy = true), 0);
	assert_int_equal(lseek(tempfile_fd(file), 0, SEEK_SET), 0);
	assert_int_equal(write(tempfile_fd(file), "!", 1), 1);
	assert_int_equal(stat(in_scratch("there"), &status), 0);
	assert_int_equal(status.st_size, MIB(8) + 4);
	assert_true((uint64_t)status.st_blocks * 512 < MIB(1));
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(unlink(in_scratch("there")), 0);
}

/* Without hard links and without RENAME_NOREPLACE, as on vboxsf. */
static void test_where_names_can_only_be_replaced(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	renameat2_error = EINVAL;
	linkat_error = EPERM;
	write_file(in_scratch("there"), "old");
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .no_replace = true), -EEXIST);
	assert_holds(in_scratch("there"), "old");
	assert_int_equal(unlink(in_scratch("there")), 0);
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .no_replace = true), 0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_holds(in_scratch("there"), "hello, world");
	assert_int_equal(unlink(in_scratch("there")), 0);
	assert_int_equal(count_entries(scratch), 0);
}

static int close_it(void *data)
{
	struct tempfile *file = data;

	return tempfile_close(&file) == 0 ? 0 : 1;
}

/* What the stream held at the fork is the parent's to write, whatever becomes of the file. */
static void test_a_child_writes_nothing_of_its_parents(void **state)
{
	struct tempfile *files[] = {opened(TEMPFILE_DELETE_ON_CLOSE), opened(TEMPFILE_DELETE_NEVER),
				    anonymous(), opened(TEMPFILE_DELETE_ON_CLOSE)};

	(void)state;
	assert_int_equal(tempfile_keep(files[3]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct stat status;

		assert_child(close_it, files[i]);
		assert_int_equal(fflush(tempfile_stream(files[i])), 0);
		assert_int_equal(fstat(tempfile_fd(files[i]), &status), 0);
		assert_int_equal(status.st_size, 12);
		assert_int_equal(tempfile_close(&files[i]), 0);
	}
	assert_true(shell("rm tmp*"));
}

static int keep_it(void *data)
{
	return tempfile_keep(data) == -EPERM ? 0 : 1;
}

static void test_keeping_what_cannot_be_kept(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);

	(void)state;
	assert_child(keep_it, file);
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(tempfile_keep(file), -ENOENT);
	assert_int_equal(tempfile_close(&file), 0);
}

static void test_reopen_what_was_finished(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_NEVER), *gone = opened(0);
	int fd = -1;

	(void)state;
	assert_int_equal(tempfile_finish(file), 0);
	assert_int_equal(tempfile_reopen(file, O_RDONLY, &fd), 0);
	close(fd);
	assert_int_equal(unlink(tempfile_path(file)), 0);
	assert_int_equal(tempfile_reopen(file, O_RDONLY, &fd), -ENOENT);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(tempfile_finish(gone), 0);
	assert_int_equal(tempfile_reopen(gone, O_RDONLY, &fd), -ENOENT);
	assert_int_equal(tempfile_close(&gone), 0);
}

/* With a stream, a descriptor is needed for the lock; without one, there must be no need of any. */
static void test_finish_without_descriptors(void **state)
{
	struct tempfile *with = opened(TEMPFILE_DELETE_ON_FREE), *without = NULL;
	struct rlimit before, none;

	(void)state;
	assert_int_equal(
		tempfile_open(&without, .dir = scratch, .deletion = TEMPFILE_DELETE_ON_FREE), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){3, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(tempfile_finish(with) < 0);
	assert_true(tempfile_fd(with) >= 0); /* nothing was done */
	assert_int_equal(tempfile_finish(without), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(tempfile_finish(with), 0);
	assert_int_equal(tempfile_reap(scratch, NULL), 0);
	assert_int_equal(count_entries(scratch), 2);
	assert_int_equal(tempfile_close(&with), 0);
	assert_int_equal(tempfile_close(&without), 0);
}

static void test_memory(void **state)
{
	struct tempfile_directory *directory = NULL;
	struct tempfile *file = NULL;
	struct statfs fs;
	char *path = NULL;

	(void)state;
	assert_int_equal(tempfile_open(&file, .memory = true), -EINVAL);
	assert_int_equal(tempfile_mkdir(&path, .memory = true), -EINVAL);
	assert_int_equal(tempfile_directory_open(&directory, .memory = true), -EINVAL);
	assert_int_equal(tempfile_open_anonymous(&file, .memory = true, .mode = 0640), 0);
	assert_int_equal(fstatfs(tempfile_fd(file), &fs), 0);
	assert_int_equal(fs.f_type, 0x01021994); /* tmpfs */
	assert_true(fputs("hello", tempfile_stream(file)) >= 0);
	assert_int_equal(tempfile_persist(file, in_scratch("there")), -EXDEV);
	assert_int_equal(tempfile_persist(file, in_scratch("there"), .copy = true), 0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_holds(in_scratch("there"), "hello");
	assert_int_equal(mode_of(in_scratch("there")), 0640);
	assert_int_equal(unlink(in_scratch("there")), 0);
}

static void test_reopen(void **state)
{
	struct tempfile *files[] = {opened(TEMPFILE_DELETE_ON_CLOSE), anonymous()};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char text[6] = "";
		int fd = -1;

		assert_int_equal(fflush(tempfile_stream(files[i])), 0);
		assert_int_equal(tempfile_reopen(files[i], O_RDONLY, &fd), 0);
		assert_int_equal(read(fd, text, 5), 5);
		assert_string_equal(text, "hello");
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(lseek(tempfile_fd(files[i]), 0, SEEK_CUR), 12);
		close(fd);
		fd = 99;
		assert_int_equal(tempfile_reopen(files[i], O_RDWR | O_TRUNC, &fd), -EINVAL);
		assert_int_equal(fd, 99);
		assert_int_equal(tempfile_close(&files[i]), 0);
	}
}

static void test_take_the_descriptor(void **state)
{
	struct tempfile *file = opened(TEMPFILE_DELETE_ON_CLOSE);
	char text[13] = "";
	int fd = -1;

	(void)state;
	assert_int_equal(tempfile_take_fd(&file, &fd), 0);
	assert_null(file);
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(pread(fd, text, 12, 0), 12);
	assert_string_equal(text, "hello, world");
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	file = opened(TEMPFILE_DELETE_NEVER);
	assert_int_equal(tempfile_take_fd(&file, &fd), 0);
	close(fd);
	assert_int_equal(count_entries(scratch), 1);
	assert_true(shell("rm tmp*"));
}

static uint64_t blocks(const struct tempfile *file)
{
	struct stat status;

	assert_int_equal(fstat(tempfile_fd(file), &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static off_t size_of(const struct tempfile *file)
{
	struct stat status;

	assert_int_equal(fstat(tempfile_fd(file), &status), 0);
	return status.st_size;
}

static void test_reserve_and_discard(void **state)
{
	struct tempfile *file = anonymous();
	static const char data[MIB(1)] = {1};
	int r = tempfile_reserve(file, MIB(4));

	(void)state;
	if (r == -EOPNOTSUPP) {
		tempfile_close(&file);
		skip();
	}
	assert_int_equal(r, 0);
	assert_true(blocks(file) >= MIB(4));
	assert_int_equal(size_of(file), 0);
	assert_int_equal(pwrite(tempfile_fd(file), data, sizeof(data), 0), (ssize_t)sizeof(data));
	assert_int_equal(tempfile_discard(file, KIB(512) + 1), 0);
	assert_int_equal(size_of(file), MIB(1));
	assert_true(blocks(file) <= MIB(4) - KIB(512));
	assert_int_equal(tempfile_discard(file, 0), 0);
	assert_int_equal(tempfile_close(&file), 0);
}

/* Python's own example: five bytes are mapped, changed, and read back through the file. */
static void test_map(void **state)
{
	struct tempfile *file = anonymous();
	char text[13] = "";
	void *memory = NULL;

	(void)state;
	assert_int_equal(tempfile_map(file, 5, &memory), 0);
	assert_memory_equal(memory, "hello", 5);
	memcpy(memory, "HELLO", 5);
	assert_int_equal(pread(tempfile_fd(file), text, 12, 0), 12);
	assert_string_equal(text, "HELLO, world");
	assert_int_equal(munmap(memory, 5), 0);
	assert_int_equal(tempfile_map(file, 0, &memory), 0);
	assert_memory_equal(memory, "HELLO, world", 12);
	assert_int_equal(munmap(memory, 12), 0);
	assert_int_equal(tempfile_map(file, MIB(1), &memory), 0); /* it grows first */
	assert_int_equal(size_of(file), MIB(1));
	assert_true(blocks(file) >= MIB(1));
	assert_int_equal(tempfile_close(&file), 0);
	memset(memory, 1, MIB(1)); /* the memory outlives the handle */
	assert_int_equal(munmap(memory, MIB(1)), 0);
	assert_int_equal(tempfile_open_anonymous(&file, .dir = scratch), 0);
	assert_int_equal(tempfile_map(file, 0, &memory), -EINVAL);
	assert_int_equal(tempfile_close(&file), 0);
}

static void test_streams(void **state)
{
	struct tempfile *file = NULL;
	struct stat status;

	(void)state;
	assert_int_equal(tempfile_open_anonymous(&file, .dir = scratch,
						 .buffering = TEMPFILE_UNBUFFERED,
						 .stream_mode = "r+"),
			 0);
	assert_true(fputs("x", tempfile_stream(file)) >= 0);
	assert_int_equal(fstat(tempfile_fd(file), &status), 0);
	assert_int_equal(status.st_size, 1);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(
		tempfile_open_anonymous(&file, .dir = scratch, .buffering = TEMPFILE_LINE_BUFFERED),
		0);
	assert_true(fputs("line\nrest", tempfile_stream(file)) >= 0);
	assert_int_equal(size_of(file), 5);
	assert_true(fputs("more", tempfile_stream(file)) >= 0);
	assert_int_equal(size_of(file), 5);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(tempfile_open_anonymous(&file, .dir = scratch, .buffer_size = KIB(256)),
			 0);
	for (size_t i = 0; i < KIB(200); i++)
		fputc('x', tempfile_stream(file));
	assert_int_equal(size_of(file), 0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(tempfile_open(&file, .dir = scratch, .stream_mode = "r"), -EINVAL);
	assert_int_equal(tempfile_open(&file, .dir = scratch, .stream_mode = "w+xyz"), -EINVAL);
	assert_int_equal(tempfile_open(&file, .dir = scratch, .stream_mode = ""), -EINVAL);
}

static void test_random_sizes(void **state)
{
	static const unsigned sizes[] = {1, 8, 12, 64};
	struct tempfile *file = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(
			tempfile_open(&file, .dir = scratch, .prefix = "", .random_size = sizes[i]),
			0);
		assert_int_equal(strlen(basename_of(tempfile_path(file))), sizes[i]);
		assert_int_equal(tempfile_close(&file), 0);
	}
	assert_int_equal(tempfile_open(&file, .dir = scratch, .random_size = 65), -EINVAL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_finish_deletes),
		TEST(test_finish_before_free),
		TEST(test_finish_keeps_what_is_to_be_kept),
		TEST(test_persist_a_named_file),
		TEST(test_persist_an_anonymous_file),
		TEST(test_persist_refuses_to_replace),
		TEST(test_persist_that_fails_changes_nothing),
		TEST(test_persist_tells_of_a_write_that_failed),
		TEST(test_persist_what_is_not_ours_any_more),
		TEST(test_persist_synced),
		TEST(test_persist_in_another_directory),
		TEST(test_persist_by_a_copy),
		TEST(test_persist_onto_itself),
		TEST(test_a_copy_is_like_its_original),
		TEST(test_where_names_can_only_be_replaced),
		TEST(test_a_child_writes_nothing_of_its_parents),
		TEST(test_keeping_what_cannot_be_kept),
		TEST(test_reopen_what_was_finished),
		TEST(test_finish_without_descriptors),
		TEST(test_memory),
		TEST(test_reopen),
		TEST(test_take_the_descriptor),
		TEST(test_reserve_and_discard),
		TEST(test_map),
		TEST(test_streams),
		TEST(test_random_sizes),
	};

	return cmocka_run_group_tests_name("tempfile_life", tests, NULL, NULL);
}
