/* Where redirects lead, and which ones are not followed.
 * --wrap: none. */
#include "test_support.h"

#include "websocket/redirect.h"

#define FIRST "wss://example.com:9443/a/b?token=1"

struct way {
	struct url first;
	struct redirect redirect;
};

static void begin(struct way *way, const char *first, enum redirect_error bound)
{
	assert_int_equal(url_parse(first, &way->first), 0);
	redirect_init(&way->redirect, &way->first, bound);
}

static void end(struct way *way)
{
	redirect_done(&way->redirect);
	url_done(&way->first);
}

static int follow(struct way *way, const char *location)
{
	struct handshake_response response = {.status = 302};

	assert_true(strlen(location) < sizeof(response.target));
	memcpy(response.target, location, strlen(location) + 1);
	return redirect_follow(&way->redirect, &response);
}

static void test_statuses(void **state)
{
	static const int followed[] = {301, 302, 303, 307, 308};
	size_t found = 0;

	(void)state;
	for (int status = 0; status < 1000; status++)
		found += redirect_is(status);
	assert_int_equal(found, ARRAY_SIZE(followed));
	for (size_t i = 0; i < ARRAY_SIZE(followed); i++)
		assert_true(redirect_is(followed[i]));
}

static void test_where_they_lead(void **state)
{
	static const struct {
		const char *first, *location, *dial, *target;
		bool away;
	} ways[] = {
		/* The same origin, in all its forms. */
		{FIRST, "/c", "https://example.com:9443/", "/c", false},
		{FIRST, "c", "https://example.com:9443/", "/a/c", false},
		{FIRST, "c?d=e", "https://example.com:9443/", "/a/c?d=e", false},
		{FIRST, "?d=e", "https://example.com:9443/", "/a/b?d=e", false},
		{FIRST, "./c", "https://example.com:9443/", "/a/c", false},
		{FIRST, "../c", "https://example.com:9443/", "/c", false},
		{FIRST, "../../../c", "https://example.com:9443/", "/c", false},
		{FIRST, "/x/../c/./d", "https://example.com:9443/", "/c/d", false},
		{FIRST, "/@c:d", "https://example.com:9443/", "/@c:d", false},
		{FIRST, "/c?u=ws://u:p@h/", "https://example.com:9443/", "/c?u=ws://u:p@h/", false},
		{FIRST, "/c%0d%0ad", "https://example.com:9443/", "/c%0d%0ad", false},
		{FIRST, "//example.com:9443/c", "https://example.com:9443/", "/c", false},
		{FIRST, "wss://example.com:9443/c", "https://example.com:9443/", "/c", false},
		{FIRST, "https://example.com:9443/c", "https://example.com:9443/", "/c", false},
		{FIRST, "HTTPS://EXAMPLE.COM:9443/c", "https://EXAMPLE.COM:9443/", "/c", false},
		{FIRST, "https://example.com:9443", "https://example.com:9443/", "/", false},
		{"ws://h/a", "http://h:80/c", "http://h:80/", "/c", false},
		{"ws://h:80/a", "ws://h/c", "http://h:80/", "/c", false},
		{"wss://h/a", "https://h:443/c", "https://h:443/", "/c", false},
		{"ws://h", "c", "http://h:80/", "/c", false},
		{"ws://h?q/r", "c", "http://h:80/", "/c", false},
		{"ws://[::1]:81/a", "c", "http://[::1]:81/", "/c", false},
		{"ws://[fe80::1%25eth0]:81/a", "c", "http://[fe80::1%25eth0]:81/", "/c", false},

		/* Another scheme, host or port. */
		{"ws://h/a", "wss://h/a", "https://h:443/", "/a", true},
		{"ws://h/a", "https://h/a", "https://h:443/", "/a", true},
		{"ws://h:81/a", "wss://h:81/a", "https://h:81/", "/a", true},
		{FIRST, "wss://example.com/a", "https://example.com:443/", "/a", true},
		{FIRST, "//example.com/a", "https://example.com:443/", "/a", true},
		{FIRST, "wss://example.org:9443/a", "https://example.org:9443/", "/a", true},
		{FIRST, "wss://example.com.:9443/a", "https://example.com.:9443/", "/a", true},
		{FIRST, "wss://xexample.com:9443/a", "https://xexample.com:9443/", "/a", true},
		{FIRST, "//evil.example/a", "https://evil.example:443/", "/a", true},
		{"ws://h/a", "ws://h:8080/a", "http://h:8080/", "/a", true},
		{"ws://[fe80::1%25eth0]/", "ws://[fe80::1]/c", "http://[fe80::1]:80/", "/c", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct way way;
		const struct url *url;
		int r;

		begin(&way, ways[i].first, 0);
		assert_ptr_equal(redirect_url(&way.redirect), &way.first);
		r = follow(&way, ways[i].location);
		url = redirect_url(&way.redirect);
		if (r != 0)
			fail_msg("%s: %d", ways[i].location, r);
		assert_string_equal(url->dial, ways[i].dial);
		assert_string_equal(url->target, ways[i].target);
		if (way.redirect.away != ways[i].away)
			fail_msg("%s: away %d", ways[i].location, way.redirect.away);
		end(&way);
	}
}

static void test_those_that_are_not_followed(void **state)
{
	static const struct {
		const char *location;
		int error;
	} refused[] = {
		{"", REDIRECT_TARGET},
		{"ws://example.com:9443/c", REDIRECT_DOWNGRADE},
		{"http://example.com:9443/c", REDIRECT_DOWNGRADE},
		{"HTTP://other/", REDIRECT_DOWNGRADE},
		{"ftp://example.com:9443/c", REDIRECT_SCHEME},
		{"file:///etc/passwd", REDIRECT_SCHEME},
		{"javascript:x", REDIRECT_SCHEME},
		{"data:,x", REDIRECT_SCHEME},
		{"wsss://h/", REDIRECT_SCHEME},
		{"w://h/", REDIRECT_SCHEME},
		{"h:443", REDIRECT_SCHEME},
		{"example.com:443/x", REDIRECT_SCHEME},
		{"wss://u:p@example.com:9443/c", REDIRECT_USER},
		{"wss://u@example.com:9443/c", REDIRECT_USER},
		{"//u:p@example.com:9443/c", REDIRECT_USER},
		{"wss://example.com:9443@evil.example/", REDIRECT_USER},
		{"#c", REDIRECT_FRAGMENT},
		{"/c#", REDIRECT_FRAGMENT},
		{"wss://example.com:9443/c#d", REDIRECT_FRAGMENT},
		{"ftp://h/#d", REDIRECT_FRAGMENT},
		{"wss:example.com", REDIRECT_MALFORMED},
		{"wss:/example.com", REDIRECT_MALFORMED},
		{"wss:c", REDIRECT_MALFORMED},
		{"wss:", REDIRECT_MALFORMED},
		{"https:///example.com/c", REDIRECT_MALFORMED},
		{"wss://", REDIRECT_MALFORMED},
		{"//", REDIRECT_MALFORMED},
		{"///evil.example/", REDIRECT_MALFORMED},
		{"////evil.example/", REDIRECT_MALFORMED},
		{"wss://example.com:0/", REDIRECT_MALFORMED},
		{"wss://example.com:65536/", REDIRECT_MALFORMED},
		{"wss://example.com:x/", REDIRECT_MALFORMED},
		{"wss://[::1/", REDIRECT_MALFORMED},
		{"wss:\\\\evil.example\\", REDIRECT_MALFORMED},
		{"/\\evil.example/", REDIRECT_MALFORMED},
		{"\\\\evil.example/", REDIRECT_MALFORMED},
		{"wss://example.com:9443\\@evil.example/", REDIRECT_MALFORMED},
		{"/a/b?token=1", REDIRECT_LOOP},
		{"?token=1", REDIRECT_LOOP},
		{"b?token=1", REDIRECT_LOOP},
		{"/x/../a/b?token=1", REDIRECT_LOOP},
		{"https://Example.com:9443/a/b?token=1", REDIRECT_LOOP},
	};
	struct way way;

	(void)state;
	begin(&way, FIRST, 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		int r = follow(&way, refused[i].location);

		if (r != refused[i].error)
			fail_msg("%s: %d instead of %d", refused[i].location, r, refused[i].error);
		assert_ptr_equal(redirect_url(&way.redirect), &way.first);
		assert_false(way.redirect.away);
	}
	end(&way);
}

static void test_who_was_away_stays_away(void **state)
{
	struct way way;

	(void)state;
	begin(&way, "wss://h/a", 0);
	assert_int_equal(follow(&way, "b"), 0);
	assert_false(way.redirect.away);
	assert_int_equal(follow(&way, "wss://other/c"), 0);
	assert_true(way.redirect.away);
	assert_int_equal(follow(&way, "d"), 0);
	assert_string_equal(redirect_url(&way.redirect)->dial, "https://other:443/");
	assert_true(way.redirect.away);
	assert_int_equal(follow(&way, "wss://h/e"), 0);
	assert_string_equal(redirect_url(&way.redirect)->dial, "https://h:443/");
	assert_true(way.redirect.away);
	end(&way);
}

static void test_no_way_back_to_where_it_is_not_encrypted(void **state)
{
	struct way way;

	(void)state;
	begin(&way, "ws://h/a", 0);
	assert_int_equal(follow(&way, "ws://h/b"), 0);
	assert_int_equal(follow(&way, "wss://h/c"), 0);
	assert_int_equal(follow(&way, "ws://h/d"), REDIRECT_DOWNGRADE);
	assert_int_equal(follow(&way, "//h/d"), 0);
	assert_true(redirect_url(&way.redirect)->tls);
	end(&way);
}

static void test_circles(void **state)
{
	struct way way;

	(void)state;
	begin(&way, "ws://h/a", 0);
	assert_int_equal(follow(&way, "/b"), 0);
	assert_int_equal(follow(&way, "/b"), REDIRECT_LOOP);
	assert_int_equal(follow(&way, "/a"), REDIRECT_LOOP);
	assert_int_equal(follow(&way, "ws://i/b"), 0);
	assert_int_equal(follow(&way, "ws://H:80/b"), REDIRECT_LOOP);
	assert_int_equal(follow(&way, "/B"), 0); /* a path has its case */
	end(&way);
}

static void test_a_way_has_an_end(void **state)
{
	char location[16];
	struct way way;

	(void)state;
	begin(&way, "ws://h/", 0);
	for (int i = 0; i < REDIRECTS_MAX; i++) {
		snprintf(location, sizeof(location), "/%d", i);
		assert_int_equal(follow(&way, location), 0);
	}
	assert_int_equal(follow(&way, "/more"), REDIRECT_MANY);
	assert_int_equal(follow(&way, "/3"), REDIRECT_LOOP);
	assert_string_equal(redirect_url(&way.redirect)->target, location);
	end(&way);
}

static void test_those_that_may_not_leave(void **state)
{
	static const enum redirect_error reasons[] = {REDIRECT_LEAVES, REDIRECT_SECRETS};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct way way;

		begin(&way, "ws://h/a", reasons[i]);
		assert_int_equal(follow(&way, "/b"), 0);
		assert_int_equal(follow(&way, "ws://h:80/c"), 0);
		assert_int_equal(follow(&way, "ws://h:81/c"), reasons[i]);
		assert_int_equal(follow(&way, "wss://h/c"), reasons[i]);
		assert_int_equal(follow(&way, "//i/c"), reasons[i]);
		assert_int_equal(follow(&way, "ws://h:81/c#"), REDIRECT_FRAGMENT);
		end(&way);
	}
}

static void test_the_longest_target(void **state)
{
	char location[HANDSHAKE_TARGET_SIZE];
	struct way way;

	(void)state;
	memset(location, 'x', sizeof(location));
	location[0] = '/';
	location[sizeof(location) - 1] = '\0';
	begin(&way, "ws://h/", 0);
	assert_int_equal(follow(&way, location), 0);
	assert_string_equal(redirect_url(&way.redirect)->target, location);
	end(&way);
}

static void test_every_error_has_words(void **state)
{
	(void)state;
	for (int i = 1; i < REDIRECT_ERROR_END; i++)
		assert_non_null(redirect_error_text((enum redirect_error)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_where_they_lead),
		cmocka_unit_test(test_those_that_are_not_followed),
		cmocka_unit_test(test_who_was_away_stays_away),
		cmocka_unit_test(test_no_way_back_to_where_it_is_not_encrypted),
		cmocka_unit_test(test_circles),
		cmocka_unit_test(test_a_way_has_an_end),
		cmocka_unit_test(test_those_that_may_not_leave),
		cmocka_unit_test(test_the_longest_target),
		cmocka_unit_test(test_every_error_has_words),
	};

	return cmocka_run_group_tests_name("redirect", tests, NULL, NULL);
}
