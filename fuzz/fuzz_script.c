/* Any text as a script, and any messages for it. The input is the script, a NUL, and the messages,
 * each ended by a NUL, in pieces that end where a \x01 stands. */
#include "base/utf8.h"
#include "websocket/script.h"

#include <errno.h>
#include <string.h>

#define ACTIONS_MAX 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is said for people is a text that a terminal can show. */
static void check_text(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	if (strnlen(text, SCRIPT_TEXT_SIZE) == SCRIPT_TEXT_SIZE ||
	    utf8_validate(UTF8_WHOLE, at, strlen(text)) != UTF8_WHOLE)
		abort();
	for (; *at; at++)
		if (*at < ' ' || *at == 0x7f)
			abort();
}

/* Files are somebody's machine: a script that names one is not run. */
static bool names_a_file(const char *text, size_t size)
{
	return memchr(text, '@', size) || memmem(text, size, "${file:", 7);
}

static struct script *parse(const char *text, size_t size)
{
	CLEANUP(script_free) struct script *script = NULL;
	struct script_error error;
	int r;

	if (script_new(&script) < 0)
		return NULL;
	r = script_add_text(script, text, size, NULL, &error);
	if (r == 0)
		return TAKE_PTR(script);
	if (r == -EINVAL)
		check_text(error.text);
	else if (r != -ENOMEM)
		abort();
	return NULL;
}

static void check_message(const struct script_action *action)
{
	if (action->size > SCRIPT_MESSAGE_MAX)
		abort();
	if (action->message == MESSAGE_TEXT &&
	    utf8_validate(UTF8_WHOLE, action->data, action->size) != UTF8_WHOLE)
		abort();
}

/* Does what is to be done, until only messages can help. */
static int go_on(struct script_run *run)
{
	struct script_action action;
	int r;

	for (size_t i = 0; i < ACTIONS_MAX; i++) {
		r = script_run_next(run, &action);
		if (r < 0)
			return r;
		switch (action.kind) {
		case SCRIPT_SEND:
			check_message(&action);
			break;
		case SCRIPT_WAIT:
			if (action.time_ns == 0 || script_run_elapsed(run) != 0)
				abort();
			break;
		default:
			return 0;
		}
	}
	abort(); /* more actions than steps */
}

/* A copy of exactly that size, so that AddressSanitizer sees every byte beyond it. */
static int see_piece(struct script_run *run, const uint8_t *data, struct message_piece piece)
{
	CLEANUP_FREE uint8_t *copy = malloc(piece.size > 0 ? piece.size : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, piece.size);
	piece.data = copy;
	return script_run_see_piece(run, &piece);
}

static int see_message(struct script_run *run, const uint8_t *data, size_t size)
{
	struct message_piece piece = {.first = true};
	int r = 0;

	while (r == 0 && !piece.last) {
		const uint8_t *mark = memchr(data, '\x01', size);

		piece.size = mark ? (size_t)(mark - data) : size;
		piece.last = !mark;
		r = see_piece(run, data, piece);
		piece.first = false;
		size -= piece.size + (mark ? 1 : 0);
		data += piece.size + (mark ? 1 : 0);
	}
	return r;
}

static void run_with(const struct script *script, const uint8_t *messages, size_t size)
{
	CLEANUP(script_run_free) struct script_run *run = NULL;
	char text[SCRIPT_TEXT_SIZE];
	int r = script_run_new(script, &run);

	if (r == 0)
		r = go_on(run);
	while (r >= 0 && size > 0) {
		const uint8_t *end = memchr(messages, '\0', size);
		size_t message_size = end ? (size_t)(end - messages) : size;

		r = see_message(run, messages, message_size);
		if (r == 1)
			r = go_on(run);
		size -= message_size + (end ? 1 : 0);
		messages += message_size + (end ? 1 : 0);
	}
	if (!run)
		return;
	script_run_elapsed(run);
	script_run_describe(run, text);
	check_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t text_size = end ? (size_t)(end - data) : size;
	CLEANUP(script_free) struct script *script = NULL;

	if (size == 0 || names_a_file((const char *)data, text_size))
		return 0;
	script = parse((const char *)data, text_size);
	if (script && end)
		run_with(script, end + 1, size - text_size - 1);
	return 0;
}
