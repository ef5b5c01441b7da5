/* Reads a spool, also while a capture writes it: counts the messages of each second, and says where
 * some are missing.
 *
 *	cc read.c $(pkg-config --cflags --libs weir)
 *	weir capture ws://127.0.0.1:9001/ --spool trades --keep &
 *	./a.out trades */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

struct second {
	uint64_t number; /* since 1970 */
	uint64_t messages;
};

static void print(const struct second *second)
{
	if (second->messages > 0)
		printf("%" PRIu64 ": %" PRIu64 " messages\n", second->number, second->messages);
}

static void count(struct second *second, const struct weir_record *record)
{
	uint64_t number = record->time_ns / 1000000000;

	if (record->skipped > 0)
		printf("%" PRIu64 " records were processed and deleted already\n", record->skipped);
	if (record->kind == WEIR_EVENT_GAP)
		printf("%" PRIu64 " messages are missing here\n", record->value);
	if (record->kind >= WEIR_EVENT)
		return;
	if (number != second->number) {
		print(second);
		*second = (struct second){.number = number};
	}
	second->messages++;
}

int main(int argc, char **argv)
{
	const struct weir_reader_options options = {.live = true};
	struct weir_reader *reader;
	struct weir_record record;
	struct second second = {0};
	int r = weir_reader_open(argc > 1 ? argv[1] : "trades", &options, &reader);

	if (r < 0) {
		fprintf(stderr, "the spool cannot be opened: error %d\n", -r);
		return 1;
	}
	do
		while ((r = weir_reader_next(reader, &record)) != 0)
			if (r > 0)
				count(&second, &record);
			else
				fprintf(stderr, "%s\n", weir_reader_message(reader));
	while (weir_reader_wait(reader, -1));
	print(&second);
	weir_reader_close(reader);
	return 0;
}
