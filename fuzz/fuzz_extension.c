/*
 * Any answer to any offer of permessage-deflate. What is accepted is within the offer, and several
 * fields are the same as one with commas.
 *
 * The first three bytes of the input are the offer, the rest are fields, each on a line.
 */
#include "base/macro.h"
#include "websocket/extension.h"

#include <stdint.h>
#include <string.h>

#define INPUT_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0, or 8 to 15 */
static int to_bits(uint8_t byte)
{
	return byte % 9 > 0 ? byte % 9 + EXTENSION_WINDOW_MIN - 1 : 0;
}

static void check_bits(int bits, int most)
{
	if (bits < EXTENSION_WINDOW_MIN || bits > (most > 0 ? most : EXTENSION_WINDOW_MAX))
		abort();
}

static void check_choice(const struct extension_offer *offer, const struct extension_choice *choice)
{
	if (!choice->deflate)
		return;
	if (!offer || (offer->server_no_context_takeover && !choice->server_no_context_takeover) ||
	    (offer->client_no_context_takeover && !choice->client_no_context_takeover))
		abort();
	check_bits(choice->server_window_bits, offer->server_max_window_bits);
	check_bits(choice->client_window_bits, offer->client_max_window_bits);
}

static enum extension_error answer_fields(const struct extension_offer *offer, const char *text,
					  size_t size, struct extension_choice *choice)
{
	const char *end = text + size, *at = text;
	struct extension_answer answer;

	extension_answer_init(&answer, offer);
	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));

		extension_answer_field(&answer, at, (size_t)((line ? line : end) - at));
		at = line ? line + 1 : end;
	}
	return extension_answer_end(&answer, choice);
}

static enum extension_error answer_list(const struct extension_offer *offer, const char *text,
					size_t size, struct extension_choice *choice)
{
	struct extension_answer answer;
	char list[INPUT_MAX];

	for (size_t i = 0; i < size; i++)
		list[i] = text[i] == '\n' ? ',' : text[i];
	extension_answer_init(&answer, offer);
	extension_answer_field(&answer, list, size);
	return extension_answer_end(&answer, choice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct extension_choice choice = {0}, other = {0};
	struct extension_offer offer;
	const struct extension_offer *offered = &offer;
	enum extension_error error;

	if (size < 3 || size > INPUT_MAX)
		return 0;
	offer = (struct extension_offer){.server_no_context_takeover = data[0] & 1,
					 .client_no_context_takeover = data[0] & 2,
					 .server_max_window_bits = to_bits(data[1]),
					 .client_max_window_bits = to_bits(data[2])};
	if ((data[0] & 12) == 12)
		offered = NULL;
	error = answer_fields(offered, (const char *)data + 3, size - 3, &choice);
	if (error != answer_list(offered, (const char *)data + 3, size - 3, &other))
		abort();
	if (memcmp(&choice, &other, sizeof(choice)) != 0)
		abort();
	if (error != 0 && strlen(extension_error_text(error)) == 0)
		abort();
	if (error == 0)
		check_choice(offered, &choice);
	return 0;
}
