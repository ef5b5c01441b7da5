/* The opening handshake beyond the least of it: what may be part of a request, subprotocols, and
 * what a refusal says about the next attempt.
 * --wrap: none. */
#include "test_support.h"

#include "base/clock.h"
#include "websocket/handshake.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define ACCEPTED                                                                                   \
	"HTTP/1.1 101 Switching Protocols\r\n"                                                     \
	"Upgrade: websocket\r\n"                                                                   \
	"Connection: Upgrade\r\n"                                                                  \
	"Sec-WebSocket-Accept: " ACCEPT "\r\n"

#define NOW_S 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT: the date of RFC 7231, section 7.1.1.1 */

static const char *const offered[] = {"mqtt", "v2.chat", "v1.chat"};

static ssize_t read_response(const char *text, size_t offers, struct handshake_response *response,
			     enum handshake_error *error)
{
	const struct handshake_expected expected = {
		.accept = ACCEPT,
		.subprotocols = offered,
		.subprotocol_count = offers,
		.now_ns = NOW_S * NS_PER_S + NS_PER_S / 2,
	};
	CLEANUP_FREE char *copy = exact_copy(text, strlen(text));

	*error = 0;
	memset(response, 0, sizeof(*response));
	return handshake_read_response(copy, strlen(text), &expected, response, error);
}

static void assert_valid(bool (*is_valid)(const char *text), const char *text, bool valid)
{
	if (is_valid(text) != valid)
		fail_msg("\"%s\" is%s valid", text, valid ? " not" : "");
}

static void test_user_agents(void **state)
{
	(void)state;
	assert_valid(handshake_user_agent_is_valid, "weir/1.0 (x; y)", true);
	assert_valid(handshake_user_agent_is_valid, "caf\xc3\xa9\t1", true);
	assert_valid(handshake_user_agent_is_valid, "", false);
	assert_valid(handshake_user_agent_is_valid, "a\r\nX: y", false);
	assert_valid(handshake_user_agent_is_valid, "a\nb", false);
	assert_valid(handshake_user_agent_is_valid, "a\rb", false);
	assert_valid(handshake_user_agent_is_valid, "a\x7f", false);
}

static void test_origins(void **state)
{
	(void)state;
	assert_valid(handshake_origin_is_valid, "null", true);
	assert_valid(handshake_origin_is_valid, "https://example.com", true);
	assert_valid(handshake_origin_is_valid, "https://example.com:8443", true);
	assert_valid(handshake_origin_is_valid, "http://[::1]:80", true);
	assert_valid(handshake_origin_is_valid, "chrome-extension://abc", true);
	assert_valid(handshake_origin_is_valid, "", false);
	assert_valid(handshake_origin_is_valid, "example.com", false);
	assert_valid(handshake_origin_is_valid, "https://", false);
	assert_valid(handshake_origin_is_valid, "://x", false);
	assert_valid(handshake_origin_is_valid, "https://example.com/", false);
	assert_valid(handshake_origin_is_valid, "https://example.com?x", false);
	assert_valid(handshake_origin_is_valid, "https://example.com#x", false);
	assert_valid(handshake_origin_is_valid, "https://me@example.com", false);
	assert_valid(handshake_origin_is_valid, "https://a b", false);
	assert_valid(handshake_origin_is_valid, "https://a\r\nX: y", false);
	assert_valid(handshake_origin_is_valid, "https://caf\xc3\xa9", false);
}

