/* The opening handshake, RFC 6455 section 4: what a client asks, which answers it takes, and both
 * for a server.
 * --wrap: none. */
#include "test_support.h"

#include "websocket/accept.h"
#include "websocket/handshake.h"
#include "websocket/head.h"

#include <ctype.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define STATUS "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPTED "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void test_the_key_of_the_rfc(void **state)
{
	char accept[HANDSHAKE_ACCEPT_SIZE];

	(void)state;
	handshake_accept(KEY, accept);
	assert_string_equal(accept, ACCEPT); /* section 1.3 */
}

static void test_keys_are_fresh_base64(void **state)
{
	char first[HANDSHAKE_KEY_SIZE], second[HANDSHAKE_KEY_SIZE];

	(void)state;
	assert_int_equal(handshake_make_key(first), 0);
	assert_int_equal(handshake_make_key(second), 0);
	assert_int_equal(strlen(first), 24);
	assert_string_not_equal(first, second);
	for (size_t i = 0; i < 22; i++)
		assert_true(isalnum((unsigned char)first[i]) || first[i] == '+' || first[i] == '/');
	assert_string_equal(first + 22, "==");
}

static const struct {
	const char *name;
	enum handshake_error error; /* 0: accepted */
	const char *text;
} responses[] = {
	{"plain", 0, STATUS UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"another order", 0, STATUS ACCEPTED CONNECTION UPGRADE "\r\n"},
	{"other headers", 0,
	 STATUS "Server: x\r\nDate: y\r\n" UPGRADE CONNECTION ACCEPTED "X-Empty:\r\n\r\n"},
	{"no phrase", 0, "HTTP/1.1 101\r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"an empty phrase", 0, "HTTP/1.1 101 \r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"whatever case", 0,
	 STATUS "UPGRADE: WebSocket\r\nconnection: UPGRADE\r\nSEC-WEBSOCKET-ACCEPT: " ACCEPT
		"\r\n\r\n"},
	{"blanks around values", 0,
	 STATUS "Upgrade: \t websocket \t\r\nConnection:Upgrade\r\n" ACCEPTED "\r\n"},
	{"a list of tokens", 0,
	 STATUS UPGRADE "Connection: keep-alive, ,\tUpgrade , x\r\n" ACCEPTED "\r\n"},
	{"connection twice", 0, STATUS UPGRADE CONNECTION "Connection: x\r\n" ACCEPTED "\r\n"},
	{"empty choices", 0,
	 STATUS UPGRADE CONNECTION ACCEPTED
	 "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol: \r\n\r\n"},
	{"HTTP/1.0", HANDSHAKE_NOT_HTTP, "HTTP/1.0 101 x\r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"HTTP/2", HANDSHAKE_NOT_HTTP, "HTTP/2 101 x\r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"another protocol", HANDSHAKE_NOT_HTTP, "SSH-2.0-OpenSSH_9.2\r\n"},
	{"a small h", HANDSHAKE_NOT_HTTP, "http/1.1 101 x\r\n\r\n"},
	{"letters for a status", HANDSHAKE_NOT_HTTP, "HTTP/1.1 1o1 x\r\n\r\n"},
	{"two digits", HANDSHAKE_NOT_HTTP, "HTTP/1.1 10 x\r\n\r\n"},
	{"four digits", HANDSHAKE_NOT_HTTP, "HTTP/1.1 1010 x\r\n\r\n"},
	{"no status", HANDSHAKE_NOT_HTTP, "HTTP/1.1 \r\n\r\n"},
	{"two blanks", HANDSHAKE_NOT_HTTP, "HTTP/1.1  101 x\r\n\r\n"},
	{"a folded header", HANDSHAKE_NOT_HTTP,
	 STATUS UPGRADE " more\r\n" CONNECTION ACCEPTED "\r\n"},
	{"a blank before the colon", HANDSHAKE_NOT_HTTP,
	 STATUS "Upgrade : websocket\r\n" CONNECTION ACCEPTED "\r\n"},
	{"no colon", HANDSHAKE_NOT_HTTP, STATUS "Upgrade websocket\r\n" CONNECTION ACCEPTED "\r\n"},
	{"no name", HANDSHAKE_NOT_HTTP, STATUS ": websocket\r\n" CONNECTION ACCEPTED "\r\n"},
	{"a name that is no token", HANDSHAKE_NOT_HTTP, STATUS "Up(grade: x\r\n\r\n"},
	{"a CR alone", HANDSHAKE_NOT_HTTP, STATUS "X: a\rb\r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"an LF alone", HANDSHAKE_NOT_HTTP,
	 STATUS "X: a\nb\r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"a control character", HANDSHAKE_NOT_HTTP, STATUS "X: \x01\r\n\r\n"},
	{"DEL", HANDSHAKE_NOT_HTTP, STATUS "X: \x7f\r\n\r\n"},
	{"status 200", HANDSHAKE_STATUS, "HTTP/1.1 200 OK\r\n" UPGRADE CONNECTION ACCEPTED "\r\n"},
	{"status 404", HANDSHAKE_STATUS, "HTTP/1.1 404 Not Found\r\n\r\n"},
	{"status 000", HANDSHAKE_STATUS, "HTTP/1.1 000 x\r\n\r\n"},
	{"no upgrade", HANDSHAKE_UPGRADE, STATUS CONNECTION ACCEPTED "\r\n"},
	{"another upgrade", HANDSHAKE_UPGRADE,
	 STATUS "Upgrade: h2c\r\n" CONNECTION ACCEPTED "\r\n"},
	{"another upgrade too", HANDSHAKE_UPGRADE,
	 STATUS UPGRADE "Upgrade: h2c\r\n" CONNECTION ACCEPTED "\r\n"},
	{"a longer upgrade", HANDSHAKE_UPGRADE,
	 STATUS "Upgrade: websockets\r\n" CONNECTION ACCEPTED "\r\n"},
	{"no connection", HANDSHAKE_CONNECTION, STATUS UPGRADE ACCEPTED "\r\n"},
	{"another connection", HANDSHAKE_CONNECTION,
	 STATUS UPGRADE "Connection: close\r\n" ACCEPTED "\r\n"},
	{"a part of a token", HANDSHAKE_CONNECTION,
	 STATUS UPGRADE "Connection: Upgrade-Insecure\r\n" ACCEPTED "\r\n"},
	{"no accept", HANDSHAKE_ACCEPT, STATUS UPGRADE CONNECTION "\r\n"},
	{"accept twice", HANDSHAKE_ACCEPT, STATUS UPGRADE CONNECTION ACCEPTED ACCEPTED "\r\n"},
	{"accept of another key", HANDSHAKE_ACCEPT,
	 STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: t3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
	{"accept in small letters", HANDSHAKE_ACCEPT,
	 STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n\r\n"},
	{"a longer accept", HANDSHAKE_ACCEPT,
	 STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: " ACCEPT "x\r\n\r\n"},
	{"a shorter accept", HANDSHAKE_ACCEPT,
	 STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n"},
	{"the key itself", HANDSHAKE_ACCEPT,
	 STATUS UPGRADE CONNECTION "Sec-WebSocket-Accept: " KEY "\r\n\r\n"},
	{"an extension", HANDSHAKE_EXTENSION,
	 STATUS UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"},
	{"a subprotocol", HANDSHAKE_SUBPROTOCOL,
	 STATUS UPGRADE CONNECTION ACCEPTED "Sec-WebSocket-Protocol: chat\r\n\r\n"},
};

/* Parses a copy of exactly this size. */
static ssize_t parse(const char *text, size_t size, struct handshake_response *response,
		     enum handshake_error *error)
{
	CLEANUP_FREE char *copy = exact_copy(text, size);
	const struct handshake_expected expected = {.accept = ACCEPT};

	*error = 0;
	memset(response, 0, sizeof(*response));
	return handshake_read_response(copy, size, &expected, response, error);
}

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		size_t size = strlen(responses[i].text);
		struct handshake_response response;
		enum handshake_error error;
		ssize_t r = parse(responses[i].text, size, &response, &error);

		if (error != responses[i].error || r != (error ? -EBADMSG : (ssize_t)size))
			fail_msg("%s: %zd, error %d", responses[i].name, r, (int)error);
		if (error && error != HANDSHAKE_STATUS &&
		    error != HANDSHAKE_EXTENSION) /* untouched */
			assert_int_equal(response.status, 0);
	}
}

/* A response that comes slowly is never taken for a whole one, nor a good one refused. */
static void test_every_cut_of_every_response(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		size_t size = strlen(responses[i].text);

		for (size_t cut = 0; cut < size; cut++) {
			struct handshake_response response;
			enum handshake_error error;
			ssize_t r = parse(responses[i].text, cut, &response, &error);
			bool refused = responses[i].error == HANDSHAKE_NOT_HTTP && r == -EBADMSG;

			if (r != 0 && !refused)
				fail_msg("%s: %zd after %zu bytes", responses[i].name, r, cut);
		}
	}
}

static void test_what_follows_the_head_is_left(void **state)
{
	const char text[] = STATUS UPGRADE CONNECTION ACCEPTED "\r\n\x81\x02hi\r\n\r\n";
	struct handshake_response response;
	enum handshake_error error;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &response, &error), sizeof(text) - 1 - 8);
}

static void test_a_refusal_is_told(void **state)
{
	const char text[] = "HTTP/1.1 302 Moved \x80\xff\r\nLocation: \twss://h/\xc3\xa9 \r\n\r\n";
	struct handshake_response response;
	enum handshake_error error;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &response, &error), -EBADMSG);
	assert_int_equal(error, HANDSHAKE_STATUS);
	assert_int_equal(response.status, 302);
	assert_string_equal(response.reason, "Moved ??"); /* fit for a terminal */
	assert_string_equal(response.location, "wss://h/\xc3\xa9");
}

