/* permessage-deflate is negotiated, RFC 7692 section 7: what a client offers, and which answers it
 * takes.
 * --wrap: realloc. */
#include "test_support.h"

#include "websocket/extension.h"

#define LINE "Sec-WebSocket-Extensions: permessage-deflate"
#define DEFLATE "permessage-deflate"

static bool realloc_fails;

void *__real_realloc(void *data, size_t size);
void *__wrap_realloc(void *data, size_t size);

void *__wrap_realloc(void *data, size_t size)
{
	return realloc_fails ? NULL : __real_realloc(data, size);
}

static const struct {
	struct extension_offer offer;
	const char *line;
} offers[] = {
	{{0}, LINE "\r\n"},
	{{.client_max_window_bits = 15}, LINE "; client_max_window_bits\r\n"},
	{{.client_max_window_bits = 8}, LINE "; client_max_window_bits=8\r\n"},
	{{.server_max_window_bits = 15}, LINE "; server_max_window_bits=15\r\n"},
	{{.server_max_window_bits = 8}, LINE "; server_max_window_bits=8\r\n"},
	{{.server_no_context_takeover = true}, LINE "; server_no_context_takeover\r\n"},
	{{.client_no_context_takeover = true}, LINE "; client_no_context_takeover\r\n"},
	{{true, true, 9, 10},
	 LINE "; server_no_context_takeover; client_no_context_takeover"
	      "; server_max_window_bits=9; client_max_window_bits=10\r\n"},
};

static void test_offers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		CLEANUP(buffer_done) struct buffer to;

		buffer_init(&to, 200);
		assert_int_equal(buffer_append(&to, "x", 1), 0);
		assert_int_equal(extension_write_offer(&to, &offers[i].offer), 0);
		assert_int_equal(to.size, 1 + strlen(offers[i].line));
		assert_memory_equal(to.data + 1, offers[i].line, to.size - 1);
	}
}

static void test_offers_that_cannot_be(void **state)
{
	static const int wrong[] = {-1, 1, 7, 16, 1000};
	struct buffer to;

	(void)state;
	buffer_init(&to, 200);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct extension_offer server = {.server_max_window_bits = wrong[i]};
		struct extension_offer client = {.client_max_window_bits = wrong[i]};

		assert_int_equal(extension_write_offer(&to, &server), -EINVAL);
		assert_int_equal(extension_write_offer(&to, &client), -EINVAL);
	}
	assert_null(to.data);
}

/* Whatever the bound, the line is there as a whole or not at all. */
static void test_an_offer_without_room(void **state)
{
	const struct extension_offer offer = {true, true, 9, 10};
	const size_t size = strlen(offers[7].line);

	(void)state;
	for (size_t max = 0; max < size; max++) {
		CLEANUP(buffer_done) struct buffer to;

		buffer_init(&to, max);
		assert_int_equal(extension_write_offer(&to, &offer), -ENOBUFS);
		assert_int_equal(to.size, 0);
	}
}

static void test_an_offer_without_memory(void **state)
{
	struct buffer to;
	int r;

	(void)state;
	buffer_init(&to, 200);
	realloc_fails = true;
	r = extension_write_offer(&to, &offers[0].offer);
	realloc_fails = false;
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(to.size, 0);
}

static const struct extension_offer plain = {0};
static const struct extension_offer usual = {.client_max_window_bits = 15};
static const struct extension_offer small = {.server_max_window_bits = 10,
					     .client_max_window_bits = 11};
static const struct extension_offer forgetful = {.server_no_context_takeover = true,
						 .client_no_context_takeover = true};

