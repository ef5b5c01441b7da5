/* Which proxy a text names, and what is kept of it.
 * --wrap: none. */
#include "test_support.h"
#include "websocket/proxy.h"

static const struct {
	const char *text, *url, *user, *password;
	bool tls;
} proxies[] = {
	{"host", "http://host:1080", NULL, NULL, false},
	{"host:3128", "http://host:3128", NULL, NULL, false},
	{"http://host:3128/", "http://host:3128", NULL, NULL, false},
	{"https://host", "https://host:443", NULL, NULL, true},
	{"SOCKS5://host", "socks5://host:1080", NULL, NULL, false},
	{"socks5h://[::1]:9", "socks5h://[::1]:9", NULL, NULL, false},
	{"http://me:secret@host:1", "http://host:1", "me", "secret", false},
	{"http://me@host:1", "http://host:1", "me", "", false},
	{"http://m%40e:s%3ac@host:1", "http://host:1", "m@e", "s:c", false},
};

static void assert_text(const char *text, const char *expected)
{
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
}

static void test_proxies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++) {
		CLEANUP(proxy_done) struct proxy proxy = {0};

		if (proxy_parse(proxies[i].text, &proxy) != 0)
			fail_msg("%s", proxies[i].text);
		assert_string_equal(proxy.url, proxies[i].url);
		assert_text(proxy.user, proxies[i].user);
		assert_text(proxy.password, proxies[i].password);
		assert_int_equal(proxy.tls, proxies[i].tls);
		assert_null(strstr(proxy.name, "secret"));
	}
}

static void test_what_is_none(void **state)
{
	static const struct {
		const char *text;
		int error;
	} wrong[] = {
		{"", PROXY_MALFORMED},
		{"http://", PROXY_MALFORMED},
		{"http://host:99999", PROXY_MALFORMED},
		{"http://ho\nst", PROXY_MALFORMED},
		{"http://m%00e:x@host",
		 PROXY_MALFORMED}, /* not to be taken for one without a user */
		{"http://me:%0a@host", PROXY_MALFORMED},
		{"ftp://host", PROXY_SCHEME},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct proxy proxy = {.tls = true};
		int r = proxy_parse(wrong[i].text, &proxy);

		if (r != wrong[i].error)
			fail_msg("%s: %d", wrong[i].text, r);
		assert_true(proxy.tls && !proxy.url);
	}
}

static void test_a_user_from_elsewhere(void **state)
{
	CLEANUP(proxy_done) struct proxy proxy = {0};

	(void)state;
	assert_int_equal(proxy_parse("a:b@host", &proxy), 0);
	assert_int_equal(proxy_set_user(&proxy, "no colon"), PROXY_MALFORMED);
	assert_int_equal(proxy_set_user(&proxy, "me:se:cret"), 0);
	assert_string_equal(proxy.user, "me");
	assert_string_equal(proxy.password, "se:cret");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_a_user_from_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