static void test_long_texts_are_cut(void **state)
{
	char text[2000];
	struct handshake_response response;
	enum handshake_error error;
	int size = snprintf(text, sizeof(text), "HTTP/1.1 302 %0500d\r\nLocation: %0900d\r\n\r\n",
			    0, 0);

	(void)state;
	assert_int_equal(parse(text, (size_t)size, &response, &error), -EBADMSG);
	assert_int_equal(strlen(response.reason), HANDSHAKE_TEXT_SIZE - 1);
	assert_int_equal(strlen(response.location), HANDSHAKE_TEXT_SIZE - 1);
}

/* Fills a head with one header so long that all of it has `size` bytes. */
static void make_long(char *text, size_t size, const char *before, const char *behind)
{
	memset(text, 'x', size);
	memcpy(text, before, strlen(before));
	memcpy(text + size - strlen(behind), behind, strlen(behind));
}

static void test_the_bound_of_a_head(void **state)
{
	static char text[HANDSHAKE_HEAD_MAX + 1];
	const char *behind = "\r\n\r\n";
	struct handshake_response response;
	enum handshake_error error;

	(void)state;
	make_long(text, HANDSHAKE_HEAD_MAX, STATUS UPGRADE CONNECTION ACCEPTED "X: ", behind);
	assert_int_equal(parse(text, HANDSHAKE_HEAD_MAX, &response, &error), HANDSHAKE_HEAD_MAX);
	assert_int_equal(parse(text, HANDSHAKE_HEAD_MAX - 1, &response, &error), 0);
	make_long(text, HANDSHAKE_HEAD_MAX + 1, STATUS UPGRADE CONNECTION ACCEPTED "X: ", behind);
	assert_int_equal(parse(text, HANDSHAKE_HEAD_MAX, &response, &error), -EBADMSG);
	assert_int_equal(error, HANDSHAKE_TOO_LONG);
	assert_int_equal(parse(text, HANDSHAKE_HEAD_MAX + 1, &response, &error), -EBADMSG);
	assert_int_equal(error, HANDSHAKE_TOO_LONG);
}

