/* The smallest capture: counts the messages of each segment, which is deleted then.
 *
 *	cc count.c $(pkg-config --cflags --libs weir)
 *	./a.out ws://127.0.0.1:9001/                  (a server: weir feed --once --bytes 1GiB) */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static int count(const struct weir_segment *segment, void *data)
{
	uint64_t *total = data;

	*total += segment->messages;
	printf("%" PRIu64 " messages, %" PRIu64 " bytes in %s\n", segment->messages, segment->bytes,
	       segment->data);
	return 0; /* done with it */
}

int main(int argc, char **argv)
{
	uint64_t total = 0;
	struct weir_capture *capture;
	struct weir_source source = {.url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/"};
	struct weir_capture_options options = {
		.sources = &source,
		.source_count = 1,
		.to = WEIR_TO_CALLBACK,
		.on_segment = count,
		.data = &total,
	};
	enum weir_outcome outcome = weir_capture_new(&options, &capture);

	if (!capture) {
		fprintf(stderr, "out of memory\n");
		return WEIR_STORAGE;
	}
	if (outcome == WEIR_DONE)
		outcome = weir_capture_run(capture);
	if (outcome != WEIR_DONE)
		fprintf(stderr, "%s\n", weir_capture_message(capture));
	weir_capture_free(capture);
	printf("%" PRIu64 " messages in all\n", total);
	return (int)outcome;
}
