/* A spool without names: nothing is ever seen in its directory, what it holds is held by
 * descriptors alone, and whoever processes a segment gets descriptors of his own.
 * --wrap: none. */
#include "test_spool_support.h"

#include "pipeline/handout.h"
#include "spool/spool.h"

static void spool_putp(struct spool **spool)
{
	spool_free(*spool);
}

#define SPOOL CLEANUP(spool_put) struct spool

static struct spool *open_spool(uint64_t segment_messages)
{
	struct spool_options options = {
		.dir = scratch,
		.ephemeral = true,
		.segment_bytes = MIB(1),
		.segment_messages = segment_messages,
	};
	struct spool *spool = NULL;

	assert_int_equal(spool_open(&options, &spool), 0);
	return spool;
}

static void send_until(struct spool *spool, struct source *source, uint64_t until)
{
	static struct message_batch batch;
	static uint8_t memory[KIB(16)];

	while (source->number < until) {
		source_fill(source, &batch, memory, sizeof(memory), until);
		assert_int_equal(spool_append(spool, &batch), 0);
		assert_int_equal(spool_commit(spool), 0);
	}
}

/* Gives the files of a segment names, and checks what is in them. */
static void check_files(const struct segment *segment, uint64_t first_message)
{
	static const char *const suffixes[] = {FORMAT_DATA_SUFFIX, FORMAT_INDEX_SUFFIX};
	char place[] = "/tmp/test_weir.XXXXXX", name[FORMAT_NAME_SIZE];
	struct check check = {
		.size_of = small_sizes, .messages = first_message, .records = segment->first_seq};
	CLEANUP_FD int dir_fd = -1;

	assert_non_null(mkdtemp(place));
	dir_fd = open_dir(place);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		CLEANUP_FD int fd = -1;
		static uint8_t content[KIB(64)];
		ssize_t size;

		assert_int_equal(segment_open_file(-1, segment, suffixes[i], &fd), 0);
		size = read(fd, content, sizeof(content));
		assert_true(size >= 0 && size < (ssize_t)sizeof(content));
		put_segment_file(dir_fd, segment->first_seq, suffixes[i], content, (size_t)size);
	}
	check_segment(&check, dir_fd, segment->first_seq, true);
	assert_int_equal(check.messages, first_message + segment->messages);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		unlinkat(dir_fd, format_name(name, segment->first_seq, suffixes[i]), 0);
	rmdir(place);
}

static void test_segments_have_no_names(void **state)
{
	SPOOL *spool = open_spool(7);
	struct source source = {.size_of = small_sizes};
	struct segment *segment;
	int fds = count_fds();

	(void)state;
	send_until(spool, &source, 30);
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(count_fds(), fds + 2 * 5);
	for (uint64_t seq = 0; seq < 28; seq += 7) {
		segment = spool_take(spool);
		assert_int_equal(segment->first_seq, seq);
		assert_true(segment->counted);
		check_files(segment, seq);
		assert_int_equal(spool_ack(spool, segment), 0);
		fds -= 2;
		assert_int_equal(count_fds(), fds + 2 * 5);
	}
	assert_null(spool_take(spool));
	assert_int_equal(count_entries(scratch), 0);
	assert_int_equal(spool_counters(spool).acked, 4);
}

static void test_what_is_kept_is_held_until_the_end(void **state)
{
	int before = count_fds(), fds;
	struct spool *spool = open_spool(7);
	struct source source = {.size_of = small_sizes};
	struct segment *segment;
	uint64_t held;

	(void)state;
	send_until(spool, &source, 21);
	held = spool_counters(spool).held_bytes;
	fds = count_fds();
	while ((segment = spool_take(spool)))
		spool_keep(spool, segment);
	assert_int_equal(spool_counters(spool).kept, 3);
	assert_int_equal(spool_counters(spool).held_bytes, held);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(spool_remove(spool), 0);
	spool_free(spool);
	assert_int_equal(count_fds(), before);
	assert_int_equal(count_entries(scratch), 0);
}

/* With segments open, sealed, taken and kept. */
static void test_nothing_is_left_at_any_end(void **state)
{
	int before = count_fds();
	struct spool *spool = open_spool(5);
	struct source source = {.size_of = small_sizes};
	struct segment *taken;

	(void)state;
	send_until(spool, &source, 23);
	spool_keep(spool, spool_take(spool));
	taken = spool_take(spool);
	spool_free(spool);
	segment_free(taken);
	segment_free(NULL);
	assert_int_equal(count_fds(), before);
	assert_int_equal(count_entries(scratch), 0);
}

