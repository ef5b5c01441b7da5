/*
 * One pass over the list. A choice that goes beyond the offer in any way is refused as a whole: who
 * answers with something else than what RFC 7692 has would compress in some other way as well.
 */
#include "websocket/extension.h"

#include "base/macro.h"
#include "websocket/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define NAME "permessage-deflate"
#define VALUE_MAX 16 /* longer than any value that is right */

enum parameter {
	SERVER_TAKEOVER,
	CLIENT_TAKEOVER,
	SERVER_WINDOW,
	CLIENT_WINDOW,
};

static const char *const names[] = {
	[SERVER_TAKEOVER] = "server_no_context_takeover",
	[CLIENT_TAKEOVER] = "client_no_context_takeover",
	[SERVER_WINDOW] = "server_max_window_bits",
	[CLIENT_WINDOW] = "client_max_window_bits",
};

static bool fits(int bits)
{
	return bits >= EXTENSION_WINDOW_MIN && bits <= EXTENSION_WINDOW_MAX;
}

static int write_flag(struct buffer *to, enum parameter parameter, bool set)
{
	return set ? buffer_appendf(to, "; %s", names[parameter]) : 0;
}

static int write_bits(struct buffer *to, enum parameter parameter, int bits)
{
	/* The largest window of the client needs no number: some servers know only that form. */
	if (parameter == CLIENT_WINDOW && bits == EXTENSION_WINDOW_MAX)
		return write_flag(to, parameter, true);
	return bits > 0 ? buffer_appendf(to, "; %s=%d", names[parameter], bits) : 0;
}

int extension_write_offer(struct buffer *to, const struct extension_offer *offer)
{
	int server = offer->server_max_window_bits, client = offer->client_max_window_bits;
	size_t before = to->size;
	int r;

	if ((server != 0 && !fits(server)) || (client != 0 && !fits(client)))
		return -EINVAL;
	r = buffer_appendf(to, "Sec-WebSocket-Extensions: " NAME);
	if (r == 0)
		r = write_flag(to, SERVER_TAKEOVER, offer->server_no_context_takeover);
	if (r == 0)
		r = write_flag(to, CLIENT_TAKEOVER, offer->client_no_context_takeover);
	if (r == 0)
		r = write_bits(to, SERVER_WINDOW, server);
	if (r == 0)
		r = write_bits(to, CLIENT_WINDOW, client);
	if (r == 0)
		r = buffer_append(to, "\r\n", 2);
	if (r < 0)
		to->size = before;
	return r;
}

/* What is left of a value. Blanks may stand around everything. */
struct cursor {
	const char *at, *end;
};

struct word {
	const char *text;
	size_t size;
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t'))
		cursor->at++;
}

static bool take(struct cursor *cursor, char c)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static bool take_token(struct cursor *cursor, struct word *ret_word)
{
	const char *begin;

	skip_blanks(cursor);
	begin = cursor->at;
	while (cursor->at < cursor->end && head_is_token(cursor->at, 1))
		cursor->at++;
	*ret_word = (struct word){.text = begin, .size = (size_t)(cursor->at - begin)};
	return cursor->at > begin;
}

/* The rest of a quoted string, without its quotes and backslashes. It must hold a token, section
 * 9.1. What does not fit into `text` is cut: it is wrong anyway, and stays so. */
static bool take_quoted(struct cursor *cursor, char text[VALUE_MAX], struct word *ret_word)
{
	size_t size = 0;

	while (cursor->at < cursor->end && *cursor->at != '"') {
		if (*cursor->at == '\\' && ++cursor->at == cursor->end)
			return false;
		if (!head_is_token(cursor->at, 1))
			return false;
		if (size < VALUE_MAX)
			text[size++] = *cursor->at;
		cursor->at++;
	}
	if (cursor->at == cursor->end || size == 0)
		return false;
	cursor->at++;
	*ret_word = (struct word){.text = text, .size = size};
	return true;
}

static bool is(const struct word *word, const char *name)
{
	return word->size == strlen(name) && strncasecmp(word->text, name, word->size) == 0;
}

/* 0: no such number. "08" is none, and neither is "+8". */
static int parse_bits(const struct word *value)
{
	int bits = 0;

	if (value->size == 0 || value->size > 2 || value->text[0] == '0')
		return 0;
	for (size_t i = 0; i < value->size; i++) {
		if (value->text[i] < '0' || value->text[i] > '9')
			return 0;
		bits = bits * 10 + (value->text[i] - '0');
	}
	return fits(bits) ? bits : 0;
}

static enum extension_error set_flag(const struct word *value, bool *flag)
{
	if (value)
		return EXTENSION_VALUE_FORBIDDEN;
	*flag = true;
	return 0;
}

static enum extension_error set_bits(const struct word *value, int *bits)
{
	if (!value)
		return EXTENSION_VALUE_MISSING;
	*bits = parse_bits(value);
	return *bits ? 0 : EXTENSION_VALUE_RANGE;
}

