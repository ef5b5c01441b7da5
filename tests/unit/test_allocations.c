/* Every allocation failed in turn: what needed it says so, nothing is leaked (AddressSanitizer
 * looks for memory, these tests for descriptors), and what was captured before is there afterwards.
 * --wrap: calloc malloc realloc reallocarray strdup. */
#include "test_spool_support.h"

#include "spool/spool.h"
#include "websocket/client.h"
#include "websocket/script.h"
#include "websocket/session.h"

#include <weir.h>

/* Which allocation fails, from 1, 0 for none. */
static int fails_at, allocations;

static bool fails(void)
{
	return ++allocations == fails_at;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_realloc(void *data, size_t size);
void *__real_reallocarray(void *data, size_t count, size_t size);
void *__wrap_reallocarray(void *data, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
	return fails() ? NULL : __real_realloc(data, size);
}

void *__wrap_reallocarray(void *data, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(data, count, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

/* Fails the first, the second, … allocation of `live` until none is left to fail. */
static void fail_in_turn(int (*live)(void))
{
	int fds, r;

	fails_at = 0;
	assert_int_equal(live(), 0); /* libraries make what they keep */
	empty_scratch();
	fds = count_fds();
	for (fails_at = 1;; fails_at++) {
		allocations = 0;
		r = live();
		if (allocations < fails_at)
			break;
		if (r != -ENOMEM)
			fail_msg("allocation %d: %d", fails_at, r);
		assert_int_equal(count_fds(), fds);
		empty_scratch();
		assert_true(fails_at < 1000);
	}
	assert_int_equal(r, 0);
	assert_true(fails_at > 1);
	fails_at = 0;
}

static uint8_t memory[KIB(4)];
static struct message_batch batch;

static int send_until(struct spool *spool, struct source *source, uint64_t until)
{
	int r = 0;

	while (r >= 0 && source->number < until) {
		source_fill(source, &batch, memory, sizeof(memory), until);
		r = spool_append(spool, &batch);
		if (r >= 0)
			r = spool_commit(spool);
	}
	return r;
}

/* Looks at the disk, with allocations that neither fail nor count. */
static void assert_captured(uint64_t messages)
{
	int saved = fails_at, saved_count = allocations;
	CLEANUP_FD int dir_fd = open_dir(scratch);

	fails_at = 0;
	assert_int_equal(check_directory(dir_fd, small_sizes).messages, messages);
	fails_at = saved;
	allocations = saved_count;
}

static const struct spool_options options = {
	.path = scratch, .segment_bytes = 2000, .segment_messages = 20};

static int live_with_a_spool(void)
{
	struct source source = {.size_of = small_sizes};
	struct spool *spool = NULL;
	uint64_t captured = 0;
	int r = spool_open(&options, &spool);

	for (uint64_t until = 7; r >= 0 && until <= 70; until += 7) {
		r = send_until(spool, &source, until);
		captured = spool_counters(spool).messages;
	}
	if (r >= 0)
		r = spool_seal(spool);
	if (spool)
		assert_captured(r >= 0 ? 70 : MAX(captured, spool_counters(spool).messages));
	spool_free(spool);
	return r;
}

static void test_a_spool(void **state)
{
	(void)state;
	fail_in_turn(live_with_a_spool);
}

/* What one run left is there for the next, whichever allocation of that fails. */
static int live_with_what_was_left(void)
{
	struct source source = {.size_of = small_sizes};
	struct spool *spool = NULL;
	struct segment *segment;
	int saved = fails_at, r;

	fails_at = 0;
	assert_int_equal(spool_open(&options, &spool), 0);
	assert_int_equal(send_until(spool, &source, 50), 0);
	spool_free(TAKE_PTR(spool));
	fails_at = saved;
	allocations = 0;
	r = spool_open(&options, &spool);
	while (r >= 0 && (segment = spool_take(spool))) {
		if (!segment->counted)
			r = segment_check(spool_dir_fd(spool), segment);
		spool_keep(spool, segment);
	}
	spool_free(spool);
	assert_captured(50);
	return r;
}

static void test_a_spool_that_is_opened_again(void **state)
{
	(void)state;
	fail_in_turn(live_with_what_was_left);
}

static int live_with_a_spool_of_our_own(void)
{
	const struct spool_options own = {.dir = scratch, .segment_bytes = 2000};
	struct source source = {.size_of = small_sizes};
	struct spool *spool = NULL;
	struct segment *segment;
	int r = spool_open(&own, &spool);

	if (r < 0) {
		assert_int_equal(count_entries(scratch), 0); /* nobody else would remove it */
		return r;
	}
	r = send_until(spool, &source, 20);
	if (r >= 0)
		r = spool_seal(spool);
	while (r >= 0 && (segment = spool_take(spool)))
		r = spool_ack(spool, segment);
	if (r >= 0)
		r = spool_remove(spool);
	spool_free(spool);
	return r;
}

static void test_a_spool_of_our_own(void **state)
{
	(void)state;
	fail_in_turn(live_with_a_spool_of_our_own);
}

static int live_with_a_client(void)
{
	struct url url = {.host_header = (char[]){"127.0.0.1:1"},
			  .target = (char[]){"/"},
			  .dial = (char[]){"http://127.0.0.1:1/"}};
	const struct transport_options transport = {.url = &url};
	const struct handshake_request_options request = {0};
	const struct client_options client_options = {.transport = &transport,
						      .url = &url,
						      .request = &request,
						      .connect_timeout_ns = 1000};
	struct client *client = NULL;
	struct loop *loop = NULL;
	int r = loop_new(&loop);

	if (r >= 0)
		r = client_new(loop, &client_options, &client);
	client_free(client);
	loop_free(loop);
	return r;
}

static void test_a_client(void **state)
{
	(void)state;
	fail_in_turn(live_with_a_client);
}

static int live_with_a_capture(void)
{
	const struct weir_source source = {.url = "ws://127.0.0.1:1/"};
	const struct weir_capture_options capture_options = {.sources = &source,
							     .source_count = 1,
							     .dir = scratch,
							     .to = WEIR_TO_STREAM,
							     .stream_fd = 1};
	struct weir_capture *capture = NULL;
	enum weir_outcome outcome = weir_capture_new(&capture_options, &capture);

	assert_true(outcome == WEIR_DONE || outcome == WEIR_STORAGE);
	if (outcome != WEIR_DONE && capture)
		assert_true(strlen(weir_capture_message(capture)) > 10);
	weir_capture_free(capture);
	assert_int_equal(count_entries(scratch), 0);
	return outcome == WEIR_DONE ? 0 : -ENOMEM;
}

static void test_a_capture(void **state)
{
	(void)state;
	fail_in_turn(live_with_a_capture);
}

static int go_through(struct script_run *run)
{
	struct script_action action = {.kind = SCRIPT_WAIT};
	int r = script_run_next(run, &action);

	while (r == 0 && action.kind != SCRIPT_DONE) {
		if (action.kind == SCRIPT_EXPECT) {
			struct message_piece piece = {
				.data = (uint8_t[]){'o', 'k'}, .size = 2, .first = true};

			r = script_run_see_piece(run, &piece);
			piece = (struct message_piece){.last = true};
			if (r == 0)
				r = script_run_see_piece(run, &piece);
		}
		if (r >= 0)
			r = script_run_next(run, &action);
	}
	return r;
}

static int live_with_a_script(void)
{
	static const char text[] = "send-binary @/dev/null\n"
				   "send ${env:PATH|json}\n"
				   "expect 1s \"ok\"\n"
				   "expect 1s /(?<x>.)/\n"
				   "send ${x} ${x}\n";
	CLEANUP(script_free) struct script *script = NULL;
	CLEANUP(script_run_free) struct script_run *run = NULL;
	struct script_error error;
	int r = script_new(&script);

	if (r >= 0)
		r = script_add_text(script, text, strlen(text), "/", &error);
	if (r >= 0)
		r = script_add_send(script, "${x}", &error);
	if (r >= 0)
		r = script_run_new(script, &run);
	return r < 0 ? r : go_through(run);
}

static void test_a_script(void **state)
{
	(void)state;
	fail_in_turn(live_with_a_script);
}

static int nothing(void *data)
{
	(void)data;
	return 0;
}

static int no_event(void *data, uint64_t time_ns)
{
	(void)data;
	(void)time_ns;
	return 0;
}

static size_t much_room(void *data)
{
	(void)data;
	return SIZE_MAX;
}

static int no_pieces(void *data, struct message_batch *batch_of_pieces)
{
	(void)data;
	(void)batch_of_pieces;
	return 0;
}

static const struct session_handler session_handler = {
	.opened = no_event, .room = much_room, .pieces = no_pieces, .flush = nothing};

static int show_session(struct session *session, const void *data, size_t size)
{
	size_t used;

	memcpy(memory, data, size);
	return session_take(
		session,
		&(struct session_input){.free = memory, .data = memory, .size = size, .time_ns = 1},
		&used);
}

static int grant(struct session *session)
{
	const struct buffer *output = session_output(session);
	const char *at = memmem(output->data, output->size, "-Key: ", 6);
	char key[HANDSHAKE_KEY_SIZE] = {0}, accept[HANDSHAKE_ACCEPT_SIZE], answer[400];
	int size;

	assert_non_null(at);
	memcpy(key, at + 6, sizeof(key) - 1);
	handshake_accept(key, accept);
	size = snprintf(answer, sizeof(answer),
			"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Extensions: permessage-deflate\r\n"
			"Sec-WebSocket-Accept: %s\r\n\r\n",
			accept);
	return show_session(session, answer, (size_t)size);
}

static int live_with_a_session(void)
{
	static const uint8_t heard[] = {0xc1, 7,    0xf2, 0x48, 0xcd, 0xc9,
					0xc9, 0x07, 0x00, 0x89, 1,    'p'};
	static char host[] = "a", target[] = "/", text[1000];
	static const struct url url = {.host_header = host, .target = target};
	static const struct handshake_request_options request = {0};
	static const struct extension_offer offer = {0};
	const struct session_options session_options = {.url = &url,
							.request = &request,
							.compression = &offer,
							.handler = &session_handler};
	CLEANUP(session_free) struct session *session = NULL;
	int r = session_new(&session_options, &session);

	if (r >= 0)
		r = grant(session);
	if (r >= 0)
		r = session_send(session, MESSAGE_TEXT, text, sizeof(text));
	if (r >= 0)
		r = session_send(session, MESSAGE_TEXT, text, 63);
	if (r >= 0)
		r = show_session(session, heard, sizeof(heard));
	return r < 0 ? r : session_close(session, 1000, NULL, 0);
}

static void test_a_session(void **state)
{
	(void)state;
	fail_in_turn(live_with_a_session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_SCRATCH(test_a_spool),
		TEST_IN_SCRATCH(test_a_spool_that_is_opened_again),
		TEST_IN_SCRATCH(test_a_spool_of_our_own),
		TEST_IN_SCRATCH(test_a_client),
		TEST_IN_SCRATCH(test_a_session),
		TEST_IN_SCRATCH(test_a_script),
		TEST_IN_SCRATCH(test_a_capture),
	};

	return cmocka_run_group_tests_name("allocations", tests, NULL, NULL);
}
