/* The bytes on disk, compared with bytes that were drawn by hand (the checksums by another
 * program).
 * --wrap: none. */
#include "test_support.h"

#include "base/crc32c.h"
#include "spool/format.h"

static const uint8_t golden_header[FORMAT_HEADER_SIZE] = {
	0x89, 'W',  'E',  'I',	'R',  '\r', '\n', 0x1a, /* magic */
	2,    0,    64,	  0,	32,   0,    1,	  0x0a, /* version, sizes, separator */
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* first sequence number */
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* created */
	0,    0,    0,	  0,	0,    0,    0,	  0,	/* nothing */
	0,    0,    0,	  0,	0,    0,    0,	  0,	/* nothing */
	0,    0,    0,	  0,	0,    0,    0,	  0,	/* nothing */
	0,    0,    0,	  0,	0xb2, 0x50, 0xae, 0x6f, /* nothing, checksum */
};

static const struct format_header header = {
	.first_seq = UINT64_C(0x0102030405060708),
	.created_ns = UINT64_C(0x1112131415161718),
};

/* The payload is "Hello". */
static const uint8_t golden_entry[FORMAT_ENTRY_SIZE] = {
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, /* offset, source */
	5,    0,    0,	  0,	0,    0,    0,	  0,	/* length */
	0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, /* time */
	1,    0x80, 0x0e, 0x0d, 0x57, 0xb9, 0xbd, 0x6a, /* kind, flags, connection, checksum */
};

static const struct format_entry entry = {
	.offset = UINT64_C(0x232425262728),
	.length = 5,
	.time_ns = UINT64_C(0x3132333435363738),
	.kind = FORMAT_TEXT,
	.flags = 0x80,
	.source = 0x2122,
	.connection = 0x0d0e,
};

static void test_a_header(void **state)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header back = {0};

	(void)state;
	format_write_header(bytes, &header);
	assert_memory_equal(bytes, golden_header, sizeof(bytes));
	assert_int_equal(format_read_header(golden_header, &back), 0);
	assert_int_equal(back.first_seq, header.first_seq);
	assert_int_equal(back.created_ns, header.created_ns);
}

static void test_an_entry(void **state)
{
	uint8_t bytes[FORMAT_ENTRY_SIZE];
	struct format_entry back;
	uint32_t payload = crc32c(0, "Hello", 5);

	(void)state;
	format_write_entry(bytes, &entry, payload);
	assert_memory_equal(bytes, golden_entry, sizeof(bytes));
	assert_true(format_entry_is_valid(golden_entry, payload));
	assert_false(format_entry_is_valid(golden_entry, crc32c(0, "Hallo", 5)));
	format_read_entry(golden_entry, &back);
	assert_int_equal(back.offset, entry.offset);
	assert_int_equal(back.length, entry.length);
	assert_int_equal(back.time_ns, entry.time_ns);
	assert_int_equal(back.kind, entry.kind);
	assert_int_equal(back.flags, entry.flags);
	assert_int_equal(back.source, entry.source);
	assert_int_equal(back.connection, entry.connection);
}

/* A single bit that is wrong is always noticed. */
static void test_every_bit_of_a_header(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 8 * FORMAT_HEADER_SIZE; bit++) {
		struct format_header back = {.first_seq = 1, .created_ns = 2};
		uint8_t bytes[FORMAT_HEADER_SIZE];

		memcpy(bytes, golden_header, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(format_read_header(bytes, &back), 0);
		assert_int_equal(back.first_seq, 1); /* untouched */
		assert_int_equal(back.created_ns, 2);
	}
}

