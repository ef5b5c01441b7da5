/* What weir cat prints, when the file from which it copies is cut in the middle of that.
 * --wrap: sendfile sendfile64. */
#include "test_spool_support.h"

#include "cli/printer.h"

#include <sys/sendfile.h>

#define MESSAGES 100
#define SIZE 1000

static int calls;

ssize_t __wrap_sendfile(int to, int from, off_t *offset, size_t size);
ssize_t __real_sendfile(int to, int from, off_t *offset, size_t size);
ssize_t __wrap_sendfile64(int to, int from, off64_t *offset, size_t size);
ssize_t __real_sendfile64(int to, int from, off64_t *offset, size_t size);

/* A third of it, and then the file has an end. */
ssize_t __wrap_sendfile(int to, int from, off_t *offset, size_t size)
{
	return calls++ > 0 ? 0 : __real_sendfile(to, from, offset, size / 3);
}

ssize_t __wrap_sendfile64(int to, int from, off64_t *offset, size_t size)
{
	return calls++ > 0 ? 0 : __real_sendfile64(to, from, offset, size / 3);
}

/* A sealed segment of messages in a row, whose data is `data`. */
static void put_segment(int dir_fd, uint8_t *data)
{
	static uint8_t index[FORMAT_HEADER_SIZE + MESSAGES * FORMAT_ENTRY_SIZE];

	format_write_header(index, &(struct format_header){.first_seq = 0});
	for (size_t i = 0; i < MESSAGES; i++) {
		const struct format_entry entry = {
			.offset = i * (SIZE + 1), .length = SIZE, .kind = FORMAT_TEXT};
		uint8_t *payload = data + entry.offset;

		memset(payload, 'a' + (int)(i % 26), SIZE);
		payload[SIZE] = '\n';
		format_write_entry(index + FORMAT_HEADER_SIZE + i * FORMAT_ENTRY_SIZE, &entry,
				   crc32c(0, payload, SIZE));
	}
	put_segment_file(dir_fd, 0, FORMAT_INDEX_SUFFIX, index, sizeof(index));
	put_segment_file(dir_fd, 0, FORMAT_DATA_SUFFIX, data, MESSAGES * (SIZE + 1));
}

/* The rest comes out of memory, where it was checked, and nothing comes twice. */
static void test_a_file_that_is_cut_meanwhile(void **state)
{
	static uint8_t data[MESSAGES * (SIZE + 1)], printed[2 * sizeof(data)];
	static struct output output;
	CLEANUP_FD int dir_fd = open_dir(scratch);
	CLEANUP(reader_free) struct reader *reader = NULL;
	struct printer printer = {.output = &output,
				  .selection = {.kinds = SELECTION_MESSAGES,
						.to_seq = UINT64_MAX,
						.until_ns = UINT64_MAX},
				  .left = UINT64_MAX};
	struct record records[MESSAGES];

	(void)state;
	put_segment(dir_fd, data);
	output.fd = openat(dir_fd, "printed", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(output.fd >= 0);
	assert_int_equal(reader_open(dir_fd, 0, true, &reader), 0);
	assert_int_equal(reader_next_batch(reader, records, MESSAGES), MESSAGES);
	assert_int_equal(printer_put(&printer, reader, records, MESSAGES), 0);
	output_flush(&output);
	assert_int_equal(calls, 2);
	assert_int_equal(pread(output.fd, printed, sizeof(printed), 0), sizeof(data));
	assert_memory_equal(printed, data, sizeof(data));
	close(output.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_a_file_that_is_cut_meanwhile),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