static void test_every_error_has_words(void **state)
{
	(void)state;
	for (int i = HANDSHAKE_NOT_HTTP; i < HANDSHAKE_ERROR_END; i++)
		assert_true(strlen(handshake_error_text((enum handshake_error)i)) > 10);
}

static void test_headers_that_may_be_added(void **state)
{
	static const struct {
		const char *line;
		bool valid;
	} headers[] = {
		{"Authorization: Bearer abc", true},
		{"X:", true},
		{"X:y", true},
		{"X: a\tb", true},
		{"X: caf\xc3\xa9", true},
		{"Origin: http://example.com", true},
		{"!#$%&'*+-.^_`|~09azAZ: x", true},
		{"Hosting: x", true},
		{"Cookie: a=b; c=d", true},
		{"", false},
		{"X", false},
		{": x", false},
		{"X : x", false},
		{" X: x", false},
		{"X Y: x", false},
		{"X\t: x", false},
		{"X(: x", false},
		{"X\xc3\xa9: x", false},
		{"X: a\r\nY: b", false}, /* a header smuggled in */
		{"X: a\nY: b", false},
		{"X: a\rY: b", false},
		{"X: a\r\n\r\nGET /", false},
		{"X: \x01", false},
		{"X: \x7f", false},
		{"X\r\nY: b", false},
		{"Host: x", false},
		{"host: x", false},
		{"HOST:x", false},
		{"Upgrade: x", false},
		{"Connection: close", false},
		{"Content-Length: 1", false},
		{"Transfer-Encoding: chunked", false},
		{"Sec-WebSocket-Key: x", false},
		{"Sec-WebSocket-Version: 8", false},
		{"Sec-WebSocket-Extensions: x", false},
		{"Sec-WebSocket-Protocol: x", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (handshake_header_is_valid(headers[i].line) != headers[i].valid)
			fail_msg("\"%s\"", headers[i].line);
}

static void make_request(struct buffer *to, const char *const *headers, size_t count)
{
	const struct url url = {.host_header = (char[]){"example.com:9001"},
				.target = (char[]){"/a?b=c"}};

	const struct handshake_request_options options = {
		.url = &url, .key = KEY, .headers = headers, .header_count = count};

	buffer_init(to, HANDSHAKE_HEAD_MAX);
	assert_int_equal(handshake_write_request(to, &options), 0);
}

static void test_the_request(void **state)
{
	static const char expected[] = "GET /a?b=c HTTP/1.1\r\n"
				       "Host: example.com:9001\r\n"
				       "Upgrade: websocket\r\n"
				       "Connection: Upgrade\r\n"
				       "Sec-WebSocket-Key: " KEY "\r\n"
				       "Sec-WebSocket-Version: 13\r\n"
				       "User-Agent: weir/" WEIR_VERSION "\r\n"
				       "X-First: 1\r\n"
				       "X-Second: 2\r\n"
				       "\r\n";
	static const char *const headers[] = {"X-First: 1", "X-Second: 2"};
	CLEANUP(buffer_done) struct buffer request;

	(void)state;
	make_request(&request, headers, 2);
	assert_int_equal(request.size, strlen(expected));
	assert_memory_equal(request.data, expected, request.size);
}

static void test_a_request_that_is_too_long(void **state)
{
	const struct url url = {.host_header = (char[]){"h"}, .target = (char[]){"/"}};
	const struct handshake_request_options options = {.url = &url, .key = KEY};

	(void)state;
	for (size_t max = 0; max < 140; max += 7) {
		CLEANUP(buffer_done) struct buffer to;

		buffer_init(&to, max);
		assert_int_equal(handshake_write_request(&to, &options), -ENOBUFS);
	}
}

#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: h\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define WITH_KEY "Sec-WebSocket-Key: " KEY "\r\n"

static const struct {
	const char *name;
	bool accepted;
	const char *text;
} requests[] = {
	{"plain", true, GET HOST UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"a path", true, "GET /x?y HTTP/1.1\r\n" HOST UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"what browsers send", true,
	 GET HOST "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" WITH_KEY VERSION
		  "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"},
	{"no upgrade", false, GET HOST CONNECTION WITH_KEY VERSION "\r\n"},
	{"no connection", false, GET HOST UPGRADE WITH_KEY VERSION "\r\n"},
	{"no key", false, GET HOST UPGRADE CONNECTION VERSION "\r\n"},
	{"a short key", false,
	 GET HOST UPGRADE CONNECTION "Sec-WebSocket-Key: dGhl\r\n" VERSION "\r\n"},
	{"a long key", false,
	 GET HOST UPGRADE CONNECTION "Sec-WebSocket-Key: " KEY "=\r\n" VERSION "\r\n"},
	{"no version", false, GET HOST UPGRADE CONNECTION WITH_KEY "\r\n"},
	{"another version", false,
	 GET HOST UPGRADE CONNECTION WITH_KEY "Sec-WebSocket-Version: 8\r\n\r\n"},
	{"POST", false, "POST / HTTP/1.1\r\n" HOST UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"HTTP/1.0", false, "GET / HTTP/1.0\r\n" HOST UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"no target", false, "GET HTTP/1.1\r\n" HOST UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"an empty target", false,
	 "GET  HTTP/1.1\r\n" HOST UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"a bad header", false, GET HOST "X\r\n" UPGRADE CONNECTION WITH_KEY VERSION "\r\n"},
	{"nothing", false, "\r\n\r\n"},
};

static ssize_t accept_copy(const char *text, size_t size, struct buffer *answer)
{
	CLEANUP_FREE char *copy = exact_copy(text, size);

	buffer_init(answer, 1024);
	return accept_request(copy, size, answer);
}

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		size_t size = strlen(requests[i].text);
		CLEANUP(buffer_done) struct buffer answer;
		ssize_t r = accept_copy(requests[i].text, size, &answer);

		if (r != (requests[i].accepted ? (ssize_t)size : -EBADMSG))
			fail_msg("%s: %zd", requests[i].name, r);
		assert_memory_equal(answer.data,
				    requests[i].accepted ? "HTTP/1.1 101 " : "HTTP/1.1 400 ", 13);
	}
}

