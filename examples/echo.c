/* Connects to a URL, and sends every message back with its own kind, until the server closes.
 *
 *	cc echo.c $(pkg-config --cflags --libs weir)
 *	./a.out ws://127.0.0.1:9001/ */
#include <stdio.h>
#include <weir.h>

static void send_back(struct weir_client *client, const struct weir_message *message, void *data)
{
	(void)data;
	if (weir_client_send(client, message->kind, message->data, message->size) < 0)
		weir_client_close(client, 1009, "too much to send back");
}

int main(int argc, char **argv)
{
	struct weir_source source = {.url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/"};
	struct weir_client_options options = {.source = &source, .on_message = send_back};
	struct weir_client *client;
	enum weir_outcome outcome = weir_client_new(&options, &client);

	if (outcome == WEIR_DONE)
		outcome = weir_client_run(client);
	if (outcome != WEIR_DONE)
		fprintf(stderr, "%s\n", weir_client_message(client));
	else
		printf("%llu messages were sent back\n",
		       (unsigned long long)weir_client_stats(client).sent);
	weir_client_free(client);
	return (int)outcome;
}
