/* ws:// and wss:// URLs, RFC 6455 section 3.
 * --wrap: none. */
#include "test_support.h"

#include "websocket/url.h"

static void test_urls_that_are_taken(void **state)
{
	static const struct {
		const char *text, *host_header, *target, *dial;
	} urls[] = {
		{"ws://example.com", "example.com", "/", "http://example.com:80/"},
		{"ws://example.com/", "example.com", "/", "http://example.com:80/"},
		{"ws://example.com:80/", "example.com", "/", "http://example.com:80/"},
		{"ws://example.com:9001/", "example.com:9001", "/", "http://example.com:9001/"},
		{"ws://127.0.0.1:1/a/b", "127.0.0.1:1", "/a/b", "http://127.0.0.1:1/"},
		{"ws://[::1]:8080/x", "[::1]:8080", "/x", "http://[::1]:8080/"},
		{"ws://h:65535", "h:65535", "/", "http://h:65535/"},
		{"ws://h/a?b=c&d", "h", "/a?b=c&d", "http://h:80/"},
		{"ws://h?b=c", "h", "/?b=c", "http://h:80/"},
		{"ws://h/a%20b?c%23", "h", "/a%20b?c%23", "http://h:80/"},
		{"ws://h/?a?b/c", "h", "/?a?b/c", "http://h:80/"},
		{"WS://h/", "h", "/", "http://h:80/"},
		{"wss://example.com", "example.com", "/", "https://example.com:443/"},
		{"WSS://h/a?b", "h", "/a?b", "https://h:443/"},
		{"wss://h:443/", "h", "/", "https://h:443/"},
		{"wss://h:80/", "h:80", "/", "https://h:80/"},
		{"ws://h:443/", "h:443", "/", "http://h:443/"},
		{"wss://[::1]:8443/x", "[::1]:8443", "/x", "https://[::1]:8443/"},
		{"ws://[fe80::1%25eth0]:81/", "[fe80::1]:81", "/", "http://[fe80::1%25eth0]:81/"},
		{"wss://[fe80::1%25eth0]/", "[fe80::1]", "/", "https://[fe80::1%25eth0]:443/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		CLEANUP(url_done) struct url url = {0};
		int r = url_parse(urls[i].text, &url);

		if (r != 0)
			fail_msg("%s: %d", urls[i].text, r);
		assert_string_equal(url.host_header, urls[i].host_header);
		assert_string_equal(url.target, urls[i].target);
		assert_string_equal(url.dial, urls[i].dial);
		assert_int_equal(url.tls, strncmp(url.dial, "https", 5) == 0);
		assert_int_equal(url.port, strtoul(strrchr(url.dial, ':') + 1, NULL, 10));
	}
}

static void test_urls_that_are_not(void **state)
{
	static const struct {
		const char *text;
		int result;
	} urls[] = {
		{"", URL_SCHEME},
		{"example.com", URL_SCHEME},
		{"http://h/", URL_SCHEME},
		{"ws:/h", URL_SCHEME},
		{"ws:h", URL_SCHEME},
		{" ws://h/", URL_SCHEME},
		{"wss:/h/", URL_SCHEME},
		{"wssx://h/", URL_SCHEME},
		{"wss://", URL_MALFORMED},
		{"wss:///x", URL_MALFORMED},
		{"wss://:443/", URL_MALFORMED},
		{"wss://h:0/", URL_MALFORMED},
		{"wss://h/\r\nX: y", URL_MALFORMED},
		{"wss://h/#x", URL_FRAGMENT},
		{"wss://user:secret@h/", URL_USER},
		{"ws://", URL_MALFORMED},
		{"ws:///x", URL_MALFORMED},
		{"ws://:80/", URL_MALFORMED},
		{"ws://h:/x:y z", URL_MALFORMED},
		{"ws://h:0/", URL_MALFORMED},
		{"ws://h:65536/", URL_MALFORMED},
		{"ws://h:-1/", URL_MALFORMED},
		{"ws://h:80x/", URL_MALFORMED},
		{"ws://[::1/", URL_MALFORMED},
		{"ws://a b/", URL_MALFORMED},
		{"ws://h/a b", URL_MALFORMED},
		{"ws://h/\xc3\xa9", URL_MALFORMED},
		{"ws://h\xc3\xa9/", URL_MALFORMED},
		{"ws://h/\x7f", URL_MALFORMED},
		{"ws://h/\t", URL_MALFORMED},
		{"ws://h/\r\nX: y", URL_MALFORMED}, /* a header smuggled in */
		{"ws://h/a\nb", URL_MALFORMED},
		{"ws://a%0d%0aX/", URL_MALFORMED}, /* the same, in the Host header */
		{"ws://a%20b/", URL_MALFORMED},
		{"ws://h/#x", URL_FRAGMENT},
		{"ws://h#x", URL_FRAGMENT},
		{"ws://h/?a#x", URL_FRAGMENT},
		{"ws://user@h/", URL_USER},
		{"ws://user:secret@h/", URL_USER},
		{"ws://:secret@h/", URL_USER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct url url = {.target = NULL};
		int r = url_parse(urls[i].text, &url);

		if (r != urls[i].result)
			fail_msg("%s: %d", urls[i].text, r);
		assert_null(url.target);
		assert_null(url.dial);
		assert_null(url.host_header);
	}
}

/* What is percent-encoded in a host stands in the Host header decoded. */
static void test_hosts_that_are_not_printable(void **state)
{
	static const char *const urls[] = {"ws://a%ff/", "ws://%c3%a9/", "ws://a%7f/",
					   "ws://a%01/"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		CLEANUP(url_done) struct url url = {0};

		if (url_parse(urls[i], &url) != URL_MALFORMED)
			fail_msg("%s: %s", urls[i], url.host_header);
	}
}

static void test_what_is_shown(void **state)
{
	static const char *const urls[][2] = {
		{"ws://h", "ws://h/"},
		{"wss://h:443/a?token=secret", "wss://h/a"},
		{"wss://[fe80::1%25lo]:1/?secret", "wss://[fe80::1]:1/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		CLEANUP(url_done) struct url url = {0};
		CLEANUP_FREE char *shown = NULL;

		assert_int_equal(url_parse(urls[i][0], &url), 0);
		shown = url_format_shown(&url);
		assert_string_equal(shown, urls[i][1]);
	}
}

static void test_a_name_longer_than_names_are(void **state)
{
	CLEANUP(url_done) struct url url = {0};
	char text[300] = "ws://";

	(void)state;
	memset(text + strlen(text), 'a', 255);
	assert_int_equal(url_parse(text, &url), 0);
	url_done(&url);
	text[strlen(text)] = 'a';
	assert_int_equal(url_parse(text, &url), URL_MALFORMED);
}

static void test_an_empty_fragment_is_one(void **state)
{
	CLEANUP(url_done) struct url url = {0};

	(void)state;
	assert_int_equal(url_parse("ws://h/#", &url), URL_FRAGMENT);
	assert_int_equal(url_parse("ws://h/?a#", &url), URL_FRAGMENT);
}

static void test_every_error_has_words(void **state)
{
	(void)state;
	for (int i = URL_MALFORMED; i <= URL_USER; i++)
		assert_true(strlen(url_error_text((enum url_error)i)) > 10);
}

static void test_done_twice(void **state)
{
	struct url url = {0};

	(void)state;
	url_done(&url);
	assert_int_equal(url_parse("ws://h/", &url), 0);
	url_done(&url);
	assert_null(url.target);
	url_done(&url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls_that_are_taken),
		cmocka_unit_test(test_urls_that_are_not),
		cmocka_unit_test(test_hosts_that_are_not_printable),
		cmocka_unit_test(test_what_is_shown),
		cmocka_unit_test(test_a_name_longer_than_names_are),
		cmocka_unit_test(test_an_empty_fragment_is_one),
		cmocka_unit_test(test_every_error_has_words),
		cmocka_unit_test(test_done_twice),
	};

	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
