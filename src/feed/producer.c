/*
 * Frames are made right into the buffer that goes to the socket. A message of a given size may be
 * larger than any buffer: it is a header, and then filling, for as long as it takes.
 */
#include "feed/producer.h"

#include "base/macro.h"
#include "websocket/frame_encode.h"

#include <string.h>

void producer_init(struct producer *producer, const struct producer_options *options)
{
	*producer = (struct producer){.options = *options};
	trade_init(&producer->trades, options->seed);
}

static bool is_complete(const struct producer *producer)
{
	const struct producer_options *options = &producer->options;

	return (options->messages_max > 0 && producer->messages >= options->messages_max) ||
	       (options->bytes_max > 0 && producer->bytes >= options->bytes_max);
}

static size_t put_trade(struct producer *producer, uint8_t *to)
{
	char trade[TRADE_SIZE_MAX];
	size_t size = trade_next(&producer->trades, trade);
	size_t header = frame_write_header(to, FRAME_TEXT, size, NULL);

	memcpy(to + header, trade, size);
	producer->bytes += size;
	producer->messages++;
	return header + size;
}

static size_t begin_filling(struct producer *producer, uint8_t *to)
{
	producer->left = producer->options.size;
	producer->bytes += producer->options.size;
	producer->messages++;
	return frame_write_header(to, producer->options.binary ? FRAME_BINARY : FRAME_TEXT,
				  producer->left, NULL);
}

/* Filling depends on where in the message it stands and on nothing else. */
static size_t put_filling(struct producer *producer, uint8_t *to, size_t size)
{
	uint64_t at = producer->options.size - producer->left;
	size_t count = (size_t)MIN(producer->left, (uint64_t)size);

	for (size_t i = 0; i < count; i++)
		to[i] = (uint8_t)(producer->options.binary ? at + i : 'a' + (at + i) % 26);
	producer->left -= count;
	return count;
}

size_t producer_close(struct producer *producer, uint8_t *to)
{
	static const uint8_t normal[] = {1000 >> 8, 1000 & 0xff};
	size_t header = frame_write_header(to, FRAME_CLOSE, sizeof(normal), NULL);

	memcpy(to + header, normal, sizeof(normal));
	producer->closed = true;
	return header + sizeof(normal);
}

size_t producer_fill(struct producer *producer, uint8_t *to, size_t size, uint64_t messages_now)
{
	size_t used = 0;

	while (size - used >= PRODUCER_ROOM_MIN && !producer->closed) {
		if (producer->left > 0)
			used += put_filling(producer, to + used, size - used);
		else if (is_complete(producer))
			used += producer_close(producer, to + used);
		else if (producer->messages >= messages_now)
			break;
		else if (producer->options.size > 0)
			used += begin_filling(producer, to + used);
		else
			used += put_trade(producer, to + used);
	}
	return used;
}
