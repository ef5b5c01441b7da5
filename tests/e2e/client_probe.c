/* Does to a server what its arguments say, by the API of weir.h, and prints what comes of it. It
 *has a loop of its own, as an application would: poll(2) over the client's descriptor.
 *
 *	client_probe URL [pieces] [reconnect] [patient] [subprotocol NAME] [send TEXT]... [close
 *CODE REASON] [flood TEXT]
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir.h>

static const char zeros[1 << 16];

struct probe {
	const char *sends[16];
	size_t send_count;
	int close_code;
	const char *close_reason;
	const char *flood; /* sent when all that waited may have been taken, unseen */
	unsigned long long pieces;
};

static void say(const char *what, int r)
{
	printf("%s: %s\n", what, r < 0 ? strerror(-r) : "fine");
}

static void on_open(struct weir_client *client, void *data)
{
	struct probe *probe = data;
	const char *subprotocol = weir_client_subprotocol(client);

	printf("open: %s, state %d\n", subprotocol ? subprotocol : "no subprotocol",
	       (int)weir_client_state(client));
	say("text that is none", weir_client_send(client, WEIR_TEXT, "\xff", 1));
	say("no kind", weir_client_send(client, (enum weir_kind)7, "x", 1));
	say("a long ping", weir_client_ping(client, "", 126));
	say("a ping", weir_client_ping(client, "are you there", 13));
	say("code 1005", weir_client_close(client, 999, NULL));
	say("code 1006", weir_client_close(client, 1006, NULL));
	say("code 1015", weir_client_close(client, 1015, NULL));
	say("a reason that is none", weir_client_close(client, 1000, "\xff"));
	for (size_t i = 0; i < probe->send_count; i++)
		say("send",
		    weir_client_send(client, WEIR_TEXT, probe->sends[i], strlen(probe->sends[i])));
	while (probe->flood && weir_client_waiting(client) < 1200000)
		if (weir_client_send(client, WEIR_BINARY, zeros, sizeof(zeros)) < 0)
			break;
	printf("waiting: %d\n", weir_client_waiting(client) > 0);
	if (probe->close_code)
		say("close", weir_client_close(client, (unsigned short)probe->close_code,
					       probe->close_reason));
}

static void on_message(struct weir_client *client, const struct weir_message *message, void *data)
{
	struct probe *probe = data;

	(void)client;
	probe->pieces++;
	if (message->size < 100)
		printf("%s: %.*s\n", message->kind == WEIR_TEXT ? "text" : "binary",
		       (int)message->size, (const char *)message->data);
}

static void on_connection(struct weir_client *client, const struct weir_connection *connection,
			  void *data)
{
	(void)client;
	(void)data;
	printf("%s%s%s\n", connection->connected ? "connected" : "not connected",
	       *connection->message ? ": " : "", connection->message);
}

/* What comes now is not read, and then the application has something else to do. */
static void flood(struct weir_client *client, const char *text)
{
	while (weir_client_waiting(client) == 0 && weir_client_step(client, -1))
		;
	for (int i = 0; i < 5; i++)
		weir_client_step(client, 100);
	usleep(1000000);
	say("send later", weir_client_send(client, WEIR_TEXT, text, strlen(text)));
}

static void run(struct weir_client *client)
{
	struct pollfd wait = {.fd = weir_client_fd(client), .events = POLLIN};

	do
		poll(&wait, 1, weir_client_timeout_ms(client));
	while (weir_client_step(client, 0));
}

int main(int argc, char **argv)
{
	struct probe probe = {.close_code = 0};
	struct weir_source source = {.url = argv[1], .retry_first_ns = 1, .retry_max_ns = 1};
	struct weir_client_options options = {.source = &source,
					      .on_open = on_open,
					      .on_message = on_message,
					      .on_connection = on_connection,
					      .data = &probe};
	struct weir_client *client;
	struct weir_client_stats stats;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "pieces") == 0) {
			options.pieces = true;
		} else if (strcmp(argv[i], "reconnect") == 0) {
			source.reconnect = true;
		} else if (strcmp(argv[i], "patient") == 0) {
			source.retry_first_ns = 1000000;
			source.retry_max_ns = 60000000000;
		} else if (strcmp(argv[i], "subprotocol") == 0) {
			source.subprotocols = (const char *const *)&argv[++i];
			source.subprotocol_count = 1;
		} else if (strcmp(argv[i], "send") == 0) {
			probe.sends[probe.send_count++] = argv[++i];
		} else if (strcmp(argv[i], "flood") == 0) {
			probe.flood = argv[++i];
			source.no_compression = true;
		} else if (strcmp(argv[i], "close") == 0) {
			probe.close_code = atoi(argv[++i]);
			probe.close_reason = argv[++i];
		}
	}
	if (weir_client_new(&options, &client) == WEIR_DONE) {
		say("send too early", weir_client_send(client, WEIR_TEXT, "x", 1));
		if (probe.flood)
			flood(client, probe.flood);
		run(client);
		say("send too late", weir_client_send(client, WEIR_TEXT, "x", 1));
	}
	stats = weir_client_stats(client);
	printf("outcome %d, state %d, %llu messages in %llu pieces, %llu bytes, %llu sent, %llu opened, "
	       "code %u\n",
	       (int)weir_client_outcome(client), (int)weir_client_state(client),
	       (unsigned long long)stats.messages, probe.pieces, (unsigned long long)stats.bytes,
	       (unsigned long long)stats.sent, (unsigned long long)stats.connections,
	       stats.close_code);
	printf("message: %s\n", weir_client_message(client));
	weir_client_free(client);
	return 0;
}