static void test_subprotocols_to_offer(void **state)
{
	static const struct {
		const char *list[3];
		size_t count;
		bool valid;
	} lists[] = {
		{{NULL}, 0, true},	     {{"mqtt"}, 1, true},
		{{"a", "b", "A"}, 3, true}, /* case tells them apart */
		{{"a", "b", "a"}, 3, false}, {{"a", "a"}, 2, false},
		{{"a", ""}, 2, false},	     {{"a b"}, 1, false},
		{{"a,b"}, 1, false},	     {{"a;b"}, 1, false},
		{{"a\r\nX: y"}, 1, false},   {{"caf\xc3\xa9"}, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (handshake_subprotocols_are_valid(lists[i].list, lists[i].count) !=
		    lists[i].valid)
			fail_msg("list %zu", i);
}

static void assert_request(struct handshake_request_options options, const char *expected)
{
	const struct url url = {.host_header = (char[]){"h"}, .target = (char[]){"/"}};
	const char *begin = "GET / HTTP/1.1\r\n"
			    "Host: h\r\n"
			    "Upgrade: websocket\r\n"
			    "Connection: Upgrade\r\n"
			    "Sec-WebSocket-Key: " KEY "\r\n"
			    "Sec-WebSocket-Version: 13\r\n";
	CLEANUP(buffer_done) struct buffer request;

	options.url = &url;
	options.key = KEY;
	buffer_init(&request, HANDSHAKE_HEAD_MAX);
	assert_int_equal(handshake_write_request(&request, &options), 0);
	assert_int_equal(buffer_append(&request, "", 1), 0);
	assert_int_equal(strncmp(request.data, begin, strlen(begin)), 0);
	assert_string_equal(request.data + strlen(begin), expected);
}

static void test_a_request_with_everything(void **state)
{
	static const char *const headers[] = {"Authorization: Bearer x", "X-Last: 1"};
	const struct handshake_request_options options = {
		.headers = headers,
		.header_count = 2,
		.subprotocols = offered,
		.subprotocol_count = 3,
		.compression = &(struct extension_offer){.client_max_window_bits = 15},
		.user_agent = "Mozilla/5.0",
		.origin = "https://example.com",
	};

	(void)state;
	assert_request(options,
		       "Sec-WebSocket-Protocol: mqtt, v2.chat, v1.chat\r\n"
		       "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
		       "User-Agent: Mozilla/5.0\r\n"
		       "Origin: https://example.com\r\n"
		       "Authorization: Bearer x\r\n"
		       "X-Last: 1\r\n\r\n");
}

static void test_who_asks(void **state)
{
	static const char *const headers[] = {"user-agent: me"};
	const struct handshake_request_options nothing = {0};
	const struct handshake_request_options header = {.headers = headers, .header_count = 1};

	(void)state;
	assert_request(nothing, "User-Agent: weir/" WEIR_VERSION "\r\n\r\n");
	assert_request(header, "user-agent: me\r\n\r\n");
}

static void test_requests_that_are_too_long(void **state)
{
	static const char *const headers[] = {"A: b"};
	const struct url url = {.host_header = (char[]){"h"}, .target = (char[]){"/"}};
	const struct handshake_request_options options = {
		.url = &url,
		.key = KEY,
		.headers = headers,
		.header_count = 1,
		.subprotocols = offered,
		.subprotocol_count = 3,
		.compression = &(struct extension_offer){0},
		.origin = "null",
	};
	CLEANUP(buffer_done) struct buffer whole;

	(void)state;
	buffer_init(&whole, HANDSHAKE_HEAD_MAX);
	assert_int_equal(handshake_write_request(&whole, &options), 0);
	for (size_t max = 0; max <= whole.size; max++) {
		CLEANUP(buffer_done) struct buffer to;

		buffer_init(&to, max);
		assert_int_equal(handshake_write_request(&to, &options),
				 max == whole.size ? 0 : -ENOBUFS);
	}
}

#define PROTOCOL "Sec-WebSocket-Protocol: "

static void test_the_choice_of_a_subprotocol(void **state)
{
	static const struct {
		const char *fields;
		size_t offers;
		int choice; /* −1: none, −2: refused */
	} choices[] = {
		{"", 3, -1},
		{"", 0, -1},
		{PROTOCOL "\r\n", 3, -1},
		{PROTOCOL "mqtt\r\n", 3, 0},
		{"sec-websocket-protocol:v1.chat \r\n", 3, 2},
		{PROTOCOL "\r\n" PROTOCOL "v2.chat\r\n", 3, 1},
		{PROTOCOL "v2.chat\r\n", 2, 1},
		{PROTOCOL "v2.chat\r\n", 1, -2},
		{PROTOCOL "mqtt\r\n", 0, -2},
		{PROTOCOL "MQTT\r\n", 3, -2},
		{PROTOCOL "mqtt5\r\n", 3, -2},
		{PROTOCOL "mqt\r\n", 3, -2},
		{PROTOCOL "mqtt, v2.chat\r\n", 3, -2},
		{PROTOCOL "mqtt\r\n" PROTOCOL "v2.chat\r\n", 3, -2},
		{PROTOCOL "mqtt\r\n" PROTOCOL "mqtt\r\n", 3, -2},
		{PROTOCOL "mqtt\r\n" PROTOCOL "x\r\n", 3, -2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		struct handshake_response response;
		enum handshake_error error;
		char text[1024];
		const char *expected = choices[i].choice < 0 ? NULL : offered[choices[i].choice];
		ssize_t r;

		snprintf(text, sizeof(text), ACCEPTED "%s\r\n", choices[i].fields);
		r = read_response(text, choices[i].offers, &response, &error);
		if (r != (choices[i].choice == -2 ? -EBADMSG : (ssize_t)strlen(text)) ||
		    response.subprotocol != expected)
			fail_msg("choice %zu: %zd", i, r);
		assert_int_equal(error, choices[i].choice == -2 ? HANDSHAKE_SUBPROTOCOL : 0);
	}
}

static void test_when_to_try_again(void **state)
{
	static const struct {
		const char *value;
		uint64_t seconds;
	} values[] = {
		{"0", 0},
		{"120", 120},
		{" 7 ", 7},
		{"86400", 86400},
		{"86401", 86400}, /* a day at most */
		{"99999999999999999999999999", 86400},
		{"Sun, 06 Nov 1994 08:51:37 GMT", 120},
		{"Sunday, 06-Nov-94 08:51:37 GMT", 120}, /* the other forms of HTTP dates */
		{"Sun Nov  6 08:51:37 1994", 120},
		{"Sun, 06 Nov 1994 08:49:37 GMT", 0},
		{"Sun, 06 Nov 1994 08:00:00 GMT", 0}, /* over */
		{"Fri, 31 Dec 2099 23:59:59 GMT", 86400},
		{"", 0},
		{"soon", 0},
		{"-5", 0},
		{"1.5", 0},
		{"Sun, 06 Nov 1994 08:51:37 GMT, or whenever it is that you like to come", 0},
		{"3\r\nRetry-After: 5\r\nRetry-After: 4", 5},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct handshake_response response;
		enum handshake_error error;
		char text[1024];

		snprintf(text, sizeof(text), "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\n\r\n",
			 values[i].value);
		assert_int_equal(read_response(text, 0, &response, &error), -EBADMSG);
		assert_int_equal(error, HANDSHAKE_STATUS);
		if (response.retry_after_ns != values[i].seconds * NS_PER_S)
			fail_msg("\"%s\": %llu ns", values[i].value,
				 (unsigned long long)response.retry_after_ns);
	}
}

static void assert_target(const char *fields, const char *target)
{
	struct handshake_response response;
	enum handshake_error error;
	CLEANUP_FREE char *text = NULL;

	assert_true(asprintf(&text, "HTTP/1.1 307 Temporary Redirect\r\n%s\r\n", fields) > 0);
	assert_int_equal(read_response(text, 0, &response, &error), -EBADMSG);
	assert_int_equal(error, HANDSHAKE_STATUS);
	assert_string_equal(response.target, target);
}

static void test_where_to_try_again(void **state)
{
	static char fields[HANDSHAKE_TARGET_SIZE + 20];
	char *target = fields + strlen("Location: ");
	CLEANUP_FREE char *longest = NULL;

	(void)state;
	assert_target("", "");
	assert_target("Location:\r\n", "");
	assert_target("Location: wss://h/x?y=z\r\n", "wss://h/x?y=z");
	assert_target("location:\t/x \r\n", "/x");
	assert_target("Location: /x\r\nLocation: /y\r\n", "");
	assert_target("Location: /x\r\nLocation: /x\r\nLocation: /x\r\n", "");
	assert_target("Location: /x y\r\n", "");
	assert_target("Location: /caf\xc3\xa9\r\n", "");
	sprintf(fields, "Location: /%0*d", HANDSHAKE_TARGET_SIZE - 2, 0);
	assert_int_equal(strlen(target), HANDSHAKE_TARGET_SIZE - 1);
	strcat(fields, "\r\n");
	fields[strlen(fields) - 3] = '1'; /* the end is there, too */
	longest = strndup(target, HANDSHAKE_TARGET_SIZE - 1);
	assert_target(fields, longest);
	sprintf(fields, "Location: /%0*d\r\n", HANDSHAKE_TARGET_SIZE - 1, 0);
	assert_target(fields, "");
}

/* The rest of it, however long it is, is not waited for. */
static void test_a_refusal_is_told_before_its_body(void **state)
{
	const char *head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000000\r\n\r\n";
	struct handshake_response response;
	enum handshake_error error;

	(void)state;
	assert_int_equal(read_response(head, 0, &response, &error), -EBADMSG);
	assert_int_equal(error, HANDSHAKE_STATUS);
	assert_int_equal(response.status, 401);
	assert_string_equal(response.reason, "Unauthorized");
}

static void test_the_bound_of_fields(void **state)
{
	static char text[HANDSHAKE_HEAD_MAX];
	struct handshake_response response;
	enum handshake_error error;

	(void)state;
	strcpy(text, ACCEPTED);
	for (int i = 3; i < HANDSHAKE_FIELDS_MAX; i++)
		strcat(text, "X: y\r\n");
	strcat(text, "\r\n");
	assert_int_equal(read_response(text, 0, &response, &error), strlen(text));
	assert_int_equal(response.status, 101);
	strcpy(text + strlen(text) - 2, "X: y\r\n\r\n");
	assert_int_equal(read_response(text, 0, &response, &error), -EBADMSG);
	assert_int_equal(error, HANDSHAKE_MANY_FIELDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_agents),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_subprotocols_to_offer),
		cmocka_unit_test(test_a_request_with_everything),
		cmocka_unit_test(test_who_asks),
		cmocka_unit_test(test_requests_that_are_too_long),
		cmocka_unit_test(test_the_choice_of_a_subprotocol),
		cmocka_unit_test(test_when_to_try_again),
		cmocka_unit_test(test_where_to_try_again),
		cmocka_unit_test(test_a_refusal_is_told_before_its_body),
		cmocka_unit_test(test_the_bound_of_fields),
	};

	return cmocka_run_group_tests_name("handshake_options", tests, NULL, NULL);
}
