/* The smallest receiver: prints every message on a line of its own.
 *
 *	cc receive.c $(pkg-config --cflags --libs weir)
 *	./a.out ws://127.0.0.1:9001/ */
#include <stdio.h>
#include <weir.h>

static void print(struct weir_client *client, const struct weir_message *message, void *data)
{
	(void)client;
	(void)data;
	fwrite(message->data, 1, message->size, stdout);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct weir_source source = {.url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/"};
	struct weir_client_options options = {.source = &source, .on_message = print};
	struct weir_client *client;
	enum weir_outcome outcome = weir_client_new(&options, &client);

	if (outcome == WEIR_DONE)
		outcome = weir_client_run(client);
	if (outcome != WEIR_DONE)
		fprintf(stderr, "%s\n", weir_client_message(client));
	weir_client_free(client);
	return (int)outcome;
}