static void test_every_cut_of_a_request(void **state)
{
	const char *text = requests[0].text;

	(void)state;
	for (size_t cut = 0; cut < strlen(text); cut++) {
		CLEANUP(buffer_done) struct buffer answer;

		assert_int_equal(accept_copy(text, cut, &answer), 0);
		assert_int_equal(answer.size, 0);
	}
}

/* Both sides understand each other. */
static void test_client_and_server(void **state)
{
	CLEANUP(buffer_done) struct buffer request;
	CLEANUP(buffer_done) struct buffer answer;
	struct handshake_response response;
	enum handshake_error error;

	(void)state;
	make_request(&request, NULL, 0);
	assert_int_equal(accept_copy(request.data, request.size, &answer), request.size);
	assert_int_equal(parse(answer.data, answer.size, &response, &error), answer.size);
	assert_memory_equal(answer.data + answer.size - 4, "\r\n\r\n", 4);
}

static void test_the_length_of_the_refusal(void **state)
{
	CLEANUP(buffer_done) struct buffer answer;
	const char *length, *body;

	(void)state;
	assert_int_equal(accept_copy("x\r\n\r\n", 5, &answer), -EBADMSG);
	assert_int_equal(buffer_append(&answer, "", 1), 0);
	length = strstr(answer.data, "Content-Length: ");
	body = strstr(answer.data, "\r\n\r\n");
	assert_non_null(length);
	assert_non_null(body);
	assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
}