static void test_the_open_segment_can_be_followed(void **state)
{
	SPOOL *spool = open_spool(0);
	struct source source = {.size_of = small_sizes};
	struct spool_view view;
	struct stat status;
	CLEANUP_FD int fd = -1;

	(void)state;
	assert_int_equal(spool_open_data(spool, NULL, &fd), -ENOENT);
	send_until(spool, &source, 10);
	assert_true(spool_view_open(spool, &view));
	assert_int_equal(spool_open_data(spool, NULL, &fd), 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, view.data_size);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	send_until(spool, &source, 20);
	assert_true(spool_view_open(spool, &view));
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, view.data_size); /* it is the same file */
}

/* An event alone makes no segment that is worth keeping, and one of nothing none at all. */
static void test_a_segment_of_nothing(void **state)
{
	SPOOL *spool = open_spool(0);
	int fds = count_fds();

	(void)state;
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(spool_add_event(spool, &(struct spool_event){.kind = FORMAT_CONNECTED}),
			 0);
	assert_int_equal(spool_seal(spool), 0);
	assert_int_equal(count_fds(), fds + 2);
	assert_int_equal(spool_ack(spool, spool_take(spool)), 0);
	assert_int_equal(count_fds(), fds);
}

static void test_places_that_cannot_be(void **state)
{
	struct spool_options options = {.ephemeral = true, .segment_bytes = 1};
	CLEANUP_FD int dir_fd = open_dir(scratch);
	struct spool *spool = NULL;
	int fds = count_fds();

	(void)state;
	put_file(dir_fd, "file", "", 0);
	options.dir = "/does/not/exist";
	assert_int_equal(spool_open(&options, &spool), -ENOENT);
	options.dir = in_scratch("file");
	assert_int_equal(spool_open(&options, &spool), -ENOTDIR);
	options.dir = "/proc/self";
	assert_true(spool_open(&options, &spool) < 0);
	assert_null(spool);
	assert_int_equal(count_fds(), fds);
}

static void test_a_handout(void **state)
{
	SPOOL *spool = open_spool(5);
	struct source source = {.size_of = small_sizes};
	struct segment *segment;
	struct handout one, two;
	char expected[32];
	int fds;

	(void)state;
	send_until(spool, &source, 10);
	segment = spool_take(spool);
	fds = count_fds();
	assert_int_equal(handout_init(&one, spool, segment), 0);
	assert_int_equal(handout_init(&two, spool, segment), 0);
	assert_int_equal(count_fds(), fds + 4);
	assert_null(one.segment.spool);
	snprintf(expected, sizeof(expected), "/dev/fd/%d", one.segment.data_fd);
	assert_string_equal(one.segment.data, expected);
	snprintf(expected, sizeof(expected), "/dev/fd/%d", one.segment.index_fd);
	assert_string_equal(one.segment.index, expected);
	assert_int_equal(lseek(one.data_fd, 3, SEEK_SET), 3);
	assert_int_equal(lseek(two.data_fd, 0, SEEK_CUR), 0);
	assert_int_equal(write(one.data_fd, "x", 1), -1);
	assert_int_equal(write(one.index_fd, "x", 1), -1);
	assert_int_equal(one.segment.messages, 5);
	handout_done(&one);
	handout_done(&two);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(handout_init_kept(&one, spool, segment), 0);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(one.segment.data_fd, -1);
	assert_int_equal(access(one.segment.data, R_OK), 0);
	assert_int_equal(access(one.segment.index, R_OK), 0);
	spool_keep(spool, segment);
	assert_int_equal(access(one.segment.data, R_OK), 0);
	handout_done(&one);
}

/* Where the application has closed its standard input, a segment may not take its place: a command
 * would get it under a number that stands for something else. */
static void test_a_handout_stays_above_the_standard_descriptors(void **state)
{
	SPOOL *spool = open_spool(5);
	struct source source = {.size_of = small_sizes};
	CLEANUP_FD int saved = dup(STDIN_FILENO);
	struct segment *segment;
	struct handout handout;

	(void)state;
	send_until(spool, &source, 5);
	segment = spool_take(spool);
	close(STDIN_FILENO);
	assert_int_equal(handout_init(&handout, spool, segment), 0);
	assert_true(handout.data_fd > STDERR_FILENO);
	assert_true(handout.index_fd > STDERR_FILENO);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	assert_true(fcntl(handout.data_fd, F_GETFD) & FD_CLOEXEC);
	handout_done(&handout);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(spool_ack(spool, segment), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_segments_have_no_names),
		TEST_IN_SCRATCH(test_what_is_kept_is_held_until_the_end),
		TEST_IN_SCRATCH(test_nothing_is_left_at_any_end),
		TEST_IN_SCRATCH(test_the_open_segment_can_be_followed),
		TEST_IN_SCRATCH(test_a_segment_of_nothing),
		TEST_IN_SCRATCH(test_places_that_cannot_be),
		TEST_IN_SCRATCH(test_a_handout),
		TEST_IN_SCRATCH(test_a_handout_stays_above_the_standard_descriptors),
	};

	return cmocka_run_group_tests_name("ephemeral", tests, NULL, NULL);
}