/* The value is NULL when there was none. */
static enum extension_error set(struct extension_answer *answer, const struct word *name,
				const struct word *value)
{
	size_t parameter = 0;

	while (parameter < ARRAY_SIZE(names) && !is(name, names[parameter]))
		parameter++;
	if (parameter == ARRAY_SIZE(names))
		return EXTENSION_PARAMETER;
	if (answer->seen & 1U << parameter)
		return EXTENSION_PARAMETER_TWICE;
	answer->seen |= 1U << parameter;
	switch ((enum parameter)parameter) {
	case SERVER_TAKEOVER:
		return set_flag(value, &answer->choice.server_no_context_takeover);
	case CLIENT_TAKEOVER:
		return set_flag(value, &answer->choice.client_no_context_takeover);
	case SERVER_WINDOW:
		return set_bits(value, &answer->choice.server_window_bits);
	case CLIENT_WINDOW:
		break;
	}
	if (answer->offer->client_max_window_bits == 0)
		return EXTENSION_CLIENT_UNASKED;
	return set_bits(value, &answer->choice.client_window_bits);
}

static enum extension_error take_parameter(struct extension_answer *answer, struct cursor *cursor)
{
	char text[VALUE_MAX];
	struct word name, value;
	bool valued;

	if (!take_token(cursor, &name))
		return EXTENSION_SYNTAX;
	valued = take(cursor, '=');
	if (valued &&
	    !(take(cursor, '"') ? take_quoted(cursor, text, &value) : take_token(cursor, &value)))
		return EXTENSION_SYNTAX;
	return set(answer, &name, valued ? &value : NULL);
}

static enum extension_error take_extension(struct extension_answer *answer, struct cursor *cursor)
{
	enum extension_error error = 0;
	struct word name;

	if (!take_token(cursor, &name))
		return EXTENSION_SYNTAX;
	if (!answer->offer || !is(&name, NAME))
		return EXTENSION_UNKNOWN;
	if (answer->choice.deflate)
		return EXTENSION_TWICE;
	answer->choice.deflate = true;
	while (error == 0 && take(cursor, ';'))
		error = take_parameter(answer, cursor);
	return error;
}

void extension_answer_init(struct extension_answer *answer, const struct extension_offer *offer)
{
	*answer = (struct extension_answer){.offer = offer};
}

void extension_answer_field(struct extension_answer *answer, const char *value, size_t size)
{
	struct cursor cursor = {.at = value, .end = value + size};

	while (answer->error == 0) {
		while (take(&cursor, ',')) /* elements of a list may be empty */
			;
		if (cursor.at == cursor.end)
			return;
		answer->error = take_extension(answer, &cursor);
		skip_blanks(&cursor);
		if (answer->error == 0 && cursor.at < cursor.end && *cursor.at != ',')
			answer->error = EXTENSION_SYNTAX;
	}
}

/* Whether the server grants what it was asked for: it has to say so, sections 7.1.1.1, 7.1.2.1. */
static enum extension_error compare(const struct extension_offer *offer,
				    const struct extension_choice *choice)
{
	int server = offer->server_max_window_bits, client = offer->client_max_window_bits;

	if (offer->server_no_context_takeover && !choice->server_no_context_takeover)
		return EXTENSION_SERVER_TAKEOVER;
	if (server && (!choice->server_window_bits || choice->server_window_bits > server))
		return EXTENSION_SERVER_WINDOW;
	return choice->client_window_bits > client ? EXTENSION_CLIENT_WINDOW : 0;
}

/* What the server left to the client is what the client had offered. */
static void fill_in(const struct extension_offer *offer, struct extension_choice *choice)
{
	int client = offer->client_max_window_bits;

	if (choice->server_window_bits == 0)
		choice->server_window_bits = EXTENSION_WINDOW_MAX;
	if (choice->client_window_bits == 0)
		choice->client_window_bits = client ? client : EXTENSION_WINDOW_MAX;
	choice->client_no_context_takeover |= offer->client_no_context_takeover;
}

enum extension_error extension_answer_end(const struct extension_answer *answer,
					  struct extension_choice *ret_choice)
{
	struct extension_choice choice = answer->choice;
	enum extension_error error = answer->error;

	if (error == 0 && choice.deflate)
		error = compare(answer->offer, &choice);
	if (error != 0)
		return error;
	if (choice.deflate)
		fill_in(answer->offer, &choice);
	*ret_choice = choice;
	return 0;
}

const char *extension_error_text(enum extension_error error)
{
	static const char *const texts[] = {
		[EXTENSION_SYNTAX] = "sent a malformed Sec-WebSocket-Extensions",
		[EXTENSION_UNKNOWN] = "chose an extension that was not offered",
		[EXTENSION_TWICE] = "chose permessage-deflate twice",
		[EXTENSION_PARAMETER] = "set a parameter that permessage-deflate does not have",
		[EXTENSION_PARAMETER_TWICE] = "set a parameter of permessage-deflate twice",
		[EXTENSION_VALUE_MISSING] =
			"set window bits of permessage-deflate without a number",
		[EXTENSION_VALUE_FORBIDDEN] =
			"gave a value to a parameter of permessage-deflate that has none",
		[EXTENSION_VALUE_RANGE] =
			"set window bits of permessage-deflate to something else than 8 to 15",
		[EXTENSION_CLIENT_UNASKED] = "set client_max_window_bits, which was not offered",
		[EXTENSION_CLIENT_WINDOW] = "set client_max_window_bits to more than was offered",
		[EXTENSION_SERVER_WINDOW] =
			"did not agree to the server_max_window_bits that it was asked for",
		[EXTENSION_SERVER_TAKEOVER] =
			"did not agree to server_no_context_takeover, which it was asked for",
	};

	return texts[error];
}
