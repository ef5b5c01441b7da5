/* Cleaning up: at exit, in a signal handler, in other processes, and after processes that were
 * killed. TEMPFILE_ROUNDS is how often processes are killed.
 * --wrap: flock. */
#include "test_tempfile_support.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#define ROUNDS 300

static void (*before_flock)(void); /* the next call of it, and no other */

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
	void (*before)(void) = before_flock;

	if (before) {
		before_flock = NULL;
		before();
	}
	return __real_flock(fd, operation);
}

static bool marks_work(void)
{
	int fd = open(scratch, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool work = fd >= 0 && fsetxattr(fd, "user.tempfile", "1", 1, 0) == 0;

	close(fd);
	return work;
}

#define NEEDS_MARKS                                                                                \
	do {                                                                                       \
		if (!marks_work())                                                                 \
			skip();                                                                    \
	} while (0)

/* Both kinds of things, with something in the directory. */
struct things {
	struct tempfile *file;
	struct tempfile_directory *directory;
};

static int make(struct things *things)
{
	CLEANUP_FREE char *inside = NULL;
	int r = tempfile_open(&things->file, .dir = scratch, .prefix = "file-");

	if (r == 0)
		r = tempfile_directory_open(&things->directory, .dir = scratch, .prefix = "dir-");
	if (r < 0 || asprintf(&inside, "%s/in", tempfile_directory_path(things->directory)) < 0)
		return 1;
	return mkdir(inside, 0700);
}

static int drop(struct things *things)
{
	return tempfile_close(&things->file) | tempfile_directory_close(&things->directory);
}

/* Forks a child that does `live`, and returns when it says so; 0 in the child. */
static pid_t fork_to(int (*live)(void), int *ret_said)
{
	int said[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(said[0]);
		if (live() == 0)
			(void)!write(said[1], "", 1);
		for (;;)
			pause();
	}
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	if (ret_said)
		*ret_said = said[0];
	else
		close(said[0]);
	return child;
}

static void end(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static int make_and_leave(void)
{
	static struct things things;

	return make(&things);
}

static void assert_reaps(unsigned files, unsigned directories, unsigned alive)
{
	struct tempfile_reaped reaped = {9, 9, 9};

	assert_int_equal(tempfile_reap(scratch, &reaped), 0);
	assert_int_equal(reaped.files, files);
	assert_int_equal(reaped.directories, directories);
	assert_int_equal(reaped.alive, alive);
}

static void test_orphans_are_reaped_and_living_ones_are_not(void **state)
{
	struct things ours = {0};
	pid_t living, killed;

	(void)state;
	NEEDS_MARKS;
	assert_int_equal(make(&ours), 0);
	living = fork_to(make_and_leave, NULL);
	killed = fork_to(make_and_leave, NULL);
	end(killed);
	assert_int_equal(count_entries(scratch), 6);
	assert_reaps(1, 1, 4);
	assert_int_equal(count_entries(scratch), 4);
	end(living);
	assert_reaps(1, 1, 2);
	assert_int_equal(drop(&ours), 0);
	assert_reaps(0, 0, 0);
}

static void test_what_is_to_be_kept_stays(void **state)
{
	struct tempfile *never = NULL, *later = NULL;
	struct tempfile_directory *directory = NULL;
	char *path = NULL;

	(void)state;
	NEEDS_MARKS;
	assert_int_equal(tempfile_open(&never, .dir = scratch, .deletion = TEMPFILE_DELETE_NEVER),
			 0);
	assert_int_equal(tempfile_open(&later, .dir = scratch, .mode = 0400), 0);
	assert_int_equal(tempfile_keep(later), 0);
	assert_int_equal(mode_of(tempfile_path(later)), 0400);
	assert_int_equal(tempfile_directory_open(&directory, .dir = scratch), 0);
	assert_int_equal(tempfile_directory_keep(directory), 0);
	assert_int_equal(tempfile_mkdir(&path, .dir = scratch), 0);
	write_file(in_scratch("tmpabcdefghijkl"), "somebody else's");
	assert_int_equal(mkdir(in_scratch("other"), 0700), 0);
	assert_int_equal(symlink("nowhere", in_scratch("link")), 0);
	assert_int_equal(mkfifo(in_scratch("fifo"), 0600), 0);
	tempfile_close(&never);
	tempfile_close(&later);
	tempfile_directory_close(&directory);
	assert_reaps(0, 0, 0);
	assert_int_equal(count_entries(scratch), 8);
	free(path);
	assert_true(shell("rm -r *"));
}

/* Renamed, linked, copied with all attributes: each is a way to say that it is wanted. */
static void test_what_got_another_name_stays(void **state)
{
	struct tempfile *file = NULL;
	struct tempfile_directory *directory = NULL;

	(void)state;
	NEEDS_MARKS;
	assert_int_equal(tempfile_open(&file, .dir = scratch), 0);
	assert_int_equal(rename(tempfile_path(file), in_scratch("renamed")), 0);
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(tempfile_open(&file, .dir = scratch), 0);
	assert_int_equal(link(tempfile_path(file), in_scratch("linked")), 0);
	assert_true(shell("cp -a tmp* copied"));
	assert_int_equal(tempfile_close(&file), 0);
	assert_int_equal(tempfile_directory_open(&directory, .dir = scratch), 0);
	assert_int_equal(rename(tempfile_directory_path(directory), in_scratch("directory")), 0);
	write_file(in_scratch("directory/file"), "");
	assert_int_equal(tempfile_directory_close(&directory), 0);
	assert_reaps(0, 0, 0);
	assert_true(shell("ls -d renamed linked copied directory/file >/dev/null && rm -r *"));
}

static struct tempfile *kept_meanwhile;

static void keep_and_close(void)
{
	assert_int_equal(tempfile_keep(kept_meanwhile), 0);
	assert_int_equal(tempfile_close(&kept_meanwhile), 0);
}

/* Kept between the reaper's look at the mark and at the lock. */
static void test_what_is_kept_at_the_last_moment_stays(void **state)
{
	(void)state;
	NEEDS_MARKS;
	assert_int_equal(tempfile_open(&kept_meanwhile, .dir = scratch), 0);
	before_flock = keep_and_close;
	assert_reaps(0, 0, 0);
	assert_null(kept_meanwhile);
	assert_int_equal(count_entries(scratch), 1);
	assert_true(shell("rm tmp*"));
}

/* What others have in the same directory must not stop the reaper. */
static void test_what_cannot_be_read_is_passed_over(void **state)
{
	(void)state;
	NEEDS_MARKS;
	assert_int_equal(mkdir(in_scratch("directory"), 0300), 0);
	write_file(in_scratch("file"), "x");
	assert_int_equal(chmod(in_scratch("file"), 0200), 0);
	end(fork_to(make_and_leave, NULL));
	assert_reaps(1, 1, 0);
	assert_true(shell("rm -rf directory file"));
}

/* A second name is a sign that somebody still wants it. */
static int make_and_link(void)
{
	static struct things things;

	return make(&things) || link(tempfile_path(things.file), in_scratch("second")) < 0;
}

static void test_a_file_with_a_second_name_stays(void **state)
{
	(void)state;
	NEEDS_MARKS;
	end(fork_to(make_and_link, NULL));
	assert_reaps(0, 1, 0);
	assert_int_equal(count_entries(scratch), 2);
	assert_int_equal(unlink(in_scratch("second")), 0);
	assert_reaps(1, 0, 0);
}

static int until_closed[2];

static int make_and_fork(void)
{
	static struct things things;
	char end;

	if (make(&things) != 0)
		return 1;
	if (fork() == 0) { /* it holds what its parent made */
		prctl(PR_SET_PDEATHSIG, 0);
		close(until_closed[1]);
		_exit((int)read(until_closed[0], &end, 1));
	}
	return 0;
}

static void test_a_child_that_holds_it_is_an_owner(void **state)
{
	(void)state;
	NEEDS_MARKS;
	assert_int_equal(pipe2(until_closed, O_CLOEXEC), 0);
	end(fork_to(make_and_fork, NULL));
	assert_reaps(0, 0, 2);
	close(until_closed[0]);
	close(until_closed[1]);
	for (int i = 0; i < 400 && count_entries(scratch) > 0; i++) {
		usleep(50000);
		assert_int_equal(tempfile_reap(scratch, NULL), 0);
	}
	assert_int_equal(count_entries(scratch), 0);
}

static void reap_now(void)
{
	assert_int_equal(tempfile_reap(scratch, NULL), 0);
}

/* A reaper that comes between the making of a thing and its lock. */
static void test_what_is_being_made_is_not_reaped(void **state)
{
	struct things things = {0};

	(void)state;
	before_flock = reap_now;
	assert_int_equal(tempfile_open(&things.file, .dir = scratch), 0);
	before_flock = reap_now;
	assert_int_equal(tempfile_directory_open(&things.directory, .dir = scratch), 0);
	assert_true(exists(tempfile_path(things.file)));
	assert_true(exists(tempfile_directory_path(things.directory)));
	assert_int_equal(drop(&things), 0);
}

static void test_reaping_where_there_is_nothing(void **state)
{
	struct tempfile_reaped reaped = {9, 9, 9};

	(void)state;
	assert_int_equal(tempfile_reap(in_scratch("missing"), &reaped), -ENOENT);
	assert_int_equal(reaped.files + reaped.directories + reaped.alive, 0);
	assert_int_equal(tempfile_reap(scratch, NULL), 0);
}

/* In a process of its own: `live` makes things and ends in some way. Returns how many are left. */
static int left_by(void (*live)(void))
{
	pid_t child = fork();

	if (child == 0) {
		live();
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	return count_entries(scratch);
}

static struct things made;

static void make_and_exit(void)
{
	make(&made);
	exit(0);
}

static void make_and_exit_at_once(void)
{
	make(&made);
	_exit(0);
}

static void test_exit_deletes(void **state)
{
	(void)state;
	assert_int_equal(left_by(make_and_exit), 0);
	assert_int_equal(left_by(make_and_exit_at_once), 2);
	assert_true(shell("rm -r *"));
}

static void on_signal(int number)
{
	tempfile_cleanup();
	signal(number, SIG_DFL);
	raise(number);
}

static void make_and_be_told_to_end(void)
{
	signal(SIGTERM, on_signal);
	make(&made);
	raise(SIGTERM);
}

static void make_unreadable_and_exit(void)
{
	make(&made);
	chmod(tempfile_directory_path(made.directory), 0);
	exit(0);
}

static void test_exit_deletes_what_it_could_not_open_again(void **state)
{
	(void)state;
	assert_int_equal(left_by(make_unreadable_and_exit), 0);
}

/* As in a container whose first process enters another one: the child has its parent's number. */
static void be_the_first_of_its_kind(void)
{
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		_exit(0);
	if (fork() > 0) {
		wait(&status);
		_exit(0);
	}
	made = (struct things){0}; /* number 1, of a new namespace */
	make(&made);
	if (unshare(CLONE_NEWPID) < 0 || fork() == 0)
		exit(0); /* again number 1: this must delete nothing */
	wait(&status);
	_exit(0);
}

static void test_a_child_with_its_parents_number(void **state)
{
	int left = left_by(be_the_first_of_its_kind);

	(void)state;
	if (left == 0)
		skip(); /* it may not make a namespace */
	assert_int_equal(left, 2);
	assert_true(shell("rm -r *"));
}

static void test_a_signal_handler_deletes(void **state)
{
	(void)state;
	assert_int_equal(left_by(make_and_be_told_to_end), 0);
}

static void do_nothing_and_exit(void)
{
	exit(0);
}

static void clean_up(void)
{
	tempfile_cleanup();
}

static void test_a_child_deletes_nothing_of_its_parents(void **state)
{
	struct things things = {0};

	(void)state;
	assert_int_equal(make(&things), 0);
	assert_int_equal(left_by(do_nothing_and_exit), 2);
	assert_int_equal(left_by(clean_up), 2);
	assert_int_equal(drop(&things), 0);
}

/* As daemon(3) does it: the parent ends, the child goes on. */
static void make_and_let_a_child_go_on(void)
{
	int wait[2];

	if (make(&made) != 0 || pipe(wait) < 0)
		return;
	if (fork() > 0)
		_exit(0);
	tempfile_adopt(made.file);
	tempfile_directory_adopt(made.directory);
	exit(0);
}

static void test_a_child_can_adopt(void **state)
{
	(void)state;
	left_by(make_and_let_a_child_go_on);
	for (int i = 0; i < 2000 && count_entries(scratch) > 0; i++)
		usleep(10000);
	assert_int_equal(count_entries(scratch), 0);
}

/* Long paths and short ones in turn: what is remembered of them is used again. */
static void test_memory_does_not_grow(void **state)
{
	char longer[200];
	size_t before = 0;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	for (int i = 0; i < 2000; i++) {
		struct tempfile *one = NULL, *other = NULL;

		assert_int_equal(tempfile_open(&one, .dir = scratch, .prefix = longer), 0);
		assert_int_equal(tempfile_open(&other, .dir = scratch), 0);
		assert_int_equal(tempfile_close(&one), 0);
		assert_int_equal(tempfile_close(&other), 0);
		if (i == 10)
			before = mallinfo2().uordblks;
	}
	assert_true(mallinfo2().uordblks < before + 10000);
}

static void *make_and_drop(void *data)
{
	(void)data;
	for (int i = 0; i < 200; i++) {
		struct things things = {0};
		struct stat status;

		assert_int_equal(make(&things), 0);
		assert_int_equal(stat(tempfile_path(things.file), &status), 0);
		assert_int_equal(stat(tempfile_directory_path(things.directory), &status), 0);
		assert_int_equal(drop(&things), 0);
	}
	return NULL;
}

static void *keep_reaping(void *data)
{
	(void)data;
	for (int i = 0; i < 300; i++)
		tempfile_reap(scratch, NULL);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[6];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i % 3 ? make_and_drop : keep_reaping, NULL),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(count_entries(scratch), 0);
}

/* Makes and drops things until it is killed. */
static void be_busy(void)
{
	for (;;) {
		struct things things = {0};

		if (make(&things) != 0 || drop(&things) != 0)
			_exit(1);
	}
}

/* Killed at any moment, in any step of making and deleting: one reaping, and nothing is left. */
static void test_killed_at_any_moment(void **state)
{
	const char *rounds = getenv("TEMPFILE_ROUNDS");
	struct things living = {0};

	(void)state;
	NEEDS_MARKS;
	assert_int_equal(make(&living), 0);
	for (long i = rounds ? atol(rounds) : ROUNDS; i > 0; i--) {
		pid_t child = fork();

		if (child == 0)
			be_busy();
		usleep((useconds_t)(i * 7919 % 1500));
		end(child);
		assert_int_equal(tempfile_reap(scratch, NULL), 0);
		assert_true(exists(tempfile_path(living.file)));
		assert_true(exists(tempfile_directory_path(living.directory)));
		if (count_entries(scratch) != 2)
			fail_msg("round %ld: something is left in %s", i, scratch);
	}
	assert_int_equal(drop(&living), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_scratch, teardown_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_orphans_are_reaped_and_living_ones_are_not),
		TEST(test_what_is_to_be_kept_stays),
		TEST(test_what_got_another_name_stays),
		TEST(test_what_is_kept_at_the_last_moment_stays),
		TEST(test_what_cannot_be_read_is_passed_over),
		TEST(test_a_file_with_a_second_name_stays),
		TEST(test_a_child_that_holds_it_is_an_owner),
		TEST(test_what_is_being_made_is_not_reaped),
		TEST(test_reaping_where_there_is_nothing),
		TEST(test_exit_deletes),
		TEST(test_exit_deletes_what_it_could_not_open_again),
		TEST(test_a_child_with_its_parents_number),
		TEST(test_a_signal_handler_deletes),
		TEST(test_a_child_deletes_nothing_of_its_parents),
		TEST(test_a_child_can_adopt),
		TEST(test_memory_does_not_grow),
		TEST(test_threads),
		TEST(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests_name("tempfile_reap", tests, NULL, NULL);
}
