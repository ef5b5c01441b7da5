/* The words about a capture: a line that fits, and JSON that can be read.
 * --wrap: none. */
#include "test_support.h"

#include "monitor/status.h"

static const struct weir_stats usual = {
	.elapsed_ns = UINT64_C(10000000000),
	.messages = 5000,
	.bytes = 1 << 20,
	.wire_bytes = 1100000,
	.segments = 4,
	.acked = 3,
	.kept = 1,
	.connections = 1,
	.backlog_segments = 2,
	.disk_bytes = 2048,
	.disk_peak_bytes = 4096,
	.connected = true,
};

static const struct weir_stats extreme = {
	.elapsed_ns = UINT64_MAX,
	.messages = UINT64_MAX,
	.bytes = UINT64_MAX,
	.wire_bytes = UINT64_MAX,
	.segments = UINT64_MAX,
	.acked = UINT64_MAX,
	.kept = UINT64_MAX,
	.backlog_segments = UINT64_MAX,
	.disk_bytes = UINT64_MAX,
	.disk_peak_bytes = UINT64_MAX,
	.cut_bytes = UINT64_MAX,
	.connections = UINT64_MAX,
	.failures = UINT64_MAX,
	.duplicates = UINT64_MAX,
	.gaps = UINT64_MAX,
	.missing = UINT64_MAX,
	.keyless = UINT64_MAX,
	.numberless = UINT64_MAX,
	.close_code = UINT16_MAX,
	.blocked = true,
	.synced = true,
	.durable_messages = UINT64_MAX,
	.durable_bytes = UINT64_MAX,
};

static const struct status_mark start = {0};

static void assert_begins(const char *text, const char *beginning)
{
	assert_true(strlen(text) >= strlen(beginning));
	assert_memory_equal(text, beginning, strlen(beginning));
}

static void test_a_line(void **state)
{
	const struct status_mark mark = {
		.elapsed_ns = UINT64_C(8000000000), .messages = 4000, .bytes = 1 << 19};
	char line[400];

	(void)state;
	assert_ptr_equal(status_line(line, sizeof(line) - 1, &usual, &mark, 1, 3 << 20), line);
	assert_begins(line, "10.0 s  5 000 messages  1.0 MiB  500/s  256.0 KiB/s  backlog 2  "
			    "disk 2.0 KiB held, 3.0 MiB free  memory ");
	assert_null(strchr(line, '\n'));
	assert_null(strstr(line, "connected"));
}

static void test_a_line_with_what_is_durable(void **state)
{
	struct weir_stats stats = usual;
	char line[400];

	(void)state;
	stats.synced = true;
	stats.durable_messages = 4999;
	status_line(line, sizeof(line) - 1, &stats, &start, 1, 3 << 20);
	assert_begins(line, "10.0 s  5 000 messages  4 999 durable  1.0 MiB  500/s  ");
}

static void test_the_phases_of_a_line(void **state)
{
	struct weir_stats stats = usual;
	char line[400];

	(void)state;
	stats.connected = 0;
	assert_non_null(strstr(status_line(line, 79, &stats, &start, 2, 0), "  not connected  "));
	stats.connected = 1;
	assert_non_null(
		strstr(status_line(line, 79, &stats, &start, 2, 0), "  1 of 2 connected  "));
	stats.blocked = true;
	assert_non_null(strstr(status_line(line, 79, &stats, &start, 2, 0), "  waiting for room"));
	stats.connected = 0;
	stats.end = WEIR_END_LIMIT;
	assert_non_null(strstr(status_line(line, 79, &stats, &start, 2, 0), "  ending  "));
	stats.end = WEIR_END_STOP;
	assert_non_null(strstr(status_line(line, 79, &stats, &start, 2, 0), "Ctrl-C again"));
}

static void test_a_line_is_never_too_long(void **state)
{
	const struct weir_stats *const both[] = {&usual, &extreme};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		for (size_t columns = 0; columns < 300; columns++) {
			char line[302];

			memset(line, '#', sizeof(line));
			status_line(line, columns, both[i], &start, 1, UINT64_MAX);
			assert_true(strnlen(line, sizeof(line)) <= columns);
			for (size_t at = columns + 1; at < sizeof(line); at++)
				assert_int_equal(line[at], '#');
		}
	}
}

static void test_no_number_is_cut(void **state)
{
	static const struct {
		size_t columns;
		const char *end;
	} cuts[] = {
		{79, "  backlog 2"},
		{80, "  backlog 2"},
		{81, "  disk 2.0 KiB held"},
		{23, "  5 000 messages"},
		{22, "  5 000 messages"},
		{21, "10.0 s"},
		{3, "10."},
	};
	char line[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		size_t size = strlen(cuts[i].end);

		status_line(line, cuts[i].columns, &usual, &start, 1, 3 << 20);
		assert_true(strlen(line) >= size);
		assert_string_equal(line + strlen(line) - size, cuts[i].end);
	}
}

static void test_no_time_has_passed(void **state)
{
	const struct status_mark mark = {.elapsed_ns = usual.elapsed_ns};
	char line[400];

	(void)state;
	assert_non_null(strstr(status_line(line, 399, &usual, &mark, 1, 0), "  0/s  0 B/s  "));
}

static char *memory_text; /* of the stream below */
static size_t memory_size;