static void test_the_bound_of_a_request(void **state)
{
	static char text[HANDSHAKE_HEAD_MAX];
	CLEANUP(buffer_done) struct buffer answer;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(accept_copy(text, sizeof(text) - 1, &answer), 0);
	buffer_done(&answer);
	assert_int_equal(accept_copy(text, sizeof(text), &answer), -EBADMSG);
}

static void test_an_answer_that_finds_no_room(void **state)
{
	CLEANUP(buffer_done) struct buffer answer;

	(void)state;
	buffer_init(&answer, 10);
	assert_int_equal(accept_request(requests[0].text, strlen(requests[0].text), &answer),
			 -ENOBUFS);
	assert_int_equal(accept_request("x\r\n\r\n", 5, &answer), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_key_of_the_rfc),
		cmocka_unit_test(test_keys_are_fresh_base64),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_every_cut_of_every_response),
		cmocka_unit_test(test_what_follows_the_head_is_left),
		cmocka_unit_test(test_a_refusal_is_told),
		cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_the_bound_of_a_head),
		cmocka_unit_test(test_every_error_has_words),
		cmocka_unit_test(test_headers_that_may_be_added),
		cmocka_unit_test(test_the_request),
		cmocka_unit_test(test_a_request_that_is_too_long),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_every_cut_of_a_request),
		cmocka_unit_test(test_client_and_server),
		cmocka_unit_test(test_the_length_of_the_refusal),
		cmocka_unit_test(test_the_bound_of_a_request),
		cmocka_unit_test(test_an_answer_that_finds_no_room),
	};

	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
