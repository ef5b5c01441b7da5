/* Connections that are given up while they are being made, with libcurl as it is installed.
 * --wrap: fcntl64. */
#include "test_support.h"

#include "base/loop.h"
#include "websocket/dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int others[4];
static bool are_open;

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

/* The last one that is looked at is open nowhere. */
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	if (are_open && fd > 100) {
		for (size_t i = 0; i < ARRAY_SIZE(others); i++)
			close(others[i]);
		are_open = false;
	}
	return __real_fcntl64(fd, command, argument);
}

/* A port of 127.0.0.1 at which connections are made, and taken by nobody. */
static int listen_somewhere(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int on_ended(void *data, CURLcode code)
{
	(void)data;
	(void)code;
	return 0;
}

static struct dial *dial(struct loop *loop, CURL *easy, const char *host, int port)
{
	char url[64];
	struct dial *dial = NULL;

	assert_non_null(easy);
	snprintf(url, sizeof(url), "http://%s:%d/", host, port);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	assert_int_equal(dial_new(loop, easy, on_ended, NULL, &dial), 0);
	return dial;
}

/* A process that has copies of all our descriptors for a while, as one that is being started has
 * until its program is loaded. */
static pid_t hold_descriptors(int *ret_end)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) < 0);
	}
	close(ends[0]);
	*ret_end = ends[1];
	return pid;
}

/* The socket stays open in the other process. What happens to it there is nothing to us. */
static void test_what_was_given_up_is_never_called(void **state)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	CURL *easy = curl_easy_init();
	CLEANUP_FD int listener = -1, end = -1;
	struct dial *one;
	int port;
	pid_t pid;

	(void)state;
	listener = listen_somewhere(&port);
	assert_int_equal(loop_new(&loop), 0);
	one = dial(loop, easy, "127.0.0.1", port);
	assert_int_equal(loop_step(loop, 0), 0); /* it begins to connect */
	pid = hold_descriptors(&end);
	dial_free(one, easy);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_step(loop, 10), 0);
	close_fdp(&end);
	end = -1;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* How many descriptors a program would get that is started now. */
static int count_inherited(void)
{
	int count = 0;

	for (int fd = 0; fd < 100; fd++)
		count += fcntl(fd, F_GETFD) == 0;
	return count;
}

/* What looks names up has descriptors of its own, and gives them back at any moment. Here it is
 * that between two looks at all of them: what was somebody's for himself is libcurl's then. */
static void test_what_libcurl_opens_is_for_us_alone(void **state)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	CURL *easy = curl_easy_init();
	int inherited = count_inherited();
	struct dial *one;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	one = dial(loop, easy, "no-such-name.invalid", 1);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	are_open = true;
	assert_int_equal(loop_step(loop, 0), 0); /* it begins to look the name up */
	assert_false(are_open);
	assert_int_equal(count_inherited(), inherited);
	dial_free(one, easy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_given_up_is_never_called),
		cmocka_unit_test(test_what_libcurl_opens_is_for_us_alone),
	};

	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