static void test_every_bit_of_an_entry(void **state)
{
	uint32_t payload = crc32c(0, "Hello", 5);

	(void)state;
	for (size_t bit = 0; bit < 8 * FORMAT_ENTRY_SIZE; bit++) {
		uint8_t bytes[FORMAT_ENTRY_SIZE];

		memcpy(bytes, golden_entry, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(format_entry_is_valid(bytes, payload));
	}
}

/* Writes a header with one byte changed, and the checksum that belongs to it. */
static int read_changed(size_t at, uint8_t value)
{
	struct format_header back;
	uint8_t bytes[FORMAT_HEADER_SIZE];
	uint32_t crc;

	memcpy(bytes, golden_header, sizeof(bytes));
	bytes[at] = value;
	crc = crc32c(0, bytes, 60);
	for (size_t i = 0; i < 4; i++)
		bytes[60 + i] = (uint8_t)(crc >> 8 * i);
	return format_read_header(bytes, &back);
}

static void test_headers_of_others(void **state)
{
	uint8_t zeros[FORMAT_HEADER_SIZE] = {0};
	struct format_header back;

	(void)state;
	assert_int_equal(format_read_header(zeros, &back), FORMAT_FOREIGN);
	assert_int_equal(read_changed(0, 'x'), FORMAT_FOREIGN);
	assert_int_equal(read_changed(8, 0), FORMAT_UNKNOWN);
	assert_int_equal(read_changed(8, 1), FORMAT_UNKNOWN);
	assert_int_equal(read_changed(8, 3), FORMAT_UNKNOWN);
	assert_int_equal(read_changed(9, 1), FORMAT_UNKNOWN);
	assert_int_equal(read_changed(10, 65), FORMAT_FOREIGN);
	assert_int_equal(read_changed(12, 33), FORMAT_FOREIGN);
	assert_int_equal(read_changed(14, 2), FORMAT_FOREIGN);
	assert_int_equal(read_changed(15, 0), 0); /* any separator of one byte */
}

static void test_what_a_record_takes(void **state)
{
	const struct format_entry text = {.kind = FORMAT_TEXT, .length = 10};
	const struct format_entry empty = {.kind = FORMAT_BINARY};
	const struct format_entry event = {.kind = FORMAT_GAP, .length = 10};

	(void)state;
	assert_int_equal(format_data_size(&text), 11);
	assert_int_equal(format_data_size(&empty), 1);
	assert_int_equal(format_data_size(&event), 0);
	assert_false(format_is_event(&text) || format_is_event(&empty));
	assert_true(format_is_event(&event));
	assert_int_equal(FORMAT_DISCONNECTED_VALUE(1006, 77), 77 * 65536 + 1006);
}

static void test_names(void **state)
{
	static const struct {
		uint64_t seq;
		const char *suffix, *name;
	} names[] = {
		{0, FORMAT_DATA_SUFFIX, "00000000000000000000.data"},
		{42, FORMAT_INDEX_SUFFIX, "00000000000000000042.index"},
		{UINT64_MAX, FORMAT_OPEN_SUFFIX, "18446744073709551615.index.open"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char name[FORMAT_NAME_SIZE];
		uint64_t seq = 7;

		assert_ptr_equal(format_name(name, names[i].seq, names[i].suffix), name);
		assert_string_equal(name, names[i].name);
		assert_true(format_parse_name(name, names[i].suffix, &seq));
		assert_int_equal(seq, names[i].seq);
	}
}

static void test_names_that_are_none(void **state)
{
	static const char *const names[] = {
		"",
		".data",
		"0.data",
		"0000000000000000000.data",   /* 19 digits */
		"000000000000000000000.data", /* 21 */
		"00000000000000000000",	      /* no suffix */
		"00000000000000000000.Data",
		"00000000000000000000.data.lone",
		"00000000000000000000.index",
		" 0000000000000000000.data",
		"-0000000000000000001.data",
		"0000000000000000000x.data",
		"18446744073709551616.data", /* 2^64 */
		"99999999999999999999.data",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t seq = 7;

		if (format_parse_name(names[i], FORMAT_DATA_SUFFIX, &seq))
			fail_msg("\"%s\"", names[i]);
		assert_int_equal(seq, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_header),
		cmocka_unit_test(test_an_entry),
		cmocka_unit_test(test_every_bit_of_a_header),
		cmocka_unit_test(test_every_bit_of_an_entry),
		cmocka_unit_test(test_headers_of_others),
		cmocka_unit_test(test_what_a_record_takes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_that_are_none),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