/* Header fields are told apart by a newline. */
static const struct {
	const char *fields;
	const struct extension_offer *offer;
	enum extension_error error; /* 0: accepted, as: */
	struct extension_choice choice;
} answers[] = {
	/* nothing */
	{"", NULL, 0, {0}},
	{"", &usual, 0, {0}},
	{"", &small, 0, {0}},
	{" , ,\t,\n,", &forgetful, 0, {0}},
	/* what is right */
	{DEFLATE, &plain, 0, {true, false, false, 15, 15}},
	{DEFLATE, &usual, 0, {true, false, false, 15, 15}},
	{"PerMessage-DEFLATE", &plain, 0, {true, false, false, 15, 15}},
	{"\n" DEFLATE "\n", &plain, 0, {true, false, false, 15, 15}},
	{",\n, \t" DEFLATE "\t ,,\n,", &plain, 0, {true, false, false, 15, 15}},
	{DEFLATE "; server_no_context_takeover; client_no_context_takeover", /* nats-server */
	 &usual,
	 0,
	 {true, true, true, 15, 15}},
	{DEFLATE ";SERVER_no_context_takeover", &plain, 0, {true, true, false, 15, 15}},
	{DEFLATE " ;\tclient_no_context_takeover ", &plain, 0, {true, false, true, 15, 15}},
	{DEFLATE "; server_no_context_takeover", &forgetful, 0, {true, true, true, 15, 15}},
	{DEFLATE "; server_max_window_bits=8", &plain, 0, {true, false, false, 8, 15}},
	{DEFLATE "; server_max_window_bits=15", &plain, 0, {true, false, false, 15, 15}},
	{DEFLATE "; server_max_window_bits=10", &small, 0, {true, false, false, 10, 11}},
	{DEFLATE "; server_max_window_bits=9; client_max_window_bits=11",
	 &small,
	 0,
	 {true, false, false, 9, 11}},
	{DEFLATE "; client_max_window_bits=8; server_max_window_bits=8",
	 &small,
	 0,
	 {true, false, false, 8, 8}},
	{DEFLATE "; client_max_window_bits=15", &usual, 0, {true, false, false, 15, 15}},
	{DEFLATE "; client_max_window_bits = 9 ", &usual, 0, {true, false, false, 15, 9}},
	{DEFLATE "; client_max_window_bits=\"9\"", &usual, 0, {true, false, false, 15, 9}},
	{DEFLATE "; client_max_window_bits =\t\"\\1\\2\"\t;server_no_context_takeover",
	 &usual,
	 0,
	 {true, true, false, 15, 12}},
	/* which extension */
	{DEFLATE, NULL, EXTENSION_UNKNOWN, {0}},
	{"x-webkit-deflate-frame", &usual, EXTENSION_UNKNOWN, {0}},
	{DEFLATE "d", &usual, EXTENSION_UNKNOWN, {0}},
	{"permessage-deflat", &usual, EXTENSION_UNKNOWN, {0}},
	{DEFLATE ", permessage-bzip2", &usual, EXTENSION_UNKNOWN, {0}},
	{DEFLATE "\npermessage-bzip2", &usual, EXTENSION_UNKNOWN, {0}},
	{DEFLATE ", " DEFLATE, &usual, EXTENSION_TWICE, {0}},
	{DEFLATE "\n" DEFLATE "; client_no_context_takeover", &usual, EXTENSION_TWICE, {0}},
	/* which parameter */
	{DEFLATE "; x", &usual, EXTENSION_PARAMETER, {0}},
	{DEFLATE "; x=1", &usual, EXTENSION_PARAMETER, {0}},
	{DEFLATE "; server_max_window_bit=8", &usual, EXTENSION_PARAMETER, {0}},
	{DEFLATE "; server_max_window_bitss=8", &usual, EXTENSION_PARAMETER, {0}},
	{DEFLATE "; client_no_context_takeover; client_no_context_takeover",
	 &usual,
	 EXTENSION_PARAMETER_TWICE,
	 {0}},
	{DEFLATE "; server_no_context_takeover; SERVER_NO_CONTEXT_TAKEOVER",
	 &usual,
	 EXTENSION_PARAMETER_TWICE,
	 {0}},
	{DEFLATE "; server_max_window_bits=9; server_max_window_bits=9",
	 &usual,
	 EXTENSION_PARAMETER_TWICE,
	 {0}},
	{DEFLATE "; client_max_window_bits=9; client_max_window_bits=10",
	 &usual,
	 EXTENSION_PARAMETER_TWICE,
	 {0}},
	/* which value */
	{DEFLATE "; server_max_window_bits", &usual, EXTENSION_VALUE_MISSING, {0}},
	{DEFLATE "; client_max_window_bits", &usual, EXTENSION_VALUE_MISSING, {0}},
	{DEFLATE "; server_no_context_takeover=1", &usual, EXTENSION_VALUE_FORBIDDEN, {0}},
	{DEFLATE "; client_no_context_takeover=\"true\"", &usual, EXTENSION_VALUE_FORBIDDEN, {0}},
	{DEFLATE "; server_max_window_bits=7", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=16", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=0", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=08", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=\"08\"", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=010", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=+8", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=-9", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=8.", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=1a", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=100", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=4294967304", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; server_max_window_bits=\"99999999999999999999\"",
	 &usual,
	 EXTENSION_VALUE_RANGE,
	 {0}},
	{DEFLATE "; client_max_window_bits=7", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; client_max_window_bits=16", &usual, EXTENSION_VALUE_RANGE, {0}},
	/* beyond the offer */
	{DEFLATE "; client_max_window_bits=15", &plain, EXTENSION_CLIENT_UNASKED, {0}},
	{DEFLATE "; client_max_window_bits", &plain, EXTENSION_CLIENT_UNASKED, {0}},
	{DEFLATE "; server_max_window_bits=10; client_max_window_bits=12",
	 &small,
	 EXTENSION_CLIENT_WINDOW,
	 {0}},
	{DEFLATE "; server_max_window_bits=11", &small, EXTENSION_SERVER_WINDOW, {0}},
	{DEFLATE, &small, EXTENSION_SERVER_WINDOW, {0}},
	{DEFLATE, &forgetful, EXTENSION_SERVER_TAKEOVER, {0}},
	{DEFLATE "; client_no_context_takeover", &forgetful, EXTENSION_SERVER_TAKEOVER, {0}},
	/* the grammar */
	{DEFLATE ";", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; ,", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE ";; client_no_context_takeover", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; client_no_context_takeover;", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "\n; client_no_context_takeover", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE " client_no_context_takeover", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; client_no_context_takeover server_no_context_takeover",
	 &usual,
	 EXTENSION_SYNTAX,
	 {0}},
	{DEFLATE "=1", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; =1", &usual, EXTENSION_SYNTAX, {0}},
	{";", &usual, EXTENSION_SYNTAX, {0}},
	{"\"" DEFLATE "\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits==9", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"9", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"9\\", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"9\\\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\" 9\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"9,\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=9\"9\"", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits=\"9\"9", &usual, EXTENSION_SYNTAX, {0}},
	{DEFLATE "; server_max_window_bits='9'", &usual, EXTENSION_VALUE_RANGE, {0}},
	{DEFLATE "; \xe2\x82\xac", &usual, EXTENSION_SYNTAX, {0}},
	/* the first error is the one that is told */
	{"x, " DEFLATE ";", &usual, EXTENSION_UNKNOWN, {0}},
	{"x\n" DEFLATE ";", &usual, EXTENSION_UNKNOWN, {0}},
};

static void give_fields(struct extension_answer *answer, const char *fields)
{
	for (;;) {
		size_t size = strcspn(fields, "\n");
		CLEANUP_FREE char *copy = exact_copy(fields, size);

		extension_answer_field(answer, copy, size);
		if (!fields[size])
			return;
		fields += size + 1;
	}
}

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct extension_choice choice = {.server_window_bits = 99};
		struct extension_answer answer;
		enum extension_error error;

		extension_answer_init(&answer, answers[i].offer);
		give_fields(&answer, answers[i].fields);
		error = extension_answer_end(&answer, &choice);
		if (error != answers[i].error)
			fail_msg("%zu, %s: error %d", i, answers[i].fields, (int)error);
		if (error) { /* untouched */
			assert_int_equal(choice.server_window_bits, 99);
			continue;
		}
		assert_int_equal(choice.deflate, answers[i].choice.deflate);
		assert_int_equal(choice.server_no_context_takeover,
				 answers[i].choice.server_no_context_takeover);
		assert_int_equal(choice.client_no_context_takeover,
				 answers[i].choice.client_no_context_takeover);
		assert_int_equal(choice.server_window_bits, answers[i].choice.server_window_bits);
		assert_int_equal(choice.client_window_bits, answers[i].choice.client_window_bits);
	}
}

/* NUL is no part of a token, wherever it stands. */
static void test_a_nul_in_an_answer(void **state)
{
	static const char text[] = DEFLATE "; client_no_context_takeover";

	(void)state;
	for (size_t at = 0; at < sizeof(text); at++) {
		struct extension_choice choice;
		struct extension_answer answer;
		char copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		copy[at] = '\0';
		extension_answer_init(&answer, &usual);
		extension_answer_field(&answer, copy, sizeof(copy));
		assert_true(extension_answer_end(&answer, &choice) > 0);
	}
}

static void test_what_is_said_of_errors(void **state)
{
	(void)state;
	for (int error = EXTENSION_SYNTAX; error <= EXTENSION_SERVER_TAKEOVER; error++)
		assert_true(strlen(extension_error_text((enum extension_error)error)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_offers_that_cannot_be),
		cmocka_unit_test(test_an_offer_without_room),
		cmocka_unit_test(test_an_offer_without_memory),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_a_nul_in_an_answer),
		cmocka_unit_test(test_what_is_said_of_errors),
	};

	return cmocka_run_group_tests_name("extension", tests, NULL, NULL);
}