/* Everything that a function prints; the caller frees it. */
static char *printed(void (*print)(FILE *, const struct weir_stats *),
		     const struct weir_stats *stats)
{
	FILE *file = open_memstream(&memory_text, &memory_size);

	assert_non_null(file);
	print(file, stats);
	assert_int_equal(fclose(file), 0);
	return TAKE_PTR(memory_text);
}

static void test_one_of_each(void **state)
{
	const struct weir_stats one = {
		.messages = 1,
		.synced = true,
		.durable_messages = 1,
		.connections = 1,
		.failures = 1,
		.gaps = 1,
		.missing = 1,
		.connected = 1,
	};
	char text[4096] = "", line[256];
	FILE *to = fmemopen(text, sizeof(text), "w");

	(void)state;
	status_summary(to, &one);
	fclose(to);
	assert_non_null(strstr(text, "captured   1 message, "));
	assert_non_null(strstr(text, "durable    1 message, "));
	assert_non_null(strstr(text, "1 time, 1 attempt failed\n"));
	assert_non_null(strstr(text, "in which 1 number is missing\n"));
	status_line(line, sizeof(line) - 1, &one, &(struct status_mark){0}, 1, 0);
	assert_non_null(strstr(line, "1 message  "));
}

static void test_a_summary(void **state)
{
	CLEANUP_FREE char *text = printed(status_summary, &usual);

	(void)state;
	assert_begins(text, "captured   5 000 messages, 1.0 MiB, in 10.0 s\n"
			    "rates      500 messages/s, 102.4 KiB/s\n"
			    "segments   4 sealed, 3 processed, 1 kept after a failure, 2 left\n"
			    "disk       4.0 KiB held at the peak, 2.0 KiB now\n"
			    "memory     ");
	assert_null(strstr(text, "close"));
	assert_null(strstr(text, "cut"));
}

static void test_a_summary_of_a_bad_end(void **state)
{
	struct weir_stats stats = usual;
	CLEANUP_FREE char *text = NULL;

	(void)state;
	stats.close_code = 1011;
	stats.cut_bytes = 12;
	text = printed(status_summary, &stats);
	assert_non_null(strstr(text, "\nclose      the server's code was 1011\n"));
	assert_non_null(strstr(text, "\ncut        12 B of an unfinished message do not count\n"));
}

static struct status_names names;

static void print_json(FILE *to, const struct weir_stats *stats)
{
	status_json(to, stats, &names);
}

static char *json(const struct weir_stats *stats, const char *url, const char *spool,
		  const char *end)
{
	names = (struct status_names){.url = url, .spool = spool, .end = end};
	return printed(print_json, stats);
}

static void test_json(void **state)
{
	CLEANUP_FREE char *text = json(&usual, "ws://h/", "/tmp/x", "limit");
	unsigned long long rss = 0;
	int at = 0;

	(void)state;
	assert_int_equal(sscanf(text,
				"{\"messages\":5000,\"bytes\":1048576,\"wire_bytes\":1100000,"
				"\"duration_ns\":10000000000,\"segments\":4,\"acked\":3,\"kept\":1,"
				"\"peak_disk_bytes\":4096,\"peak_rss_bytes\":%llu,%n",
				&rss, &at),
			 1);
	assert_true(rss > 100000 && at > 0);
	assert_string_equal(text + at, "\"connections\":1,\"failures\":0,"
				       "\"dropped_messages\":0,\"dropped_bytes\":0,"
				       "\"lost_events\":0,\"duplicates\":0,"
				       "\"gaps\":0,\"missing\":0,"
				       "\"keyless\":0,\"numberless\":0,"
				       "\"close_code\":0,\"cut_bytes\":0,\"sources\":[],"
				       "\"url\":\"ws://h/\","
				       "\"spool\":\"/tmp/x\",\"end\":\"limit\"}\n");
}

static void check_json_text(const char *name, const char *expected)
{
	CLEANUP_FREE char *text = json(&usual, name, name, "closed");

	assert_begins(strstr(text, "\"url\":") + 6, expected);
	assert_begins(strstr(text, "\"spool\":") + 8, expected);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
}

/* RFC 8259 section 7 */
static void test_json_escapes(void **state)
{
	static const struct {
		const char *text, *expected;
	} texts[] = {
		{"", "\"\""},
		{"a\"b", "\"a\\\"b\""},
		{"a\\b", "\"a\\\\b\""},
		{"\n\t\r", "\"\\u000a\\u0009\\u000d\""},
		{"\x01\x1f", "\"\\u0001\\u001f\""},
		{"caf\xc3\xa9", "\"caf\xc3\xa9\""},
		{"\x7f\xc2\x80\xc2\x9f\xc2\xa0", "\"\\u007f\\u0080\\u009f\xc2\xa0\""},
		{"/", "\"/\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_json_text(texts[i].text, texts[i].expected);
}

static void test_memory(void **state)
{
	struct memory memory = memory_read();

	(void)state;
	assert_true(memory.rss_bytes > 100000);
	assert_true(memory.peak_rss_bytes >= memory.rss_bytes);
	assert_int_equal(memory.rss_bytes % 1024, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_of_each),
		cmocka_unit_test(test_a_line),
		cmocka_unit_test(test_a_line_with_what_is_durable),
		cmocka_unit_test(test_the_phases_of_a_line),
		cmocka_unit_test(test_a_line_is_never_too_long),
		cmocka_unit_test(test_no_number_is_cut),
		cmocka_unit_test(test_no_time_has_passed),
		cmocka_unit_test(test_a_summary),
		cmocka_unit_test(test_a_summary_of_a_bad_end),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_escapes),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
