/* Secrets from files and variables, the headers that are made of them, and buffers that hold some.
 * --wrap: free. */
#include "test_wipe_support.h"

#include "base/buffer.h"
#include "base/io.h"
#include "base/secret.h"
#include "websocket/authorization.h"

#include <fcntl.h>

static const struct {
	const char *data;
	size_t size;
	int error;
	const char *text;
} lines[] = {
	{"abc", 3, 0, "abc"},		{"abc\n", 4, 0, "abc"},
	{"abc\r\n", 5, 0, "abc"},	{" a b\t", 5, 0, " a b\t"}, /* blanks may be a part of it */
	{"\xc3\xa9", 2, 0, "\xc3\xa9"}, {"", 0, -ENODATA, NULL},
	{"\n", 1, -ENODATA, NULL},	{"\r\n", 2, -ENODATA, NULL},
	{"abc\r", 4, -EBADMSG, NULL},	{"abc\n\n", 5, -EBADMSG, NULL},
	{"a\nb", 3, -EBADMSG, NULL},	{"a\rb", 3, -EBADMSG, NULL},
	{"a\0b", 3, -EBADMSG, NULL},	{"abc\0", 4, -EBADMSG, NULL},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		CLEANUP_FREE char *copy = exact_copy(lines[i].data, lines[i].size);
		CLEANUP(secret_done) struct secret secret = {0};
		int r = secret_from_bytes(copy, lines[i].size, &secret);

		if (r != lines[i].error)
			fail_msg("line %zu: %d", i, r);
		if (r < 0) {
			assert_null(secret.text);
			continue;
		}
		assert_string_equal(secret.text, lines[i].text);
		assert_int_equal(secret.size, strlen(lines[i].text));
	}
}

/* A file without a name that holds these bytes. */
static int make_file(const char *data, size_t size)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, data, size, NULL), 0);
	return fd;
}

static int read_back(const char *data, size_t size, struct secret *ret_secret)
{
	CLEANUP_FD int fd = make_file(data, size);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return secret_read_file(AT_FDCWD, path, ret_secret);
}

static void test_the_bound_of_a_file(void **state)
{
	static char data[SECRET_MAX + 3];
	CLEANUP(secret_done) struct secret first = {0};
	CLEANUP(secret_done) struct secret second = {0};

	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(read_back(data, SECRET_MAX, &first), 0);
	assert_int_equal(first.size, SECRET_MAX);
	assert_int_equal(read_back(data, SECRET_MAX + 1, &second), -EFBIG);
	memcpy(data + SECRET_MAX, "\r\n", 3);
	assert_int_equal(read_back(data, SECRET_MAX + 2, &second), 0);
	assert_int_equal(second.size, SECRET_MAX);
	secret_done(&second);
	assert_int_equal(read_back(data, SECRET_MAX + 3, &second), -EFBIG);
	assert_null(second.text);
}

static void test_files_that_cannot_be_read(void **state)
{
	struct secret secret = {0};

	(void)state;
	assert_int_equal(secret_read_file(AT_FDCWD, "/nonexistent", &secret), -ENOENT);
	assert_int_equal(secret_read_file(AT_FDCWD, "/tmp", &secret), -EISDIR);
	assert_int_equal(secret_read_file(AT_FDCWD, "/dev/zero", &secret), -EFBIG);
	assert_null(secret.text);
}

static void test_variables(void **state)
{
	CLEANUP(secret_done) struct secret secret = {0};

	(void)state;
	assert_int_equal(setenv("WEIR_TEST_SECRET", "s3cret", 1), 0);
	assert_int_equal(secret_read_env("WEIR_TEST_SECRET", &secret), 0);
	assert_string_equal(secret.text, "s3cret");
	assert_int_equal(setenv("WEIR_TEST_SECRET", "", 1), 0);
	assert_int_equal(secret_read_env("WEIR_TEST_SECRET", &secret), -ENODATA);
	assert_int_equal(unsetenv("WEIR_TEST_SECRET"), 0);
	assert_int_equal(secret_read_env("WEIR_TEST_SECRET", &secret), -ENOKEY);
	assert_string_equal(secret.text, "s3cret"); /* untouched */
}

static void test_every_error_has_words(void **state)
{
	char text[SECRET_TEXT_SIZE];

	(void)state;
	assert_string_equal(secret_error_text(-ENOKEY, text), "is not set");
	assert_string_equal(secret_error_text(-ENODATA, text), "is empty");
	assert_true(strstr(secret_error_text(-EFBIG, text), "64 KiB"));
	assert_true(strstr(secret_error_text(-EBADMSG, text), "line"));
	assert_string_equal(secret_error_text(-ENOENT, text),
			    "cannot be read: No such file or directory");
}

static struct secret secret_of(const char *text)
{
	struct secret secret;

	assert_int_equal(secret_from_bytes(text, strlen(text), &secret), 0);
	return secret;
}

static void assert_header(int (*make)(const struct secret *, struct secret *), const char *text,
			  const char *expected)
{
	CLEANUP(secret_done) struct secret secret = secret_of(text);
	CLEANUP(secret_done) struct secret line = {0};

	assert_int_equal(make(&secret, &line), expected ? 0 : -EINVAL);
	if (!expected) {
		assert_null(line.text);
		return;
	}
	assert_string_equal(line.text, expected);
	assert_int_equal(line.size, strlen(expected));
}

static void test_basic(void **state)
{
	(void)state;
	/* RFC 7617, section 2 */
	assert_header(authorization_basic, "Aladdin:open sesame",
		      "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	assert_header(authorization_basic, "test:123\xc2\xa3",
		      "Authorization: Basic dGVzdDoxMjPCow==");
	assert_header(authorization_basic, ":", "Authorization: Basic Og==");
	assert_header(authorization_basic, "a:b:c", "Authorization: Basic YTpiOmM=");
	assert_header(authorization_basic, "nobody", NULL);
	assert_header(authorization_basic, "a:\x01", NULL);
	assert_header(authorization_basic, "a\tb:c", NULL);
	assert_header(authorization_basic, "a:b\x7f", NULL);
}

static void test_bearer(void **state)
{
	(void)state;
	assert_header(authorization_bearer, "mF_9.B5f-4.1JqM", /* RFC 6750, section 2.1 */
		      "Authorization: Bearer mF_9.B5f-4.1JqM");
	assert_header(authorization_bearer, "12|~!", "Authorization: Bearer 12|~!");
	assert_header(authorization_bearer, "two words", NULL);
	assert_header(authorization_bearer, " x", NULL);
	assert_header(authorization_bearer, "x\t", NULL);
	assert_header(authorization_bearer, "caf\xc3\xa9", NULL);
	assert_header(authorization_bearer, "x\x7f", NULL);
}

static void live_with_secrets(void)
{
	CLEANUP(secret_done) struct secret secret = {0};
	CLEANUP(secret_done) struct secret line = {0};

	assert_int_equal(read_back("a:s3cret\n", 9, &secret), 0);
	assert_int_equal(authorization_bearer(&secret, &line), 0);
}

static void test_secrets_are_wiped(void **state)
{
	(void)state;
	assert_false(leaves_behind("s3cret", live_with_secrets));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_the_bound_of_a_file),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_every_error_has_words),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_secrets_are_wiped),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
